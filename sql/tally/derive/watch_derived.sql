-- tally.watch_derived: watch a source as derived from the definition.
--   Raises    TL018 (an expand without columns), TL016
--   Writes    as tally.watch; warns if each change makes every key pending
CREATE OR REPLACE FUNCTION tally.watch_derived(v tally.derived_view, source regclass, expand text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    d record;
BEGIN
    IF expand IS NOT NULL THEN
        PERFORM tally.fail('TL018', format('expand of %s is given without the columns that it is a query over.', source));
    END IF;
    SELECT x.* INTO d FROM tally.derive(v.definition, v.key, tally.part(v)) x WHERE x.source = watch_derived.source;
    IF NOT FOUND AND v.state = 'defined' THEN
        PERFORM tally.fail('TL018', format('%s does not read %s, so nothing can be derived of it.', v.definition, source));
    ELSIF NOT FOUND THEN  -- the next definition reads it; tally.copy_sources will derive it then
        PERFORM tally.add_source(v, source, tally.watched(source, '[]'), tally.sql_no_key(v.definition, v.key), true, tally.fixed_path(source));
        RETURN;
    END IF;
    IF d.reach = 'every key' THEN
        RAISE WARNING '%', format('Each change of %s costs every key of %s: %s', source, tally.part(v), tally.reason(source, v.key, d.reach, d.why, d.ways, d.shape));
    END IF;
    PERFORM tally.add_derived(v, source, d.columns, d.expand, d.ways, d.shape);
END
$$;

-- tally.add_derived: add a derived source. Its SQL is parsed with only pg_catalog in the search_path.
CREATE OR REPLACE FUNCTION tally.add_derived(v tally.derived_view, source regclass, columns name[], expand text, ways jsonb, shape jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s tally.source;
BEGIN
    PERFORM tally.require_source(source);
    s := tally.add_source(v, source, columns, expand, true, tally.fixed_path(source));
    UPDATE tally.source x SET wanted = tally.wanted_indexes(ways, shape) WHERE x.projection_id = v.id AND x.ordinal = s.ordinal;
END
$$;

-- tally.derive_sources: watch every table that the definition of a projection reads and that is not yet a source.
--   Used by   tally.copy_sources
CREATE OR REPLACE FUNCTION tally.derive_sources(v tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    d record;
BEGIN
    FOR d IN SELECT x.* FROM tally.derive(v.definition, v.key, tally.part(v)) x JOIN pg_class c ON c.oid = x.source AND c.relkind IN ('r', 'p')
             WHERE NOT tally.is_source(v.id, x.source) LOOP
        IF d.reach = 'every key' THEN
            RAISE WARNING '%', format('Each change of %s costs every key of %s: %s', d.source, tally.part(v), tally.reason(d.source, v.key, d.reach, d.why, d.ways, d.shape));
        END IF;
        PERFORM tally.add_derived(v, d.source, d.columns, d.expand, d.ways, d.shape);
    END LOOP;
END
$$;

-- tally.derive_anew: after the definition of an active projection has changed: derive its derived sources again, and watch the tables
-- that it now reads too. Sources declared by hand are kept. A table that it no longer reads stays watched, and leads to no key.
--   Locks     SHARE ROW EXCLUSIVE on the sources until the transaction ends, if the watch of some source changes. Writers behind it wait
--             half a second at most
--   Raises    TL015, TL016
--   Used by   tally.make_for_definition, which enqueues every key. So pending delta rows of a source whose watch changes can be dropped
CREATE OR REPLACE FUNCTION tally.derive_anew(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET lock_timeout = '500ms' AS $$
DECLARE
    d record;
    s tally.source;
BEGIN
    IF NOT EXISTS (SELECT FROM tally.source x WHERE x.projection_id = v.id AND x.derived) THEN
        RETURN;
    END IF;
    PERFORM tally.interrupt_autovacuum(ARRAY(SELECT t FROM tally.tables_read(v.definition) t) || tally.watched_tables(v));
    FOR d IN SELECT coalesce(x.source, o.relation) AS source, coalesce(x.columns, tally.watched(o.relation, '[]')) AS columns,
                    CASE WHEN x.source IS NULL THEN tally.sql_no_key(v.definition, v.key) ELSE x.expand END AS expand, x.ways, x.shape
             FROM (SELECT y.* FROM tally.derive(v.definition, v.key, tally.part(v)) y JOIN pg_class c ON c.oid = y.source AND c.relkind IN ('r', 'p')) x
             FULL JOIN (SELECT y.relation FROM tally.source y JOIN pg_class c ON c.oid = y.relation WHERE y.projection_id = v.id AND y.derived) o ON o.relation = x.source LOOP
        SELECT * INTO s FROM tally.source x WHERE x.projection_id = v.id AND x.relation = d.source;
        IF NOT FOUND THEN
            PERFORM tally.watch_new(v, d.source, d.columns, d.expand, d.ways, d.shape);
        ELSIF s.derived AND (s.columns <> d.columns OR s.expand IS DISTINCT FROM d.expand) THEN
            PERFORM tally.watch_otherwise(v, s, d.columns, d.expand);
            UPDATE tally.source x SET wanted = coalesce(tally.wanted_indexes(d.ways, d.shape), '[]') WHERE x.projection_id = v.id AND x.ordinal = s.ordinal;
        ELSIF s.derived AND s.expand IS NOT NULL THEN
            PERFORM tally.parse_expand_again(v, s);
        END IF;
    END LOOP;
END
$$;

-- tally.parse_expand_again: make the function of a derived expand again from its text. A table that has taken the name of another is read then.
CREATE OR REPLACE FUNCTION tally.parse_expand_again(v tally.derived_view, s tally.source)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    made regprocedure := to_regprocedure(format('%s(%s)', tally.part(v, '_expand_' || s.ordinal), tally.given_list(s, NULL)));
BEGIN
    IF made IS NOT NULL THEN  -- otherwise a watched column has got another type, and the delta table's has not
        EXECUTE format('DROP FUNCTION %s', made);
        PERFORM tally.generate_expand(v, s.ordinal, tally.fixed_path(s.relation));
    END IF;
END
$$;

-- tally.derives_otherwise: whether this engine would derive another watch of some source than the engine that declared it.
--   Notes     what cannot be derived now is left as it is, with a warning
--   Used by   tally.regenerate
CREATE OR REPLACE FUNCTION tally.derives_otherwise(v tally.derived_view)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM tally.source s WHERE s.projection_id = v.id AND s.derived) AND EXISTS (
        SELECT FROM tally.derive(v.definition, v.key, tally.part(v)) x
        JOIN pg_class c ON c.oid = x.source AND c.relkind IN ('r', 'p')
        LEFT JOIN tally.source s ON s.projection_id = v.id AND s.relation = x.source
        WHERE s.relation IS NULL OR s.derived AND (s.columns <> x.columns OR s.expand IS DISTINCT FROM x.expand));
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'What % watches was not derived again: %', tally.part(v), SQLERRM;
    RETURN false;
END
$$;

-- tally.watch_new: watch a table that the changed definition reads, if the merging role may put triggers on it; otherwise tally.refuse_unsafe names the table.
CREATE OR REPLACE FUNCTION tally.watch_new(v tally.derived_view, source regclass, columns name[], expand text, ways jsonb, shape jsonb)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.add_derived(v, source, columns, expand, ways, shape);
EXCEPTION WHEN insufficient_privilege THEN
    RETURN;
END
$$;

-- tally.watch_otherwise: give a derived source other columns or another expand, under the same number. The caller makes its functions.
--   Writes    tally.source; the delta table, whose rows for this source are deleted
CREATE OR REPLACE FUNCTION tally.watch_otherwise(v tally.derived_view, s tally.source, columns name[], expand text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    path  text := tally.fixed_path(s.relation);
    delta text := tally.part(v, '_delta');
    col   name;
BEGIN
    PERFORM tally.lock_sources(v);
    EXECUTE format('DELETE FROM %s WHERE tally_source = %s', delta, s.ordinal);
    IF s.expand IS NOT NULL THEN
        EXECUTE format('DROP FUNCTION %s(%s)', tally.part(v, '_expand_' || s.ordinal), tally.given_list(s, NULL));
        FOREACH col IN ARRAY s.columns LOOP
            EXECUTE format('ALTER TABLE %s DROP COLUMN IF EXISTS %I', delta, tally.logged_column(s.ordinal, col));
        END LOOP;
    END IF;
    UPDATE tally.source x SET columns = watch_otherwise.columns, expand = watch_otherwise.expand
    WHERE x.projection_id = v.id AND x.ordinal = s.ordinal RETURNING * INTO s;
    IF expand IS NULL THEN
        PERFORM tally.require_keys(v, s, path);
        RETURN;
    END IF;
    PERFORM tally.require_scalar(s.relation, columns, 'watched with an expand');
    FOREACH col IN ARRAY columns LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s%s', delta, tally.logged_column(s.ordinal, col), tally.bare_type(s.relation, col), tally.sql_collate(s.relation, col));
    END LOOP;
    PERFORM tally.generate_expand(v, s.ordinal, path);
    PERFORM tally.refuse_unsafe_expand(v, s);
END
$$;

-- tally.wanted_indexes: the look-ups of some ways, and those that evaluate their keys. Whether each has an index is asked later.
CREATE OR REPLACE FUNCTION tally.wanted_indexes(ways jsonb, shape jsonb)
RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(DISTINCT w.wanted), '[]') FROM (
        SELECT jsonb_build_object('relation', s.relation::oid::bigint, 'col', s.col) || CASE m.method WHEN 'gin' THEN jsonb_build_object('method', m.method) ELSE '{}' END
        FROM tally.way_steps(ways, shape) s CROSS JOIN LATERAL (SELECT ways -> (s.way - 1)::integer -> 'joins' -> (s.step - 1)::integer -> 'e' ->> 'mb') m(method)
        WHERE s.col IS NOT NULL
        UNION ALL
        SELECT jsonb_build_object('relation', k.relation::oid::bigint, 'col', k.col) FROM tally.key_lookups(ways, shape) k) w(wanted)
$$;

-- tally.missing_indexes: those of them that have no index, as CREATE INDEX.
CREATE OR REPLACE FUNCTION tally.missing_indexes(wanted jsonb)
RETURNS SETOF text LANGUAGE sql STABLE ROWS 2 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format('CREATE INDEX ON %s %s(%I)', c.oid::regclass, CASE w ->> 'method' WHEN 'gin' THEN 'USING gin ' ELSE '' END, w ->> 'col')
    FROM jsonb_array_elements(wanted) w JOIN pg_class c ON c.oid = (w ->> 'relation')::oid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = w ->> 'col' AND NOT a.attisdropped
    WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND CASE w ->> 'method' WHEN 'gin' THEN tally.is_gin_on(i, a.attnum) ELSE i.indkey[0] = a.attnum END)
$$;
