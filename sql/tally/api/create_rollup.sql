-- tally.create_rollup: declare a stored GROUP BY over a projection or another rollup, kept by adding differences.
--   Parameters name; source: a derived view; group_by: columns of it, none for one row over everything; measures: {"name":"count(*)", …}, or an
--              array of {"name":…,"measure":…} if the order of the columns matters;
--              filter: a condition on columns of the source, parsed once, here
--   Writes     the table, <name>_def (oracle), <name>_state, <name>_cell, <name>_touched, <name>_apply, <name>_change, <name>_live; a
--              finer rollup for each count(distinct); tally.derived_view, tally.measure; fills it if the projection is active
--   Locks      the projection's advisory lock, so that no merge runs meanwhile
--   Raises     TL002, TL003, TL004, TL006, TL009, TL015, TL018, TL024
--   Used by    the owner of the schema, once
CREATE OR REPLACE FUNCTION tally.create_rollup(name text, source text, group_by text[], measures jsonb, filter text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.create_rollup_of(tally.full_name(name, pg_catalog.current_schema()), tally.called(source, pg_catalog.current_schemas(true)), group_by, measures, filter, pg_catalog.current_setting('search_path'));
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.fail_denied(name, SQLERRM);
END
$$;
COMMENT ON FUNCTION tally.create_rollup(text, text, text[], jsonb, text) IS
    'declare a stored GROUP BY over a projection or another rollup, kept by adding differences';

-- tally.create_rollup_of: the same, whatever the caller's search_path (path), with which a filter is parsed.
CREATE OR REPLACE FUNCTION tally.create_rollup_of(name text, source text, group_by text[], measures jsonb, filter text, path text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    parts name[] := tally.split_name(name);
    root  tally.derived_view := tally.lock_root(source);
    base  tally.derived_view := tally.lookup(source);
BEGIN
    IF base.kind = 'snapshot' THEN
        PERFORM tally.fail('TL004', format('%s is a snapshot; a rollup adds up a projection or a rollup.', source));
    END IF;
    PERFORM tally.require_group(base, group_by);
    PERFORM tally.declare_rollup(parts, root, base, group_by::name[], measures, tally.canonical_filter(base, filter, path));
EXCEPTION WHEN undefined_table THEN
    IF NOT tally.is_renamed(root.id) THEN
        RAISE;
    END IF;
    PERFORM tally.fail('TL015', format('%s has just been given another name.', source), format('SELECT tally.merge(%L) follows the new name; then declare the rollup again.', source));
END
$$;

-- tally.declare_rollup: the same, with the name already split.
--   Parameters filter: as tally.canonical_filter prints it
--              definition: the view that was split into this rollup; NULL: it was declared as a rollup
CREATE OR REPLACE FUNCTION tally.declare_rollup(parts name[], root tally.derived_view, base tally.derived_view, group_by name[], measures jsonb, filter text, definition regclass DEFAULT NULL)
RETURNS tally.derived_view LANGUAGE plpgsql AS $$
DECLARE
    r     tally.derived_view;
    finer name;
BEGIN
    PERFORM tally.require_ordered(tally.part(base)::regclass, group_by, 'a group of a rollup');
    PERFORM tally.require_free(parts, ARRAY['', '_live', '_state', '_cell', '_touched', '_change', CASE WHEN definition IS NULL THEN '_def' ELSE '_oracle' END]);
    INSERT INTO tally.derived_view (schema_name, relation_name, kind, state, definition, root_id, source_id, group_by, filter)
    VALUES (parts[1], parts[2], 'rollup', 'active', definition, root.id, base.id, group_by, filter) RETURNING * INTO r;
    PERFORM tally.declare_measures(r, base, measures);
    BEGIN
        FOR finer IN SELECT DISTINCT argument FROM tally.measures_of(r) m WHERE function = 'count_distinct' ORDER BY argument LOOP
            PERFORM tally.create_finer(r, finer);
        END LOOP;
        PERFORM tally.make_rollup(r);
    EXCEPTION WHEN duplicate_column THEN
        PERFORM tally.fail('TL002', format('A column of %s has the name of another, or of a running sum that the engine keeps in %s: %s.',
            tally.part(r), tally.part(r, '_state'), SQLERRM));
    WHEN too_many_columns THEN
        PERFORM tally.fail('TL018', format('%s groups by %s columns, which is too many: %s.', tally.part(r), cardinality(group_by), SQLERRM),
            'Group by 30 at most: the index of its running sums has one or two more. Or group by a column of the view with a digest of them.');
    END;
    PERFORM tally.remember_made(root);
    RETURN r;
END
$$;

-- tally.lock_class: the first key of every advisory lock that the engine takes; the second is a derived view's id.
CREATE OR REPLACE FUNCTION tally.lock_class() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 31249';

-- tally.canonical_filter: a filter, parsed with the caller's search_path and printed with every name qualified.
CREATE OR REPLACE FUNCTION tally.canonical_filter(base tally.derived_view, filter text, path text)
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET quote_all_identifiers = off AS $$
DECLARE
    body text;
BEGIN
    IF filter IS NULL THEN
        RETURN NULL;
    END IF;
    BEGIN
        PERFORM tally.run_in(path, format(E'CREATE TEMP VIEW tally_filter AS SELECT (%s\n)::boolean AS f FROM %s d', filter, tally.part(base)));  -- it may end in a comment
    EXCEPTION WHEN syntax_error_or_access_rule_violation OR data_exception THEN
        PERFORM tally.fail('TL018', format('Filter "%s" is no condition on columns of %s: %s.', filter, tally.part(base), SQLERRM), 'Write it as after WHERE: ''counted AND score > 0.5'', say.');
    END;
    PERFORM tally.refuse_unsafe_filter(base, filter, 'pg_temp.tally_filter');
    body := pg_get_viewdef('pg_temp.tally_filter'::regclass);
    DROP VIEW pg_temp.tally_filter;
    RETURN '(' || tally.with_escapes((regexp_match(body, '^\s*SELECT (.*?)\s+AS f\s+FROM ', 's'))[1]) || ')';
END
$$;

-- tally.with_escapes: SQL as PostgreSQL prints it, with constants that hold backslashes written as E'…'. So generated code means the same in a session
-- with standard_conforming_strings = off.
CREATE OR REPLACE FUNCTION tally.with_escapes(printed text)
RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT string_agg(CASE WHEN m[1] LIKE '''%' AND strpos(m[1], chr(92)) > 0 THEN 'E' || replace(m[1], chr(92), repeat(chr(92), 2)) ELSE m[1] END, '' ORDER BY n)
    FROM regexp_matches(printed, '("(?:[^"]|"")*"|''(?:[^'']|'''')*''|[^"'']+)', 'g') WITH ORDINALITY u(m, n)
$$;

-- tally.require_group: raise unless a rollup can be grouped by these columns of its source.
--   Raises     TL006, TL018
CREATE OR REPLACE FUNCTION tally.require_group(base tally.derived_view, group_by text[])
RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    relation regclass := tally.part(base)::regclass;
    col      name;
BEGIN
    IF group_by IS NULL OR array_position(group_by, NULL) IS NOT NULL THEN
        PERFORM tally.fail('TL018', format('group_by of a rollup over %s is %s.', relation, coalesce(group_by::text, 'NULL')),
            'Name the columns of a group, or give ''{}'' for one row of everything.');
    END IF;
    FOREACH col IN ARRAY group_by LOOP
        PERFORM tally.require_columns(relation, ARRAY[col]);
        IF cardinality(array_positions(group_by, col::text)) > 1 THEN
            PERFORM tally.fail('TL018', format('group_by names "%s" twice.', col), 'Name each column of a group once.');
        END IF;
    END LOOP;
END
$$;

-- tally.require_measure: raise unless a measure can be kept for a column of this type.
--   Raises     TL009, TL024
CREATE OR REPLACE FUNCTION tally.require_measure(base tally.derived_view, m tally.measure)
RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    relation regclass := tally.part(base)::regclass;
    type     oid      := tally.base_type(tally.type_id(relation, m.argument));
    shown    text     := format('%s(%I)', replace(m.function, '_distinct', ''), m.argument);
    adds     regtype[] := '{smallint,integer,bigint,numeric,real,double precision,interval}';
BEGIN
    IF m.function = 'sum' AND type <> ALL (adds || '{money,time}'::regtype[]) OR m.function = 'avg' AND type <> ALL (adds || '{time}'::regtype[]) THEN
        PERFORM tally.fail('TL009', format('Measure "%s": %s is not kept of type %s.', m.name, shown, tally.type_of(relation, m.argument)),
            'A sum or an average is kept of integers, numeric, real, double precision and intervals: give the definition such a column.');
    ELSIF m.function IN ('bool_or', 'bool_and') AND type <> 'boolean'::regtype THEN
        PERFORM tally.fail('TL009', format('Measure "%s": %s is of a column of type %s, not boolean.', m.name, shown, tally.type_of(relation, m.argument)),
            'Give the definition a boolean column that says what is meant.');
    ELSIF m.function IN ('min', 'max', 'count_distinct') THEN
        PERFORM tally.require_ordered(relation, ARRAY[m.argument], format('counted or compared by measure "%s"', m.name));
    END IF;
    IF m.function IN ('min', 'max') AND NOT tally.has_aggregate(m.function, type) THEN
        PERFORM tally.fail('TL009', CASE WHEN (SELECT t.typtype = 'c' FROM pg_type t WHERE t.oid = type)
                THEN format('Measure "%s": what %s() of the row type %s returns is a record, which no table can keep.', m.name, m.function, tally.type_of(relation, m.argument))
                ELSE format('Measure "%s": this PostgreSQL has no %s() of type %s.', m.name, m.function, tally.type_of(relation, m.argument)) END,
            'Give the definition a column in its place of a type that it has: the value as text, say.');
    END IF;
END
$$;

-- tally.has_aggregate: whether there is an aggregate for a type: for that type, for one that it is cast to implicitly, or for any array,
-- enum or range. That for any row, which PostgreSQL 18 has, does not count: no table can have a column of what it returns.
CREATE OR REPLACE FUNCTION tally.has_aggregate(function name, type oid)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM pg_type t JOIN pg_proc p ON p.prokind = 'a' AND p.pronargs = 1 AND p.proname = function
            AND p.pronamespace IN ('pg_catalog'::regnamespace, t.typnamespace)
        WHERE t.oid = type
          AND (p.proargtypes[0] = t.oid
            OR EXISTS (SELECT FROM pg_cast c WHERE c.castsource = t.oid AND c.casttarget = p.proargtypes[0] AND c.castcontext = 'i')
            OR p.proargtypes[0] = 'anyarray'::regtype AND t.typcategory = 'A' AND t.typelem <> 0
            OR p.proargtypes[0] = 'anyenum'::regtype AND t.typtype = 'e'
            OR p.proargtypes[0] = 'anyrange'::regtype AND t.typtype = 'r'
            OR p.proargtypes[0] = 'anymultirange'::regtype AND t.typtype = 'm'))
$$;

-- tally.declare_measures: store a rollup's measures in the catalog.
CREATE OR REPLACE FUNCTION tally.declare_measures(r tally.derived_view, base tally.derived_view, measures jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    m      record;
    made   tally.measure;
    parsed record;
    n      smallint := 0;
BEGIN
    IF measures IS NULL OR jsonb_typeof(measures) NOT IN ('object', 'array') THEN
        PERFORM tally.fail('TL009', format('The measures of %s are not an object like {"name":"count(*)"}.', tally.part(r)));
    ELSIF measures IN ('{}', '[]') AND r.group_by = '{}' THEN
        PERFORM tally.fail('TL018', format('%s has neither a group nor a measure: nothing would be in its row.', tally.part(r)), 'Give it a measure, {"rows":"count(*)"} say.');
    END IF;
    FOR m IN SELECT * FROM tally.measures_given(measures) LOOP
        PERFORM tally.require_own_name(m.key::name);
        n := n + 1;
        parsed := tally.parse_measure(m.key, coalesce(m.value, 'null'));
        IF parsed.argument IS NOT NULL THEN
            PERFORM tally.require_columns(tally.part(base)::regclass, ARRAY[parsed.argument]);
        END IF;
        INSERT INTO tally.measure (rollup_id, position, name, function, argument, exact_float)
        VALUES (r.id, n, m.key, parsed.function, parsed.argument, parsed.function IN ('sum', 'avg')
            AND tally.base_type(tally.type_id(tally.part(base)::regclass, parsed.argument)) IN ('real'::regtype, 'double precision'::regtype)) RETURNING * INTO made;
        IF made.argument IS NOT NULL THEN
            PERFORM tally.require_measure(base, made);
        END IF;
    END LOOP;
END
$$;

-- tally.measures_given: the measures from an object or an array.
CREATE OR REPLACE FUNCTION tally.measures_given(measures jsonb)
RETURNS TABLE (key text, value text) LANGUAGE sql IMMUTABLE AS $$
    SELECT e.key, e.value FROM jsonb_each_text(CASE jsonb_typeof(measures) WHEN 'object' THEN measures ELSE '{}' END) e
    UNION ALL
    SELECT x.key, x.value FROM (SELECT m ->> 'name' AS key, m ->> 'measure' AS value, i
                                FROM jsonb_array_elements(CASE jsonb_typeof(measures) WHEN 'array' THEN measures ELSE '[]' END) WITH ORDINALITY u(m, i) ORDER BY i) x
$$;

-- tally.create_finer: the finer rollup for a count(distinct col), which counts its non-empty cells. col is its last group
-- column, even if the rollup itself is grouped by col.
CREATE OR REPLACE FUNCTION tally.create_finer(r tally.derived_view, col name)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    f tally.derived_view;
BEGIN
    INSERT INTO tally.derived_view (schema_name, relation_name, kind, state, root_id, source_id, serves_id, group_by, filter)
    VALUES (r.schema_name, format('%s_by_%s', r.relation_name, (SELECT count(*) + 1 FROM tally.derived_view WHERE serves_id = r.id)),
            'rollup', 'active', r.root_id, r.source_id, r.id, array_remove(r.group_by, col) || col,
            concat_ws(' AND ', r.filter, replace(format('(%s)', tally.sql_has(tally.type_id(tally.part(tally.view_by_id(r.source_id))::regclass, col), col)), '(d.', '('))) RETURNING * INTO f;
    PERFORM tally.make_rollup(f);
END
$$;
