-- control.requeue_run: a run was cut off by the end of its instance: another takes it up.
--   Writes     control.run
CREATE OR REPLACE FUNCTION control.requeue_run(run bigint)
RETURNS void LANGUAGE sql AS $$
    UPDATE control.run r SET state = 'queued', started_at = NULL, instance = NULL
    WHERE r.id = requeue_run.run AND r.state = 'running'
      AND NOT EXISTS (SELECT FROM control.run q WHERE q.state = 'queued' AND (q.view, q.action, q.sample, q.dead_letter) IS NOT DISTINCT FROM (r.view, r.action, r.sample, r.dead_letter))
$$;
COMMENT ON FUNCTION control.requeue_run(bigint) IS 'a run was cut off: another instance takes it up';
