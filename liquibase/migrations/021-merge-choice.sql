-- What merges by key and sweeps have cost, from which a merge chooses between them. Run once by a migration, and by psql at each install and
-- upgrade: again is harmless.
-- By key: sums over the last merges of at least 1,000 keys, each weighing a tenth less than the next.
CREATE TABLE IF NOT EXISTS tally.merge_choice (
    view_id      integer PRIMARY KEY REFERENCES tally.derived_view ON DELETE CASCADE,
    merges       float8  NOT NULL DEFAULT 0,   -- how many
    keys         float8  NOT NULL DEFAULT 0,   -- of keys
    us           float8  NOT NULL DEFAULT 0,   -- of microseconds
    keys_keys    float8  NOT NULL DEFAULT 0,   -- of keys * keys
    keys_us      float8  NOT NULL DEFAULT 0,   -- of keys * microseconds
    us_per_swept float8,                       -- of a key that a sweep goes through; NULL: not measured
    from_fill    boolean,                      -- measured by the first fill alone, which finds nothing stored
    swept_keys   float8,                       -- of the last sweep that came to its end
    swept_rows   float8,                       -- rows stored at its end, as the planner thinks
    choice       text                          -- the last one, and why
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
