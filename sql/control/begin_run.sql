-- control.begin_run: an instance takes up a run.
--   Parameters run, instance: the scheduler's name for it
--   Returns    view and action to do; no row if the run is finished already
--   Writes     control.run. A run left 'running' by an instance that crashed is taken up again.
--   Called by  the scheduler's one-shot job
CREATE OR REPLACE FUNCTION control.begin_run(run bigint, instance text)
RETURNS TABLE (view text, action text) LANGUAGE sql AS $$
    UPDATE control.run r
    SET state = 'running', started_at = clock_timestamp(), instance = begin_run.instance
    WHERE r.id = begin_run.run AND r.state IN ('queued', 'running')
    RETURNING r.view, r.action
$$;
COMMENT ON FUNCTION control.begin_run(bigint, text) IS 'an instance takes up a run; returns what to do';
