-- results.accepts_writes: whether batches can be applied to this server at all.
--   Returns    false on a standby, and if transactions are read-only by default
--   Reads      nothing
CREATE OR REPLACE FUNCTION results.accepts_writes()
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off'
$$;
COMMENT ON FUNCTION results.accepts_writes() IS 'whether batches can be applied to this server at all';
