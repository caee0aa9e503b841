-- control.begin_run: an instance starts a run.
--   Parameters run, instance: the scheduler's name for it
--   Returns    the action, and its view or dead letter; no row if the run is finished already
--   Writes     control.run. A run left 'running' by an instance that crashed is started again.
CREATE OR REPLACE FUNCTION control.begin_run(run bigint, instance text)
RETURNS TABLE (action text, view text, dead_letter bigint, sample float8) LANGUAGE sql AS $$
    UPDATE control.run r
    SET state = 'running', started_at = clock_timestamp(), instance = begin_run.instance
    WHERE r.id = begin_run.run AND r.state IN ('queued', 'running')
    RETURNING r.action, r.view, r.dead_letter, r.sample
$$;
COMMENT ON FUNCTION control.begin_run(bigint, text) IS 'an instance takes up a run; returns what to do';
