-- Derived views for which something was written that could not be logged, because the owner might not write the delta table, or it had
-- another name. Run once by a migration, and by psql at each install and upgrade: again is harmless.
CREATE TABLE IF NOT EXISTS tally.unlogged (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- a publication of all tables wants a key
    view_id integer NOT NULL REFERENCES tally.derived_view ON DELETE CASCADE
);
