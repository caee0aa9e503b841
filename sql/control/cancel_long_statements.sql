-- control.cancel_long_statements: cancel the statements of some roles that have run for longer than a limit.
--   Parameters roles: their names; most_time: the limit
--   Returns    a row for each statement that is too long: pid, role, program, for how many seconds it has run, its first 200 characters in one line, and
--              whether it was cancelled (false: the caller may not; GRANT pg_signal_backend or membership in the role lets it)
--   Reads      pg_stat_activity of this database. Sessions of the program itself are left alone
--   Used by    the watchdog
CREATE OR REPLACE FUNCTION control.cancel_long_statements(roles text[], most_time interval)
RETURNS TABLE (pid int, role text, program text, seconds float8, statement text, cancelled boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    long record;
BEGIN
    FOR long IN SELECT a.pid, a.usename::text AS role, a.application_name AS program, extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS seconds, left(regexp_replace(a.query, '[[:cntrl:][:space:]]+', ' ', 'g'), 200) AS statement
                FROM pg_stat_activity a
                WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND a.usename = ANY (cancel_long_statements.roles) AND a.pid <> pg_backend_pid()
                  AND (a.usename <> current_user OR a.application_name <> 'countersink') AND a.state = 'active' AND a.query_start < clock_timestamp() - cancel_long_statements.most_time LOOP
        cancelled := false;
        BEGIN
            cancelled := pg_cancel_backend(long.pid);
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;  -- it is told, and the others are cancelled
        END;
        pid := long.pid; role := long.role; program := long.program; seconds := long.seconds; statement := long.statement;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION control.cancel_long_statements(text[], interval) IS 'cancel the statements of some roles that have run for longer than a limit';
