-- control.cancel_long_statements: cancel the statements of some roles that have run for longer than a limit.
--   Parameters roles: their names; most_time: the limit
--   Returns    a row for each statement that is too long: pid, role, program, for how many seconds it has run, its first 200 characters in one line, and
--              whether it was cancelled (false: the caller may not; GRANT pg_signal_backend or membership in the role lets it)
--   Reads      pg_stat_activity of this database, sessions of clients alone: replication, autovacuum and workers have other types. Sessions of the program
--              itself are left alone, whatever ApplicationName its URL has; a pooler may add ' - ' and its client's address
--   Used by    the watchdog
CREATE OR REPLACE FUNCTION control.cancel_long_statements(roles text[], most_time interval)
RETURNS TABLE (pid int, role text, program text, seconds float8, statement text, cancelled boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    long record;
BEGIN
    FOR long IN SELECT a.pid, a.usename::text AS role, a.application_name AS program, extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS seconds, left(regexp_replace(a.query, '[[:cntrl:][:space:]\u2028-\u202E\u2066-\u2069]+', ' ', 'g'), 200) AS statement
                FROM pg_stat_activity a
                WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND a.usename = ANY (cancel_long_statements.roles) AND a.pid <> pg_backend_pid()
                  AND (a.usename <> current_user OR split_part(a.application_name, ' - ', 1) NOT IN ('countersink', split_part(current_setting('application_name'), ' - ', 1))) AND a.state = 'active' AND a.query_start < clock_timestamp() - cancel_long_statements.most_time LOOP
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

-- control.watchdog_lacks: why statements of some roles cannot be cancelled, a sentence each.
--   Parameters roles: their names
--   Reads      pg_roles
--   Used by    the watchdog, when it begins
CREATE OR REPLACE FUNCTION control.watchdog_lacks(roles text[])
RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN r.oid IS NULL THEN format('there is no role %I', n.name)
                WHEN r.rolsuper THEN format('the role %I is a superuser, and %I is not', n.name, current_user)
                ELSE format('it may not cancel statements of %I: GRANT pg_signal_backend TO %I', n.name, current_user) END
    FROM unnest(roles) n(name) LEFT JOIN pg_roles r ON r.rolname = n.name, pg_roles me
    WHERE me.rolname = current_user
      AND (r.oid IS NULL OR NOT me.rolsuper AND (r.rolsuper OR NOT pg_has_role(r.oid, 'USAGE') AND NOT pg_has_role('pg_signal_backend', 'USAGE')))
$$;
COMMENT ON FUNCTION control.watchdog_lacks(text[]) IS 'why statements of some roles cannot be cancelled';
