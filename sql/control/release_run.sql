-- control.release_run: give the lock of a run back that this session has taken up.
CREATE OR REPLACE FUNCTION control.release_run(run bigint)
RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_unlock(control.run_lock(), (release_run.run & 2147483647)::integer)
$$;
COMMENT ON FUNCTION control.release_run(bigint) IS 'give the lock of a run back';
