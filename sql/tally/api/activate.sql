-- tally.activate: start keeping a projection (or a snapshot) and every rollup above it.
--   Parameters name: a derived view
--   Writes     functions, triggers and live views; one delta row that stands for every key, so that ordinary merges do the
--              first fill in bounded steps
--   Locks      SHARE ROW EXCLUSIVE on the sources until the transaction ends: commit soon after
--   Raises     TL007, TL008, TL015
--   Used by    the owner of the schema, once. On an active view it does nothing
CREATE OR REPLACE FUNCTION tally.activate(name text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.activate_by_name(tally.called(name, pg_catalog.current_schemas(true)));
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.fail_denied(name, SQLERRM);
END
$$;
COMMENT ON FUNCTION tally.activate(text) IS 'start keeping a derived view: install triggers, enqueue the first fill';

-- tally.activate_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.activate_by_name(name text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v tally.derived_view := tally.lookup_root(name);
BEGIN
    IF v.state <> 'defined' THEN
        RETURN;
    END IF;
    IF v.kind = 'snapshot' THEN
        PERFORM tally.activate_snapshot(v);
        PERFORM tally.remember_made(v);
        PERFORM tally.take_fingerprint(v);
        PERFORM tally.grant_reading(v);
        RETURN;
    END IF;
    PERFORM tally.refuse_unsafe(v, v.definition);
    PERFORM tally.require_runnable(v.definition);
    PERFORM tally.note_doubts(v);
    PERFORM tally.require_watched_columns(v, s) FROM tally.source s WHERE s.projection_id = v.id AND s.columns IS NOT NULL;
    PERFORM tally.generate(v);
    PERFORM tally.install_triggers(v, v.definition);
    PERFORM tally.take_fingerprint(v);
    PERFORM tally.enqueue_sweep(v);
    UPDATE tally.derived_view d SET state = 'filling' WHERE d.id = v.id;
    PERFORM tally.grant_reading(v);
END
$$;

-- tally.generate: make every function and view of a projection and of the rollups above it.
CREATE OR REPLACE FUNCTION tally.generate(v tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    r tally.derived_view;
BEGIN
    PERFORM tally.generate_backlog(v);
    PERFORM tally.generate_apply(v);
    PERFORM tally.generate_range_end(v);
    PERFORM tally.generate_sweep_range(v);
    PERFORM tally.generate_evaluate(v);
    PERFORM tally.generate_quarantine(v);
    PERFORM tally.generate_consume(v);
    PERFORM tally.generate_live(v);
    PERFORM tally.generate_upkeep(v);
    FOR r IN SELECT * FROM tally.derived_view d WHERE d.root_id = v.id ORDER BY d.serves_id NULLS LAST, d.id LOOP
        PERFORM tally.generate_rollup_apply(r);
    END LOOP;
    FOR r IN SELECT * FROM tally.rollups_above(v.id) LOOP
        PERFORM tally.generate_rollup_live(r);
    END LOOP;
    PERFORM tally.identify_rows(tally.relation_of(d, s)) FROM tally.derived_view d CROSS JOIN unnest('{"",_delta,_state}'::text[]) s
    WHERE v.id IN (d.id, d.root_id) AND tally.relation_of(d, s) IS NOT NULL;
    PERFORM tally.remember_made(v);
    UPDATE tally.derived_view d SET generated_by = tally.generator() WHERE d.id = v.id;
    PERFORM tally.own_made(v);
    PERFORM tally.grant_engine(v);
END
$$;

-- tally.generate_anew: generate the code of an active projection and the rollups above it again, under their present names. The
-- triggers are kept, so no source is locked.
CREATE OR REPLACE FUNCTION tally.generate_anew(v tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s tally.source;
    r tally.derived_view;
    t record;
BEGIN
    FOR r IN SELECT * FROM tally.rollups_above(v.id) LOOP
        PERFORM tally.generate_oracle(r, tally.view_by_id(r.source_id));
        PERFORM tally.comment_rollup(r);
    END LOOP;
    PERFORM tally.generate(v);
    PERFORM tally.comment_projection(v);
    FOR s IN SELECT * FROM tally.source x WHERE x.projection_id = v.id AND x.columns IS NOT NULL ORDER BY x.ordinal LOOP
        PERFORM tally.generate_log(v, s, v.definition);
        PERFORM tally.comment_expand(v, s);
    END LOOP;
    FOR t IN SELECT g.tgname, g.tgrelid::regclass AS relation FROM tally.triggers_of(v.id) g LOOP
        EXECUTE format('COMMENT ON TRIGGER %I ON %s IS %L', t.tgname, t.relation, 'tells ' || tally.part(v) || ' what changed');
    END LOOP;
    PERFORM tally.grant_reading(v);
END
$$;

-- tally.grant_reading: let the role countersink_reader, if it exists, read a projection and the rollups above it.
CREATE OR REPLACE FUNCTION tally.grant_reading(v tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    d tally.derived_view;
    s text;
BEGIN
    IF to_regrole('countersink_reader') IS NULL THEN
        RETURN;
    END IF;
    FOR d IN SELECT * FROM tally.derived_view x WHERE v.id IN (x.id, x.root_id) AND x.serves_id IS NULL LOOP
        IF NOT has_schema_privilege('countersink_reader', d.schema_name, 'USAGE') THEN  -- two sessions that grant at the same time would fail
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO countersink_reader', d.schema_name);
        END IF;
        FOREACH s IN ARRAY '{"",_live,_def}'::text[] LOOP
            IF to_regclass(tally.part(d, s)) IS NOT NULL THEN
                EXECUTE format('GRANT SELECT ON %s TO countersink_reader', tally.part(d, s));
            END IF;
        END LOOP;
        FOR s IN SELECT f.function FROM tally.functions_made(d) f WHERE f.suffix = '_live_at' LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO countersink_reader', s);
        END LOOP;
    END LOOP;
    IF v.kind = 'projection' THEN
        EXECUTE format('GRANT SELECT ON %s TO countersink_reader', v.definition);
    END IF;
END
$$;
