-- results.fire_triggers: let triggers fire, as ever, or leave foreign keys to results.hold_parents.
--   Parameters yes: if not, the caller knows by results.knows_keys that nothing else is left out, and lets them fire again before it returns
--   Writes     session_replication_role, for this transaction: a connection pool would pass a longer one to somebody else
--   Notes      PostgreSQL makes every plan of the session again when it changes
CREATE OR REPLACE FUNCTION results.fire_triggers(yes boolean)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('session_replication_role', CASE WHEN yes THEN 'origin' ELSE 'replica' END, true);
END
$$;
COMMENT ON FUNCTION results.fire_triggers(boolean) IS 'let foreign keys be checked by their triggers, or by results.hold_parents';
