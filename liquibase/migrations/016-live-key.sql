-- The keys with which _live views open the functions that they read. PostgreSQL asks whoever reads a view for EXECUTE on the
-- functions in it, so PUBLIC has that; but they answer only to the key, which the owner of the view can read and its readers cannot.
-- So SELECT on a _live view is all that is needed, and all that helps.
CREATE TABLE IF NOT EXISTS tally.live_key (
    view_id integer PRIMARY KEY REFERENCES tally.derived_view ON DELETE CASCADE,   -- a projection; the rollups above it use the same
    secret  uuid    NOT NULL DEFAULT gen_random_uuid()
);
