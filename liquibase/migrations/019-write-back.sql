-- Kept values that are written into columns of the application's own tables. An installed engine gets these tables from
-- sql/tally/upgrade.sql too, so they may be there.
CREATE TABLE IF NOT EXISTS tally.write_back (
    id      integer  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    view_id integer  NOT NULL REFERENCES tally.derived_view ON DELETE CASCADE,   -- whose values: a projection or a rollup
    target  regclass NOT NULL,
    key     jsonb    NOT NULL,   -- {"column of the view": "column of the target"}
    columns jsonb    NOT NULL,   -- {"column of the target": "column of the view"}
    error   text,                -- why the last rows could not be written; NULL: they were
    UNIQUE (view_id, target)
);

-- Keys whose kept rows changed, until they are written back.
CREATE TABLE IF NOT EXISTS tally.to_write_back (
    id            bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    write_back_id integer NOT NULL REFERENCES tally.write_back ON DELETE CASCADE,
    key           jsonb   NOT NULL   -- {}: every key
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX IF NOT EXISTS to_write_back_write_back_id_id_idx ON tally.to_write_back (write_back_id, id);
