-- tally.drop: remove a derived view with all that the engine made for it; for a projection, also the rollups above it.
--   Locks     the projection's advisory lock; ACCESS EXCLUSIVE, by tally.lock_tables, on the sources (DROP TRIGGER needs it) and on what is
--             dropped, until the transaction ends
--   Raises    TL015; TL017 if another derived view is built on it
CREATE OR REPLACE FUNCTION tally.drop(name text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.drop_by_name(tally.called(name, pg_catalog.current_schemas(true)));
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.fail_denied(name, SQLERRM);
END
$$;
COMMENT ON FUNCTION tally.drop(text) IS 'remove a derived view and all that the engine made for it';

-- tally.drop_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.drop_by_name(name text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    PERFORM tally.lock_root(name);
    PERFORM tally.drop_view(tally.lookup(name));
END
$$;

-- tally.drop_view: the same for a view that is already locked, independent of the caller's search_path.
CREATE OR REPLACE FUNCTION tally.drop_view(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    next tally.derived_view;
    user_view text;
    schemas   name[];
BEGIN
    IF (tally.split_of(v)).rollup_id IS NOT NULL AND (tally.split_of(v)).rollup_id IN (v.id, (SELECT d.id FROM tally.derived_view d WHERE d.root_id = v.id AND d.definition IS NOT NULL)) THEN
        PERFORM tally.drop_split(tally.split_of(v));
        RETURN;
    END IF;
    next := tally.replacement_of(v.id);
    schemas := ARRAY(SELECT DISTINCT d.schema_name FROM tally.drop_order(v.id) d);
    IF next.id IS NOT NULL THEN
        PERFORM tally.drop(tally.part(next));
    END IF;
    IF v.kind = 'rollup' THEN
        SELECT tally.part(x) INTO user_view FROM tally.derived_view x WHERE x.source_id = v.id LIMIT 1;
    END IF;
    IF user_view IS NULL THEN
        SELECT format('%I.%I', x.schema_name, x.relation_name) INTO user_view
        FROM tally.source s JOIN tally.derived_view x ON x.id = s.projection_id
        WHERE s.relation IN (SELECT tally.relation_of(y) FROM tally.derived_view y WHERE v.id IN (y.id, y.root_id)) LIMIT 1;
    END IF;
    IF user_view IS NOT NULL THEN
        PERFORM tally.fail('TL017', format('%s is built on %s.', user_view, tally.part(v)));
    END IF;
    PERFORM tally.lock_tables(ARRAY(
        SELECT g.tgrelid::regclass FROM tally.drop_order(v.id) d CROSS JOIN LATERAL tally.triggers_of(d.id) g
        UNION SELECT tally.relation_of(d, s) FROM tally.drop_order(v.id) d CROSS JOIN unnest('{"",_delta,_state}'::text[]) s
        WHERE d.kind <> 'snapshot' AND tally.relation_of(d, s) IS NOT NULL AND tally.relation_of(d, s) IS DISTINCT FROM d.definition), 'ACCESS EXCLUSIVE');
    PERFORM tally.drop_made(v.id);
    DELETE FROM tally.derived_view x WHERE x.id = v.id;
    PERFORM tally.revoke_usage(schemas);
    IF v.kind = 'rollup' AND v.root_id IS NOT NULL AND (tally.view_by_id(v.root_id)).state <> 'defined' THEN
        PERFORM tally.generate_above(tally.view_by_id(v.source_id));
    END IF;
END
$$;

-- tally.drop_split: remove what a view that groups was split into. The rows stay if something else was built on them.
CREATE OR REPLACE FUNCTION tally.drop_split(s tally.split)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    r    tally.derived_view := tally.view_by_id(s.rollup_id);
    rows_ tally.derived_view := tally.view_by_id(r.root_id);
    more boolean := EXISTS (SELECT FROM tally.derived_view d WHERE d.root_id = rows_.id AND r.id NOT IN (d.id, coalesce(d.serves_id, 0)))
                 OR EXISTS (SELECT FROM tally.source x WHERE x.relation = tally.relation_of(rows_));
BEGIN
    IF s.shown IS NOT NULL THEN
        EXECUTE format('DROP VIEW IF EXISTS %I.%I, %I.%I', r.schema_name, s.shown, r.schema_name, s.shown || '_live');
    END IF;
    DELETE FROM tally.split x WHERE x.rollup_id = r.id;
    IF more THEN
        PERFORM tally.drop(tally.part(r));
    ELSE
        PERFORM tally.drop(tally.part(rows_));
        IF EXISTS (SELECT FROM pg_class c WHERE c.oid = rows_.definition) THEN  -- it has no name any more if its schema was dropped first
            EXECUTE format('DROP VIEW %s', rows_.definition);
        END IF;
    END IF;
END
$$;

-- tally.drop_made: drop the triggers, views, functions, tables and types made for a derived view and for the rollups above it.
CREATE OR REPLACE FUNCTION tally.drop_made(view_id integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    d       tally.derived_view;
    chatter text := current_setting('client_min_messages');
BEGIN
    PERFORM set_config('client_min_messages', 'warning', true);  -- no notices from IF EXISTS: not every kind has every part
    FOR d IN SELECT * FROM tally.drop_order(view_id) LOOP
        PERFORM tally.drop_triggers(d);
        CONTINUE WHEN d.kind = 'snapshot';
        EXECUTE format('DROP VIEW IF EXISTS %s', tally.part(d, '_live'));
        EXECUTE format('DROP VIEW IF EXISTS %s', tally.part(d, '_change'));
    END LOOP;
    FOR d IN SELECT * FROM tally.drop_order(view_id) LOOP
        PERFORM tally.drop_functions(d);
        PERFORM tally.revoke_reading(d);
    END LOOP;
    FOR d IN SELECT * FROM tally.drop_order(view_id) LOOP
        PERFORM tally.drop_relations(d);
    END LOOP;
    PERFORM set_config('client_min_messages', chatter, true);
END
$$;

-- tally.revoke_reading, tally.revoke_usage: revoke what tally.grant_reading granted on objects that stay: on the definition or the
-- materialized view, and on schemas without any derived view.
CREATE OR REPLACE FUNCTION tally.revoke_reading(d tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF to_regrole('countersink_reader') IS NOT NULL AND EXISTS (SELECT FROM pg_class c WHERE c.oid = tally.definition_of(d))
       AND NOT EXISTS (SELECT FROM tally.derived_view o WHERE tally.definition_of(o) = tally.definition_of(d) AND o.id <> d.id) THEN
        EXECUTE format('REVOKE SELECT ON %s FROM countersink_reader', tally.definition_of(d));
    END IF;
END
$$;
CREATE OR REPLACE FUNCTION tally.revoke_usage(schemas name[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s name;
BEGIN
    FOREACH s IN ARRAY schemas LOOP
        IF to_regrole('countersink_reader') IS NOT NULL AND to_regnamespace(quote_ident(s)) IS NOT NULL
           AND NOT EXISTS (SELECT FROM tally.derived_view d WHERE d.schema_name = s) THEN
            EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM countersink_reader', s);
        END IF;
    END LOOP;
END
$$;

-- tally.drop_order: a derived view, the rollups above it and those that serve it, the last made first. Nothing depends on what was
-- made after it, with one exception: a rollup depends on the finer ones that serve it.
CREATE OR REPLACE FUNCTION tally.drop_order(view_id integer)
RETURNS SETOF tally.derived_view LANGUAGE sql STABLE AS $$
    SELECT v FROM tally.derived_view v WHERE view_id IN (v.id, v.root_id, v.serves_id)
    ORDER BY coalesce(v.serves_id, v.id) DESC, v.serves_id NULLS FIRST
$$;

-- tally.drop_triggers: drop a projection's triggers on its sources and their partitions.
CREATE OR REPLACE FUNCTION tally.drop_triggers(d tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT g.tgname, g.tgrelid::regclass AS relation FROM tally.triggers_of(d.id) g LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.relation);
    END LOOP;
END
$$;

-- tally.drop_functions: drop the functions of one derived view. CASCADE is not used here or below, so the drop fails if a user
-- has built something on them.
CREATE OR REPLACE FUNCTION tally.drop_functions(d tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    object text;
BEGIN
    FOR object IN SELECT f.function FROM tally.functions_made(d) f LOOP
        EXECUTE format('DROP FUNCTION %s', object);
    END LOOP;
END
$$;

-- tally.functions_made: the functions made for one derived view, and the suffix that follows the view's name.
CREATE OR REPLACE FUNCTION tally.functions_made(d tally.derived_view)
RETURNS TABLE (function text, suffix text) LANGUAGE sql STABLE AS $$
    SELECT p.oid::regprocedure::text, substr(p.proname, length(d.relation_name) + 1)
    FROM pg_proc p
    WHERE p.pronamespace = to_regnamespace(quote_ident(d.schema_name)) AND starts_with(p.proname, d.relation_name)
      AND substr(p.proname, length(d.relation_name) + 1)
          ~ ('^_(log|log_\d+|expand_\d+|first|backlog|pending|pending_keys|live_rows|live_at|touched_cells|add|range_end|sweep_range|sweep_forward|sweep_alone|take|take_sweep|discard|sweep_position|wide_span|oldest|take_wide|put_wide|evaluate|halve|quarantined|set_aside'
             || '|consume|apply|verify|repair|enqueue|mend|refresh|write_back|begin_\d+|move_\d+'
             || '|bound|sweep|step|merge)$')  -- the last four were made by engines up to 2026-11; an upgrade removes them
$$;

-- tally.drop_relations: drop the oracle of a rollup, and the tables and types of one derived view.
CREATE OR REPLACE FUNCTION tally.drop_relations(d tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    object text;
BEGIN
    FOR object IN SELECT tally.extremum_index(d, m.argument) FROM tally.measures_of(d) m WHERE m.function IN ('min', 'max') LOOP
        EXECUTE format('DROP INDEX IF EXISTS %I.%I', (tally.view_by_id(d.source_id)).schema_name, object);
    END LOOP;
    IF d.kind = 'snapshot' THEN  -- the materialized view belongs to the user
        EXECUTE format('DROP TABLE IF EXISTS %s', tally.part(d, '_delta'));
        RETURN;
    END IF;
    IF d.kind = 'rollup' THEN
        EXECUTE format('DROP VIEW IF EXISTS %s', tally.part(d, '_def'));
    END IF;
    FOREACH object IN ARRAY '{"",_delta,_state}'::text[] LOOP
        EXECUTE format('DROP TABLE IF EXISTS %s', tally.part(d, object));
    END LOOP;
    EXECUTE format('DROP TYPE IF EXISTS %s', tally.part(d, '_identity'));
    EXECUTE format('DROP TYPE IF EXISTS %s', tally.part(d, '_cell'));
    EXECUTE format('DROP TYPE IF EXISTS %s', tally.part(d, '_touched'));
END
$$;
