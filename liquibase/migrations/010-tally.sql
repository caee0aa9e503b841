-- Schema tally: the catalog of the engine. Holds what was declared (derived_view, source, measure), where each
-- projection stands (merge_state) and what could not be evaluated (quarantine). Run once; never changed in place.

CREATE SCHEMA tally;
COMMENT ON SCHEMA tally IS 'Countersink''s engine: derived data kept equal to its definition, off the write path';

-- One row per derived view: what it is and what it is made from.
CREATE TABLE tally.derived_view (
    id            integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schema_name   name        NOT NULL,
    relation_name name        NOT NULL,
    kind          text        NOT NULL CHECK (kind IN ('projection', 'rollup', 'snapshot')),
    state         text        NOT NULL DEFAULT 'defined' CHECK (state IN ('defined', 'filling', 'active', 'paused')),
    definition    regclass,                  -- projection: its defining view; a snapshot has it in tally.materialized_view
    key           name[],                    -- projection: what a delta row names
    identity      name[],                    -- projection: what makes a row unique, the key included
    root_id       integer     REFERENCES tally.derived_view ON DELETE CASCADE,   -- rollup: the projection under it
    source_id     integer     REFERENCES tally.derived_view ON DELETE CASCADE,   -- rollup: what it adds up
    serves_id     integer     REFERENCES tally.derived_view ON DELETE CASCADE,   -- rollup kept only for a count(distinct)
    replaces_id   integer     UNIQUE REFERENCES tally.derived_view ON DELETE CASCADE,   -- filled beside, to take its place
    verified_at   timestamptz,               -- a view that takes another's place: found equal to its oracle
    verified_by   xid8,                      -- the transaction that did: an older snapshot does not see all of it
    swap_at       timestamptz,               -- not verified or put in its place before
    group_by      name[],
    filter        text,
    allowed       text[]      NOT NULL DEFAULT '{}',  -- functions that the owner vouches for (pg_upgrade refuses regprocedure)
    interval_ms   integer     CHECK (interval_ms >= 100),  -- null: the scheduler's default
    cron          text        CHECK (cron IS NULL OR interval_ms IS NULL),   -- of a snapshot; UTC
    priority      smallint    NOT NULL DEFAULT 0 CHECK (priority BETWEEN -100 AND 100),
    schedule_version integer  NOT NULL DEFAULT 1,
    generated_by  text,                      -- digest of the engine that generated its functions
    created_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (schema_name, relation_name)
);
CREATE INDEX ON tally.derived_view (root_id);
CREATE INDEX ON tally.derived_view (source_id);
CREATE INDEX ON tally.derived_view (serves_id);

-- One row per table that a projection reads: watched by triggers, or vouched for as static.
CREATE TABLE tally.source (
    projection_id integer  NOT NULL REFERENCES tally.derived_view ON DELETE CASCADE,
    ordinal       smallint NOT NULL CHECK (ordinal > 0),   -- the number its rows carry in the delta table
    relation      regclass NOT NULL,
    columns       name[],                    -- null: assumed static
    expand        text,                      -- null: columns are the key
    members       regclass[] NOT NULL DEFAULT '{}',  -- the table, its partitions and children when the triggers were put on
    PRIMARY KEY (projection_id, ordinal),
    UNIQUE (projection_id, relation)
);

-- One row per measure of a rollup.
CREATE TABLE tally.measure (
    rollup_id   integer  NOT NULL REFERENCES tally.derived_view ON DELETE CASCADE,
    position    smallint NOT NULL,
    name        name     NOT NULL,
    function    text     NOT NULL CHECK (function IN ('count(*)', 'count', 'count_distinct', 'sum', 'avg', 'min', 'max', 'bool_or', 'bool_and')),
    argument    name,
    exact_float boolean  NOT NULL DEFAULT false,   -- a float is added up as numeric, or the order of adding would show
    PRIMARY KEY (rollup_id, position),
    UNIQUE (rollup_id, name)
);

-- Where each projection stands. Updated by every merge that did something: kept narrow, with room for HOT.
CREATE TABLE tally.merge_state (
    view_id           integer     PRIMARY KEY REFERENCES tally.derived_view ON DELETE CASCADE,
    merged_through    xid8        NOT NULL DEFAULT '0',   -- every older writer's rows are merged
    system_identifier bigint      NOT NULL DEFAULT 0,     -- of the cluster in which merged_through means something
    last_merge_at     timestamptz,
    swept             bigint,                             -- keys that a sweep (first fill, rebuild) has been through
    to_sweep          bigint,                             -- of about so many
    keys_merged       bigint      NOT NULL DEFAULT 0,
    rows_changed      bigint      NOT NULL DEFAULT 0,
    error             text,
    error_sqlstate    text,
    failures          integer     NOT NULL DEFAULT 0,     -- in a row
    retry_at          timestamptz
) WITH (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Keys whose evaluation raised an error: left as last stored until they evaluate again.
CREATE TABLE tally.quarantine (
    view_id        integer     NOT NULL REFERENCES tally.derived_view ON DELETE CASCADE,
    key            jsonb       NOT NULL,
    sqlstate       text        NOT NULL,
    error          text        NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (view_id, key)
);

-- The writers that some delta rows stand for: the oldest and the youngest transaction, and since when the oldest row waits.
CREATE TYPE tally.span AS (oldest xid8, newest xid8, since timestamptz);

CREATE TYPE tally.merge_result AS (
    outcome     text,      -- merged, nothing, busy, paused, waiting (backing off after an error), failed
    consumed    bigint,    -- delta rows taken
    keys        bigint,    -- keys evaluated
    changed     bigint,    -- projection rows inserted, updated or deleted
    quarantined bigint,    -- keys that could not be evaluated
    more        boolean,   -- call again at once
    error       text
);
