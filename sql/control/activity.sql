-- control.merging: the merges that are running, and what they wait for.
--   Returns    view; pid, since: of the session that holds its lock, and when its statement began; program; waits: for what it waits,
--              NULL if for nothing; blockers: the sessions that it waits for
--   Reads      pg_locks, pg_stat_activity of this database
--   Used by    the dashboard
CREATE OR REPLACE FUNCTION control.merging()
RETURNS TABLE (view text, pid int, since timestamptz, program text, waits text, blockers int[])
LANGUAGE sql STABLE AS $$
    SELECT tally.name_of(v.schema_name, v.relation_name), a.pid, a.query_start, a.application_name,
           CASE WHEN a.wait_event_type = 'Lock' THEN a.wait_event END, CASE WHEN a.wait_event_type = 'Lock' THEN pg_blocking_pids(a.pid) ELSE '{}' END
    FROM pg_locks l
    JOIN tally.derived_view v ON v.id = l.objid::bigint
    JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.classid::bigint = tally.lock_class()
      AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) AND a.pid <> pg_backend_pid()
    ORDER BY a.query_start
$$;
COMMENT ON FUNCTION control.merging() IS 'the merges that are running, and what they wait for';

-- control.deltas: how large the delta tables are, the largest first.
--   Parameters most: rows at most
--   Returns    view; delta_bytes, with indexes; live_rows, dead_rows: as PostgreSQL's statistics count them; vacuumed_at: when the
--              last VACUUM ended; stored_bytes: of what the view stores
--   Reads      pg_stat_all_tables, sizes of files
--   Used by    the dashboard
CREATE OR REPLACE FUNCTION control.deltas(most int DEFAULT 50)
RETURNS TABLE (view text, delta_bytes bigint, live_rows bigint, dead_rows bigint, vacuumed_at timestamptz, stored_bytes bigint)
LANGUAGE sql STABLE AS $$
    SELECT tally.name_of(v.schema_name, v.relation_name), pg_total_relation_size(d.delta), s.n_live_tup, s.n_dead_tup,
           greatest(s.last_vacuum, s.last_autovacuum), pg_total_relation_size(tally.relation_of(v))
    FROM tally.derived_view v
    CROSS JOIN LATERAL (SELECT tally.relation_of(v, '_delta')::oid AS delta) d
    JOIN pg_stat_all_tables s ON s.relid = d.delta
    WHERE v.kind <> 'rollup' ORDER BY 2 DESC, 1 LIMIT $1
$$;
COMMENT ON FUNCTION control.deltas(int) IS 'how large the delta tables are, the largest first';

-- control.slow_statements: the statements of this database that took longest on average, of pg_stat_statements, where it is installed.
--   Parameters most: rows at most; texts: also the statements of roles other than this one; false: NULL instead
--   Returns    statement, with parameters instead of values; role; calls; mean_ms, total_ms. No row if the extension is not there or
--              not loaded
--   Reads      pg_stat_statements, as far as this role may
--   Used by    the dashboard
DROP FUNCTION IF EXISTS control.slow_statements(int);  -- it had fewer parameters
CREATE OR REPLACE FUNCTION control.slow_statements(most int DEFAULT 20, texts boolean DEFAULT true)
RETURNS TABLE (statement text, role text, calls bigint, mean_ms float8, total_ms float8)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    place text := (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements');
BEGIN
    IF place IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format('
        SELECT CASE WHEN $2 OR pg_get_userbyid(s.userid) = current_user THEN left(s.query, 500) END, pg_get_userbyid(s.userid)::text, s.calls, s.mean_exec_time, s.total_exec_time FROM %s.pg_stat_statements s
        WHERE s.dbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) ORDER BY s.mean_exec_time DESC LIMIT $1', place) USING slow_statements.most, slow_statements.texts;
EXCEPTION WHEN object_not_in_prerequisite_state OR insufficient_privilege THEN  -- not in shared_preload_libraries, or not for this role
    RETURN;
END
$$;
COMMENT ON FUNCTION control.slow_statements(int, boolean) IS 'the statements that took longest on average, where pg_stat_statements is installed';
