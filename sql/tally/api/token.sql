-- tally.token: what tally.wait_for needs to know. Call it inside the transaction that writes.
--   Returns   the transaction's ID
CREATE OR REPLACE FUNCTION tally.token()
RETURNS xid8 LANGUAGE sql VOLATILE AS $$ SELECT pg_catalog.pg_current_xact_id() $$;
COMMENT ON FUNCTION tally.token() IS 'inside a writer''s transaction: the token to hand to tally.wait_for after the commit';
