-- Schema control: what operators asked for, and what became of it.

CREATE SCHEMA control;
COMMENT ON SCHEMA control IS 'the control plane: runs of refresh, verify, repair, … requested over the admin API';

CREATE TABLE control.run (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    view         text,
    dead_letter  bigint,
    action       text NOT NULL CHECK (action IN ('refresh', 'verify', 'repair', 'rebuild', 'pause', 'resume', 'replay')),
    sample       float8 CHECK (sample IS NULL OR action = 'verify' AND sample > 0 AND sample <= 1),
    state        text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed')),
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at   timestamptz,
    finished_at  timestamptz,
    instance     text,
    result       jsonb,
    code         text,
    error        text,
    hint         text,
    CHECK ((action = 'replay') = (dead_letter IS NOT NULL) AND (action = 'replay') = (view IS NULL)),
    CHECK ((state IN ('done', 'failed')) = (finished_at IS NOT NULL)),
    CHECK ((state = 'failed') = (code IS NOT NULL AND error IS NOT NULL))
);
COMMENT ON TABLE control.run IS 'one requested action on a derived view or a dead letter: who runs it, since when, and its result or error';
COMMENT ON COLUMN control.run.sample IS 'the share of the keys to verify, null: all';
COMMENT ON COLUMN control.run.instance IS 'the instance of the scheduler''s cluster that runs it';
COMMENT ON COLUMN control.run.code IS 'SQLSTATE of the error';
