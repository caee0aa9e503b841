-- control.runs_at: the requested runs that were at work at a moment, or in the 15 s before it, of which the last hour has one sample.
--   Parameters at; most: rows at most
--   Returns    rows of control.run, those that began first
--   Reads      control.run by the indexes run_finished and run_unfinished: what ended later, and what has not ended
--   Used by    the dashboard
CREATE OR REPLACE FUNCTION control.runs_at(at timestamptz, most int DEFAULT 50)
RETURNS SETOF control.run LANGUAGE sql STABLE AS $$
    SELECT r.* FROM (
        SELECT f.* FROM control.run f WHERE f.finished_at >= $1 - interval '15 s' AND f.started_at <= $1
        UNION ALL
        SELECT u.* FROM control.run u WHERE u.state IN ('queued', 'running') AND u.state = 'running' AND u.started_at <= $1
    ) r ORDER BY r.started_at, r.id LIMIT $2
$$;
COMMENT ON FUNCTION control.runs_at(timestamptz, int) IS 'the requested runs that were at work at a moment, or just before it';
