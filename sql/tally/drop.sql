-- tally.drop: remove a derived view with all that the engine made for it; a projection with the rollups above it.
--   Locks     ACCESS EXCLUSIVE on the sources until the transaction ends (DROP TRIGGER takes it); the projection's advisory lock
--   Raises    TL017 when another derived view is built on a rollup
CREATE OR REPLACE FUNCTION tally.drop(name text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v    tally.derived_view := tally.lookup(name);
    d    tally.derived_view;
    user_view text;
    chatter text := current_setting('client_min_messages');
BEGIN
    PERFORM pg_advisory_xact_lock(tally.lock_class(), coalesce(v.root_id, v.id));
    IF v.kind = 'rollup' THEN
        SELECT tally.part(x) INTO user_view FROM tally.derived_view x WHERE x.source_id = v.id LIMIT 1;
    END IF;
    IF user_view IS NULL THEN
        SELECT format('%I.%I', x.schema_name, x.relation_name) INTO user_view
        FROM tally.source s JOIN tally.derived_view x ON x.id = s.projection_id
        WHERE s.relation IN (SELECT to_regclass(tally.part(y)) FROM tally.derived_view y WHERE v.id IN (y.id, y.root_id)) LIMIT 1;
    END IF;
    IF user_view IS NOT NULL THEN
        PERFORM tally.fail('TL017', format('%s is built on %s.', user_view, tally.part(v)));
    END IF;
    PERFORM set_config('client_min_messages', 'warning', true);  -- not every kind has every part
    FOR d IN SELECT * FROM tally.drop_order(v.id) LOOP
        PERFORM tally.drop_triggers(d);
        CONTINUE WHEN d.kind = 'snapshot';
        EXECUTE format('DROP VIEW IF EXISTS %s', tally.part(d, '_live'));
        EXECUTE format('DROP VIEW IF EXISTS %s', tally.part(d, '_change'));
    END LOOP;
    FOR d IN SELECT * FROM tally.drop_order(v.id) LOOP
        PERFORM tally.drop_functions(d);
    END LOOP;
    FOR d IN SELECT * FROM tally.drop_order(v.id) LOOP
        PERFORM tally.drop_relations(d);
    END LOOP;
    PERFORM set_config('client_min_messages', chatter, true);
    DELETE FROM tally.derived_view x WHERE x.id = v.id;
    IF v.kind = 'rollup' AND v.root_id IS NOT NULL AND (tally.view_by_id(v.root_id)).state <> 'defined' THEN
        PERFORM tally.generate_above(tally.view_by_id(v.source_id));
    END IF;
END
$$;
COMMENT ON FUNCTION tally.drop(text) IS 'remove a derived view and all that the engine made for it';

-- tally.drop_order: a derived view, the rollups above it and those that serve it, the last made first: nothing is
-- built on what was made after it, but for a rollup on the finer ones that serve it.
CREATE OR REPLACE FUNCTION tally.drop_order(view_id integer)
RETURNS SETOF tally.derived_view LANGUAGE sql STABLE AS $$
    SELECT v FROM tally.derived_view v WHERE view_id IN (v.id, v.root_id, v.serves_id)
    ORDER BY coalesce(v.serves_id, v.id) DESC, v.serves_id NULLS FIRST
$$;

-- tally.drop_triggers: take a projection's triggers from its sources, and from their partitions.
CREATE OR REPLACE FUNCTION tally.drop_triggers(d tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT tgname, tgrelid::regclass AS relation FROM pg_trigger
             WHERE tgname ~ format('^tally_%s_\d+_(insert|update|delete|truncate)$', d.id) AND NOT tgisinternal LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.relation);
    END LOOP;
END
$$;

-- tally.drop_functions: drop the functions of one derived view. Never CASCADE, here and below: what a user built on
-- them makes the drop fail.
CREATE OR REPLACE FUNCTION tally.drop_functions(d tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    object text;
BEGIN
    FOR object IN SELECT p.oid::regprocedure::text FROM pg_proc p
                  WHERE p.pronamespace = to_regnamespace(quote_ident(d.schema_name))
                    AND (p.proname = ANY (ARRAY(SELECT d.relation_name || s FROM unnest('{_first,_backlog,_pending,_bound,_sweep,_step,_take_wide,_put_wide,_evaluate,_merge,_apply,_log}'::text[]) s))
                      OR starts_with(p.proname, d.relation_name || '_') AND substr(p.proname, length(d.relation_name) + 1) ~ '^_(log|expand)_\d+$') LOOP
        EXECUTE format('DROP FUNCTION %s', object);
    END LOOP;
END
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
    IF d.kind = 'snapshot' THEN  -- the materialized view is the user's own
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
END
$$;
