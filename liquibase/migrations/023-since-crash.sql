-- Which derived views have been merged since the server last crashed, or since another one took over: such a thing empties unlogged tables,
-- this one too. Run once by a migration, and by psql at each install and upgrade: again is harmless.
CREATE UNLOGGED TABLE IF NOT EXISTS tally.since_crash (
    view_id integer PRIMARY KEY REFERENCES tally.derived_view ON DELETE CASCADE
);
