-- results.limit_waits: bound how long the transaction waits for a lock.
--   Returns    the bound in milliseconds: ten seconds, the session's lock_timeout, or half of its statement_timeout, whichever is least
--   Locks      none
--   Notes      Without it, a row that another session has locked for an hour would hold a writer, and all messages of its batch, for
--              an hour. And of a statement that ends by statement_timeout nobody would know whether it waited or worked.
CREATE OR REPLACE FUNCTION results.limit_waits()
RETURNS text LANGUAGE sql AS $$
    SELECT set_config('lock_timeout', ceil(least(10000, nullif(of.lock, 0), nullif(of.statement, 0) / 2))::text, true)
    FROM (SELECT 1000 * extract(epoch FROM current_setting('lock_timeout')::interval) AS lock,
                 1000 * extract(epoch FROM current_setting('statement_timeout')::interval) AS statement) of
$$;
COMMENT ON FUNCTION results.limit_waits() IS 'bound how long the transaction waits for a lock';
