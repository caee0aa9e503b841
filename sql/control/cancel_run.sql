-- control.cancel_run: end a run that nobody wants any more: one that waits at once, one at work by cancelling its statement.
--   Returns    whether there was something to end
--   Reads      pg_locks: whose session has taken it up
--   Writes     control.run
--   Raises     nothing: of a run that is over there is nothing to end
CREATE OR REPLACE FUNCTION control.cancel_run(run bigint)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE control.run r SET state = 'failed', finished_at = clock_timestamp(), code = '57014', error = 'The run was cancelled before it began.'
    WHERE r.id = cancel_run.run AND r.state = 'queued';
    RETURN FOUND OR coalesce((
        SELECT bool_or(pg_cancel_backend(l.pid)) FROM pg_locks l
        WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
          AND l.classid = control.run_lock()::oid AND l.objid = (cancel_run.run & 2147483647)::oid AND l.objsubid = 2), false);
END
$$;
COMMENT ON FUNCTION control.cancel_run(bigint) IS 'end a run that waits or is at work';
