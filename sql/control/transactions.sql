-- control.transactions: transactions that hold things up, the oldest first: those that are older than min_age, and those that somebody
-- waits for.
--   Parameters min_age; texts: also the statements of roles other than this one; false: NULL instead
--   Returns    pid, 0 of a prepared transaction, which has no session; since: when the transaction began; who: role, program and address;
--              state and statement as of pg_stat_activity, hidden for other roles' sessions unless this role may see them
--              (pg_read_all_stats), and for a prepared one "prepared" and the statement that ends it; waits: for what it waits itself;
--              blocks: how many sessions wait for it (for prepared ones: for any of them); blocked_merges: how many of them are instances of
--              Countersink; holds_snapshot: dead rows cannot be removed meanwhile, and a redefinition waits
--   Reads      pg_stat_activity and pg_prepared_xacts of this database; pg_blocking_pids of the sessions that wait
--   Used by    the API
DROP FUNCTION IF EXISTS control.transactions(interval);  -- it had fewer parameters
CREATE OR REPLACE FUNCTION control.transactions(min_age interval DEFAULT interval '5 s', texts boolean DEFAULT true)
RETURNS TABLE (pid int, since timestamptz, role text, program text, address text, state text, statement text, waits text, blocks int, blocked_merges int,
               holds_snapshot boolean)
LANGUAGE sql STABLE AS $$
    WITH session AS MATERIALIZED (
        SELECT a.* FROM pg_stat_activity a WHERE a.datname = current_database() AND a.backend_type = 'client backend'
    ), waiting AS (
        SELECT w.application_name = 'countersink' AS ours, unnest(pg_blocking_pids(w.pid)) AS blocker FROM session w WHERE w.wait_event_type = 'Lock'
    ), blocker AS (
        SELECT w.blocker AS pid, count(*)::int AS blocks, count(*) FILTER (WHERE w.ours)::int AS merges FROM waiting w GROUP BY w.blocker
    )
    SELECT s.pid, s.xact_start, s.usename::text, s.application_name, host(s.client_addr), s.state, CASE WHEN $2 OR s.usename = current_user THEN left(s.query, 500) END,
           CASE WHEN s.wait_event_type = 'Lock' THEN s.wait_event END, coalesce(b.blocks, 0), coalesce(b.merges, 0), s.backend_xmin IS NOT NULL OR s.backend_xid IS NOT NULL
    FROM session s LEFT JOIN blocker b ON b.pid = s.pid
    WHERE s.pid <> pg_backend_pid() AND s.xact_start IS NOT NULL AND (b.pid IS NOT NULL OR s.xact_start < clock_timestamp() - $1)
    UNION ALL
    SELECT 0, p.prepared, p.owner::text, NULL, NULL, 'prepared', CASE WHEN $2 OR p.owner = current_user THEN format('ROLLBACK PREPARED %L', p.gid) END,
           NULL, coalesce(b.blocks, 0), coalesce(b.merges, 0), true
    FROM pg_prepared_xacts p LEFT JOIN blocker b ON b.pid = 0
    WHERE p.database = current_database() AND (b.pid IS NOT NULL OR p.prepared < clock_timestamp() - $1)
    ORDER BY 2 LIMIT 50
$$;
COMMENT ON FUNCTION control.transactions(interval, boolean) IS 'transactions that hold things up, the oldest first';

-- control.end_transaction: cancel the statement of a transaction, or end its session if it is idle.
--   Parameters pid, since: as control.transactions showed them, so that nobody else is met who has the same pid by now
--   Returns    whether it was still there
--   Raises     42501 if this role may not signal that session; 22023 if it is a prepared one, which no function can end
CREATE OR REPLACE FUNCTION control.end_transaction(pid int, since timestamptz)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF $1 = 0 THEN
        RAISE EXCEPTION 'A prepared transaction has no session that could be ended.' USING ERRCODE = '22023',
            HINT = 'Its owner or a superuser ends it with ROLLBACK PREPARED or COMMIT PREPARED, in this database.';
    END IF;
    RETURN coalesce((SELECT CASE a.state WHEN 'active' THEN pg_cancel_backend(a.pid) ELSE pg_terminate_backend(a.pid) END
                     FROM pg_stat_activity a WHERE a.datname = current_database() AND a.pid = $1 AND a.xact_start = $2), false);
END
$$;
COMMENT ON FUNCTION control.end_transaction(int, timestamptz) IS 'cancel the statement of a transaction, or end its session if it is idle';
