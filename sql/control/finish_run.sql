-- control.finish_run: a run has done its work.
--   Parameters run, result: what the action returned
--   Writes     control.run
CREATE OR REPLACE FUNCTION control.finish_run(run bigint, result jsonb)
RETURNS void LANGUAGE sql AS $$
    UPDATE control.run r
    SET state = 'done', finished_at = clock_timestamp(), result = finish_run.result
    WHERE r.id = finish_run.run AND r.state = 'running'
$$;
COMMENT ON FUNCTION control.finish_run(bigint, jsonb) IS 'a run has done its work';
