-- control.forget_runs: delete runs that were requested long ago, finished or not.
--   Parameters older_than
--   Returns    how many were deleted
--   Writes     control.run
CREATE OR REPLACE FUNCTION control.forget_runs(older_than interval)
RETURNS bigint LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM control.run r WHERE r.state IN ('queued', 'running', 'done', 'failed') AND r.requested_at < now() - older_than RETURNING 1)  -- by the index run_state
    SELECT count(*) FROM gone
$$;
COMMENT ON FUNCTION control.forget_runs(interval) IS 'delete runs that were requested long ago; returns how many';
