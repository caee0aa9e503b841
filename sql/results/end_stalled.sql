-- results.stalled_session: what a session has received, if it waits for its client.
--   Parameters session: the pid of its backend; seconds: since when it must have been in its statement, or without one
--   Returns    a text that changes with whatever the session receives; '' if there is no such session; NULL if it works, or waits
--              for something else, such as a lock
--   Reads      pg_stat_activity, pg_stat_progress_copy
CREATE OR REPLACE FUNCTION results.stalled_session(session int, seconds float8)
RETURNS text LANGUAGE sql AS $$
    SELECT CASE
        WHEN NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = session) THEN ''
        ELSE (SELECT format('%s %s %s %s', a.backend_start, a.state, a.state_change, c.bytes_processed)
              FROM pg_stat_activity a LEFT JOIN pg_stat_progress_copy c USING (pid)
              WHERE a.pid = session AND a.usename = current_user AND a.datname = current_database()
                AND a.state_change < clock_timestamp() - make_interval(secs => seconds)
                AND (a.state LIKE 'idle%' OR a.wait_event = 'ClientRead')) END
$$;
COMMENT ON FUNCTION results.stalled_session(int, float8) IS 'what a session that waits for its client has received';

-- results.end_stalled: end a session whose client says that it waits for an answer, if the server has none to give.
--   Parameters session, seconds: as for results.stalled_session; seen: what that returned before, so that only a session which has
--              received nothing since then is ended. Between two rows of a COPY every session waits for its client, and on a busy
--              machine a single look may find it so, or find it before it has run again. NULL: one look is enough
--   Returns    whether it was so; also true of a session that is not there any more
--   Reads      pg_stat_activity, pg_stat_progress_copy
--   Locks      none; what the session had in work is rolled back
--   Notes      A session that works, or waits for a lock, is left alone, however long that takes.
DROP FUNCTION IF EXISTS results.end_stalled(int, float8);
CREATE OR REPLACE FUNCTION results.end_stalled(session int, seconds float8, seen text DEFAULT NULL)
RETURNS boolean LANGUAGE sql AS $$
    SELECT CASE WHEN s.now = '' THEN true
                WHEN s.now = coalesce(seen, s.now) THEN pg_terminate_backend(session)
                ELSE false END
    FROM (SELECT results.stalled_session(session, seconds) OFFSET 0) s (now)
$$;
COMMENT ON FUNCTION results.end_stalled(int, float8, text) IS 'end a session that waits for its client, whose client waits for it';
