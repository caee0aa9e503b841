-- control.fail_run: a run could not do its work.
--   Parameters run, code: the SQLSTATE, error, hint: if NULL, the hint of results.error_catalogue is used, if there is one
--   Writes     control.run
CREATE OR REPLACE FUNCTION control.fail_run(run bigint, code text, error text, hint text)
RETURNS void LANGUAGE sql AS $$
    UPDATE control.run r
    SET state = 'failed', finished_at = clock_timestamp(),
        code = fail_run.code, error = fail_run.error, hint = coalesce(fail_run.hint, (SELECT c.hint FROM results.error_catalogue() c WHERE c.code = fail_run.code))
    WHERE r.id = fail_run.run AND r.state IN ('queued', 'running')
$$;
COMMENT ON FUNCTION control.fail_run(bigint, text, text, text) IS 'a run could not do its work, and why';
