-- control.unfinished_runs: how many requested runs wait, and how many are at work.
--   Returns    a row for queued and one for running: the state, how many, and for how many seconds the oldest has been in it
--   Reads      control.run by the index run_unfinished
--   Used by    the metrics
CREATE OR REPLACE FUNCTION control.unfinished_runs()
RETURNS TABLE (state text, runs bigint, oldest float8)
LANGUAGE sql STABLE AS $$
    SELECT s.state, count(r.id), coalesce(extract(epoch FROM clock_timestamp() - min(CASE s.state WHEN 'queued' THEN r.requested_at ELSE r.started_at END)), 0)::float8
    FROM (VALUES ('queued'), ('running')) s(state)
    LEFT JOIN control.run r ON r.state IN ('queued', 'running') AND r.state = s.state
    GROUP BY s.state ORDER BY s.state
$$;
COMMENT ON FUNCTION control.unfinished_runs() IS 'how many requested runs wait, and how many are at work';
