-- Roles: countersink_owner (owns nothing by itself; grant it to who declares), countersink_reader (reads derived views),
-- countersink_operator (refreshes, verifies, repairs, rebuilds, pauses, resumes, schedules). Nothing goes to PUBLIC.
-- Where the installing role may not create roles, the roles that are there are used.
DO $$
DECLARE
    wanted name;
BEGIN
    FOREACH wanted IN ARRAY '{countersink_owner,countersink_reader,countersink_operator}'::name[] LOOP
        IF to_regrole(wanted) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION
                WHEN insufficient_privilege THEN RAISE NOTICE 'Role % is not there and may not be created: its rights are left out.', wanted;
                WHEN duplicate_object OR unique_violation THEN NULL;  -- another database of the cluster, at the same moment
            END;
        END IF;
    END LOOP;
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tally FROM PUBLIC;
    IF to_regrole('countersink_owner') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA tally TO countersink_owner;
        GRANT ALL ON ALL TABLES IN SCHEMA tally TO countersink_owner;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA tally TO countersink_owner;
    END IF;
    IF to_regrole('countersink_reader') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA tally TO countersink_reader;
        GRANT SELECT ON tally.status, tally.health TO countersink_reader;
        GRANT EXECUTE ON FUNCTION tally.token(), tally.wait_for(text, xid8, interval), tally.exists(text), tally.views(text), tally.due(),
            tally.backlog_of(integer), tally.table_and_children(regclass), tally.stray_triggers(tally.source), tally.trigger_name(tally.derived_view, tally.source, text), tally.generator(), tally.definition_trouble(integer) TO countersink_reader;
    END IF;
    IF to_regrole('countersink_operator') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA tally TO countersink_operator;
        GRANT SELECT ON tally.status, tally.health TO countersink_operator;
        GRANT EXECUTE ON FUNCTION tally.merge(text, integer), tally.refresh(text), tally.verify(text, float8), tally.repair(text), tally.rebuild(text),
            tally.pause(text), tally.resume(text), tally.schedule(text, jsonb, integer), tally.exists(text), tally.views(text), tally.due(), tally.token(), tally.wait_for(text, xid8, interval),
            tally.backlog_of(integer), tally.table_and_children(regclass), tally.stray_triggers(tally.source), tally.trigger_name(tally.derived_view, tally.source, text), tally.generator(), tally.definition_trouble(integer) TO countersink_operator;
    END IF;
END
$$;
