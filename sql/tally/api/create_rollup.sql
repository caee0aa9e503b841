-- tally.create_rollup: declare a stored GROUP BY over a projection or another rollup, kept by adding differences.
--   Parameters name; source: a derived view; group_by: its columns; measures: {"name":"count(*)", …};
--              filter: a condition on its columns, parsed here once
--   Writes     the table, <name>_def (oracle), <name>_state, <name>_cell, <name>_apply, <name>_change, <name>_live; a
--              finer rollup for each count(distinct); tally.derived_view, tally.measure; fills it if the projection is active
--   Locks      the projection's advisory lock, so no merge runs meanwhile
--   Raises     TL002, TL003, TL004, TL006, TL009
--   Used by    the owner of the schema, once
CREATE OR REPLACE FUNCTION tally.create_rollup(name text, source text, group_by text[], measures jsonb, filter text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parts name[] := tally.split_name(name);
    root  tally.derived_view := tally.lock_root(source);
    base  tally.derived_view := tally.lookup(source);
    r     tally.derived_view;
    finer name;
BEGIN
    IF base.kind = 'snapshot' THEN
        PERFORM tally.fail('TL004', format('%s is a snapshot; a rollup adds up a projection or a rollup.', source));
    END IF;
    PERFORM tally.require_columns(tally.part(base)::regclass, group_by);
    PERFORM tally.require_free(parts, '{"",_live,_def,_state,_cell,_change}');
    INSERT INTO tally.derived_view (schema_name, relation_name, kind, state, root_id, source_id, group_by, filter)
    VALUES (parts[1], parts[2], 'rollup', 'active', root.id, base.id, group_by,
            tally.canonical_filter(base, filter)) RETURNING * INTO r;
    PERFORM tally.declare_measures(r, base, measures);
    BEGIN
        FOR finer IN SELECT DISTINCT argument FROM tally.measures_of(r) m WHERE function = 'count_distinct' LOOP
            PERFORM tally.create_finer(r, finer);
        END LOOP;
        PERFORM tally.make_rollup(r);
    EXCEPTION WHEN duplicate_column THEN
        PERFORM tally.fail('TL002', format('A column of %s has the name of another, or of a running sum that the engine keeps in %s: %s.',
            tally.part(r), tally.part(r, '_state'), SQLERRM));
    END;
    PERFORM tally.remember_made(root);
END
$$;
COMMENT ON FUNCTION tally.create_rollup(text, text, text[], jsonb, text) IS
    'declare a stored GROUP BY over a projection or another rollup, kept by adding differences';

-- tally.lock_class: the first key of every advisory lock that the engine takes; the second is a derived view's id.
CREATE OR REPLACE FUNCTION tally.lock_class() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 31249';

-- tally.canonical_filter: a filter parsed with the caller's search_path and written with every name qualified.
CREATE OR REPLACE FUNCTION tally.canonical_filter(base tally.derived_view, filter text)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    path text := current_setting('search_path');
    quoted text := current_setting('quote_all_identifiers');
    body text;
BEGIN
    IF filter IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('CREATE TEMP VIEW tally_filter AS SELECT (%s)::boolean AS f FROM %s d', filter, tally.part(base));
    PERFORM tally.refuse_unsafe_filter(base, filter, 'pg_temp.tally_filter');
    PERFORM set_config('search_path', 'pg_catalog', true), set_config('quote_all_identifiers', 'off', true);
    body := pg_get_viewdef('pg_temp.tally_filter'::regclass);
    PERFORM set_config('search_path', path, true), set_config('quote_all_identifiers', quoted, true);
    DROP VIEW pg_temp.tally_filter;
    RETURN '(' || (regexp_match(body, '^\s*SELECT (.*?)\s+AS f\s+FROM ', 's'))[1] || ')';
END
$$;

-- tally.declare_measures: put a rollup's measures into the catalog.
CREATE OR REPLACE FUNCTION tally.declare_measures(r tally.derived_view, base tally.derived_view, measures jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    m      record;
    parsed record;
    n      smallint := 0;
BEGIN
    IF measures IS NULL OR jsonb_typeof(measures) <> 'object' THEN
        PERFORM tally.fail('TL009', format('The measures of %s are not an object like {"name":"count(*)"}.', tally.part(r)));
    END IF;
    FOR m IN SELECT key, value FROM jsonb_each_text(measures) LOOP
        PERFORM tally.require_own_name(m.key::name);
        n := n + 1;
        parsed := tally.parse_measure(m.key, m.value);
        IF parsed.argument IS NOT NULL THEN
            PERFORM tally.require_columns(tally.part(base)::regclass, ARRAY[parsed.argument]);
        END IF;
        INSERT INTO tally.measure (rollup_id, position, name, function, argument, exact_float)
        VALUES (r.id, n, m.key, parsed.function, parsed.argument,
                parsed.function IN ('sum', 'avg') AND tally.type_of(tally.part(base)::regclass, parsed.argument) IN ('real', 'double precision'));
    END LOOP;
END
$$;

-- tally.create_finer: the finer rollup whose non-empty cells a count(distinct col) counts; col is the last that it is
-- grouped by, also when the rollup itself is grouped by col.
CREATE OR REPLACE FUNCTION tally.create_finer(r tally.derived_view, col name)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    f tally.derived_view;
BEGIN
    INSERT INTO tally.derived_view (schema_name, relation_name, kind, state, root_id, source_id, serves_id, group_by, filter)
    VALUES (r.schema_name, format('%s_by_%s', r.relation_name, (SELECT count(*) + 1 FROM tally.derived_view WHERE serves_id = r.id)),
            'rollup', 'active', r.root_id, r.source_id, r.id, array_remove(r.group_by, col) || col,
            concat_ws(' AND ', r.filter, format('(%I IS NOT NULL)', col))) RETURNING * INTO f;
    PERFORM tally.make_rollup(f);
END
$$;
