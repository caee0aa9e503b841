-- Views that group and were kept as a rollup over their rows. An installed engine gets this table from sql/tally/upgrade.sql too, so it
-- may be there.
CREATE TABLE IF NOT EXISTS tally.split (
    rollup_id  integer  PRIMARY KEY REFERENCES tally.derived_view ON DELETE CASCADE,   -- its definition is the view that was split
    shown      name,               -- the view over the rollup that has the definition's columns; null: the rollup has them itself
    made_of    jsonb    NOT NULL,  -- what tally.split_parts made of the definition
    definition_digest text NOT NULL,  -- of its text
    rule       text     NOT NULL   -- which version of its query that was: xmin of its row in pg_rewrite
);
