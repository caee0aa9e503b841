-- Roles: countersink_owner (owns nothing by itself; grant it to the roles that declare views), countersink_reader (reads derived views),
-- countersink_operator (refreshes, verifies, repairs, rebuilds, pauses, resumes, schedules). PUBLIC gets no rights.
-- If the installing role may not create roles, existing ones are used.
DO $$
DECLARE
    wanted   name;
    asked_by text;
BEGIN
    FOREACH wanted IN ARRAY '{countersink_owner,countersink_reader,countersink_operator}'::name[] LOOP
        IF to_regrole(wanted) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION
                WHEN insufficient_privilege THEN RAISE NOTICE 'Role % is not there and may not be created: its rights are left out.', wanted;
                WHEN duplicate_object OR unique_violation THEN NULL;  -- created at the same moment by an installation in another database
            END;
        END IF;
    END LOOP;
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tally FROM PUBLIC;
    IF to_regrole('countersink_owner') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA tally TO countersink_owner;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tally TO countersink_owner;
        REVOKE TRIGGER, REFERENCES, TRUNCATE ON ALL TABLES IN SCHEMA tally FROM countersink_owner;  -- a trigger would run as whoever merges
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA tally TO countersink_owner;
    END IF;
    IF to_regrole('countersink_operator') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION tally.merge_by_name(text, integer), tally.refresh_by_name(text), tally.verify_by_name(text, float8), tally.repair_by_name(text),
            tally.rebuild_by_name(text), tally.pause_by_name(text), tally.resume_by_name(text), tally.schedule_by_name(text, jsonb, integer) TO countersink_operator;
        GRANT EXECUTE ON FUNCTION tally.merge(text, integer), tally.refresh(text), tally.verify(text, float8), tally.repair(text), tally.rebuild(text),
            tally.pause(text), tally.resume(text), tally.schedule(text, jsonb, integer), tally.ready(text[], boolean), tally.catalog_changes() TO countersink_operator;
    END IF;
    FOR wanted IN SELECT r FROM unnest('{countersink_reader,countersink_operator}'::name[]) r WHERE to_regrole(r) IS NOT NULL LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA tally TO %I', wanted);
        EXECUTE format('GRANT SELECT ON tally.status, tally.health TO %I', wanted);
        EXECUTE format($grant$GRANT EXECUTE ON FUNCTION tally.called(text, name[]), tally.token(), tally.wait_for(text, xid8, interval), tally.wait_for_by_name(text, xid8, interval), tally.exists(text), tally.exists_by_name(text),
            tally.views(text), tally.views_by_name(text), tally.due(), tally.missing_indexes(jsonb) TO %I$grant$, wanted);
        EXECUTE format($grant$GRANT EXECUTE ON FUNCTION tally.explain(regclass, text[]), tally.explain(text), tally.explain(text, text[]), tally.explain_named(text, text), tally.explain_view(text, text[]), tally.explain_in(text, text[], text), tally.view_named(text, text),
            tally.relation_named(text, text), tally.keep_statements(text, text[]), tally.keep_statements_in(text, text[], text), tally.name_for(regclass), tally.cut_name(text, integer), tally.explain_key(regclass, name[], text, integer),
            tally.derive(regclass, name[], text, boolean), tally.propose_keys(regclass), tally.no_key(regclass),
            tally.declared_as(text), tally.compared(integer, regclass, name[], text), tally.estimated_rows(regclass), tally.way_steps(jsonb, jsonb), tally.key_lookups(jsonb, jsonb), tally.same_sql(text, text), tally.is_gin_on(pg_index, smallint),
            tally.reason(regclass, name[], text, text, jsonb, jsonb), tally.reason_of_cost(name[], jsonb), tally.reason_of_ways(regclass, text, text, jsonb, jsonb),
            tally.reason_of_barrier(regclass, text, jsonb), tally.instances_of(regclass, jsonb), tally.readable(jsonb, jsonb), tally.bare(text), tally.with_aliases(text, jsonb), tally.way_aliases(jsonb, jsonb), tally.unused_name(text, text[]), tally.no_view(regclass),
            tally.column_list(name[], text, text), tally.require_columns(regclass, name[]), tally.require_list(text[], text), tally.fail(text, text), tally.error_catalogue(), tally.columns_of(regclass), tally.view_tree(oid) TO %I$grant$, wanted);
        -- status and health call functions, so the roles that read these views need the right to call them
        FOR asked_by IN
            SELECT DISTINCT d.refobjid::regprocedure::text FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
            JOIN pg_proc p ON p.oid = d.refobjid AND d.refclassid = 'pg_proc'::regclass AND p.pronamespace = 'tally'::regnamespace
            WHERE w.ev_class IN ('tally.status'::regclass, 'tally.health'::regclass, 'tally.made_now'::regclass) LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', asked_by, wanted);
        END LOOP;
    END LOOP;
END
$$;
