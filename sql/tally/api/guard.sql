-- tally.guard: let an event trigger follow every migration inside its own transaction, and not only at the next merge. So a rename or
-- a replaced view is followed before the first write that it could affect.
--   Makes      the event trigger tally_guard. It never makes a migration fail. What it cannot follow is shown by tally.health
--   Raises     TL027
--   Used by    a superuser, once. If the trigger exists, it does nothing
CREATE OR REPLACE FUNCTION tally.guard()
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_event_trigger e WHERE e.evtname = 'tally_guard') THEN
        RETURN;
    END IF;
    CREATE EVENT TRIGGER tally_guard ON ddl_command_end
        WHEN TAG IN ('ALTER TABLE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW', 'ALTER SCHEMA', 'ALTER FUNCTION', 'ALTER ROUTINE', 'ALTER AGGREGATE', 'ALTER TYPE', 'ALTER DOMAIN',
                     'ALTER TEXT SEARCH CONFIGURATION', 'ALTER TEXT SEARCH DICTIONARY', 'CREATE VIEW', 'CREATE FUNCTION', 'CREATE AGGREGATE')
        EXECUTE FUNCTION tally.follow_migration();
    COMMENT ON EVENT TRIGGER tally_guard IS 'derived views follow a migration inside its transaction; tally.unguard() removes it';
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.fail('TL027', format('%s may not make an event trigger.', current_user),
        'A superuser has to call tally.guard() once; on a managed server that is its administrator. Without it the next merge follows.');
END
$$;
COMMENT ON FUNCTION tally.guard() IS 'let an event trigger follow every migration inside its own transaction';

-- tally.unguard: remove the event trigger of tally.guard.
--   Raises     TL027
CREATE OR REPLACE FUNCTION tally.unguard()
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET client_min_messages = warning AS $$
BEGIN
    DROP EVENT TRIGGER IF EXISTS tally_guard;
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.fail('TL027', format('%s may not drop the event trigger tally_guard.', current_user), 'Whoever made it has to call tally.unguard().');
END
$$;
COMMENT ON FUNCTION tally.unguard() IS 'remove the event trigger of tally.guard';

-- tally.follow_migration: the function of the event trigger.
--   Locks      the advisory locks of the derived views whose code it generates again, tried, until the migration's transaction ends
CREATE OR REPLACE FUNCTION tally.follow_migration()
RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v tally.derived_view;
BEGIN
    IF current_setting('tally.following', true) = 'on' THEN
        RETURN;  -- generating code is DDL too
    END IF;
    PERFORM set_config('tally.following', 'on', true);
    FOR v IN SELECT d.* FROM tally.derived_view d JOIN tally.fingerprint f ON f.view_id = d.id
             WHERE d.state <> 'defined' AND f.glance <> tally.glance(f) LOOP
        BEGIN
            IF pg_try_advisory_xact_lock(tally.lock_class(), v.id) THEN
                PERFORM tally.follow_definition(v), tally.arm_triggers(v);
            END IF;
        EXCEPTION WHEN OTHERS THEN
            RAISE NOTICE '% does not follow this migration yet: %', tally.part(v), SQLERRM;
        END;
    END LOOP;
    PERFORM set_config('tally.following', 'off', true);
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'tally_guard: %', SQLERRM;
END
$$;
