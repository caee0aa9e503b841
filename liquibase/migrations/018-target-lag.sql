-- Freshness as a target: what a view's lag may be, what its merges cost, and which lag it reached. Run once by a migration, and by psql at each
-- install and upgrade: again is harmless.
ALTER TABLE tally.derived_view ADD COLUMN IF NOT EXISTS target_lag_ms integer CHECK (target_lag_ms BETWEEN 100 AND 86400000);

-- What merges of a view with a target have cost: sums over the last ones, each weighing a twentieth less than the next.
CREATE TABLE IF NOT EXISTS tally.merge_cost (
    view_id     integer PRIMARY KEY REFERENCES tally.derived_view ON DELETE CASCADE,
    merges      float8  NOT NULL,   -- how many
    keys        float8  NOT NULL,   -- of keys
    ms          float8  NOT NULL,   -- of milliseconds
    keys_keys   float8  NOT NULL,   -- of keys * keys
    keys_ms     float8  NOT NULL    -- of keys * milliseconds
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- The lag that merges of a view with a target reached: a row for each minute of the last hour.
CREATE TABLE IF NOT EXISTS tally.lag_minute (
    view_id integer     NOT NULL REFERENCES tally.derived_view ON DELETE CASCADE,
    slot    smallint    NOT NULL,   -- minute of the hour
    minute  timestamptz NOT NULL,
    counts  integer[]   NOT NULL,   -- element n: merges whose oldest row had waited up to 1.1^n ms
    PRIMARY KEY (view_id, slot)
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
