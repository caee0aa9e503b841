-- results.own_session: allow batches of this session to check foreign keys set by set (results.hold_parents).
--   Writes     the setting countersink.own_session: whether session_replication_role is origin and the caller may set it
--   Notes      For a session that does nothing but write messages: session_replication_role stays replica between batches, because PostgreSQL
--              discards every plan of a session in which it changes, and to make them again takes longer than a small batch.
CREATE OR REPLACE FUNCTION results.own_session()
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('countersink.own_session', (current_setting('session_replication_role') = 'origin'
                                                   AND has_parameter_privilege('session_replication_role', 'SET'))::text, false);
END
$$;
COMMENT ON FUNCTION results.own_session() IS 'allow batches of this session to check foreign keys set by set';

-- results.fire_triggers: let triggers fire, as ever, or leave foreign keys to results.hold_parents.
--   Parameters yes: if not, the caller knows by results.knows_keys that nothing else is left out
--   Writes     session_replication_role, in sessions of results.own_session
CREATE OR REPLACE FUNCTION results.fire_triggers(yes boolean)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wanted text := CASE WHEN yes THEN 'origin' ELSE 'replica' END;
BEGIN
    IF current_setting('countersink.own_session', true) = 'true' AND current_setting('session_replication_role') <> wanted THEN
        PERFORM set_config('session_replication_role', wanted, false);
    END IF;
END
$$;
COMMENT ON FUNCTION results.fire_triggers(boolean) IS 'let foreign keys be checked by their triggers, or by results.hold_parents';

-- results.fire_triggers_of: let triggers fire if a table has others than results.has_others_triggers knows.
--   Locks      the table as a write does, so that none is added before the transaction ends
CREATE OR REPLACE FUNCTION results.fire_triggers_of(relation regclass)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('session_replication_role') = 'replica' THEN
        EXECUTE format('LOCK TABLE %s IN ROW EXCLUSIVE MODE', relation);
        IF results.has_others_triggers(ARRAY[relation]) THEN
            PERFORM results.fire_triggers(true);
        END IF;
    END IF;
END
$$;
COMMENT ON FUNCTION results.fire_triggers_of(regclass) IS 'let triggers fire if a table has some of somebody''s own';
