-- control.take_run: an instance takes up a run, by a lock of its session: when the instance dies, the run is free again at once.
--   Parameters instance: its name, for whoever looks; run: this one, NULL for the oldest that can be taken up
--   Returns    what to do, and on which view or dead letter; no row if there is nothing to take up
--   Writes     control.run. A run left 'running' by an instance that died is taken up again
--   Locks      an advisory one of the session, until control.release_run or the session's end
CREATE OR REPLACE FUNCTION control.take_run(instance text, run bigint DEFAULT NULL)
RETURNS TABLE (id bigint, action text, view text, dead_letter bigint, sample float8) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    candidate bigint;
BEGIN
    FOR candidate IN SELECT r.id FROM control.run r WHERE r.state IN ('queued', 'running') AND (take_run.run IS NULL OR r.id = take_run.run) ORDER BY r.id LOOP
        IF pg_try_advisory_lock(control.run_lock(), (candidate & 2147483647)::integer) THEN
            RETURN QUERY UPDATE control.run r SET state = 'running', started_at = clock_timestamp(), instance = take_run.instance
                         WHERE r.id = candidate AND r.state IN ('queued', 'running')  -- another may have finished it just before the lock was had
                         RETURNING r.id, r.action, r.view, r.dead_letter, r.sample;
            IF FOUND THEN
                -- or the session of one whose machine is gone would hold it for hours
                PERFORM set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '3', false);
                BEGIN  -- or the statement of an instance that was killed would hold the run until it ends
                    PERFORM set_config('client_connection_check_interval', '1s', false);
                EXCEPTION WHEN invalid_parameter_value THEN
                    NULL;  -- this platform cannot tell
                END;
                RETURN;
            END IF;
            PERFORM control.release_run(candidate);
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION control.take_run(text, bigint) IS 'an instance takes up a run; returns what to do';
