-- results.end_stalled: end a session whose client says that it waits for an answer, if the server has none to give.
--   Parameters session: the pid of its backend; seconds: how long it must have waited for the client
--   Returns    whether it was so; also true of a session that is not there any more
--   Reads      pg_stat_activity
--   Locks      none; what the session had in work is rolled back
--   Notes      A session that works, or waits for a lock, is left alone, however long that takes.
CREATE OR REPLACE FUNCTION results.end_stalled(session int, seconds float8)
RETURNS boolean LANGUAGE sql AS $$
    SELECT CASE
        WHEN NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = session) THEN true
        ELSE coalesce((
            SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a
            WHERE a.pid = session AND a.usename = current_user AND a.datname = current_database()
              AND a.state_change < clock_timestamp() - make_interval(secs => seconds)
              AND (a.state LIKE 'idle%' OR a.wait_event = 'ClientRead')), false) END
$$;
COMMENT ON FUNCTION results.end_stalled(int, float8) IS 'end a session that waits for its client, whose client waits for it';
