-- How far each job is, as its results say; results.job.status stays the application's word.
CREATE TABLE results.job_state (
    job_id        bigint PRIMARY KEY REFERENCES results.job ON DELETE CASCADE,
    state         text        NOT NULL CHECK (state IN ('pending', 'running', 'succeeded', 'failed')),
    total         bigint      NOT NULL,
    processed     bigint      NOT NULL,
    failed        bigint      NOT NULL,
    started_at    timestamptz,
    finished_at   timestamptz,
    progressed_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'pending') = (started_at IS NULL)),
    CHECK ((state IN ('succeeded', 'failed')) = (finished_at IS NOT NULL))
);
COMMENT ON TABLE results.job_state IS 'how far each job is, as of the last look of results.follow_jobs';
COMMENT ON COLUMN results.job_state.started_at IS 'when its first result was seen in the stored counts';
COMMENT ON COLUMN results.job_state.finished_at IS 'when its last result was seen; NULL again if there is more to do';
COMMENT ON COLUMN results.job_state.progressed_at IS 'when its figures last changed';
