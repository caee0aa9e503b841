-- tally.generate_live: what reads a projection as of the reader's snapshot, with every committed change.
--   Makes     <projection>_live, the view: stored rows of the keys that are not pending, and the definition's rows of those that are;
--             <projection>_live_rows(): the rows that the view shows instead of stored ones; returns at once if nothing is pending;
--             <projection>_live_at(key): the rows of one key
--   Notes     The large queries are in functions. So the view itself is planned quickly, and plans of the functions are made only
--             if something is pending. They run without jit, which costs more than it saves for a few keys.
CREATE OR REPLACE FUNCTION tally.generate_live(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    chain text := (SELECT string_agg(s.relation::text, ', ') FROM tally.source s
                   JOIN tally.derived_view d ON tally.relation_of(d) = s.relation WHERE s.projection_id = v.id);
BEGIN
    INSERT INTO tally.live_key (view_id) VALUES (v.id) ON CONFLICT DO NOTHING;
    PERFORM tally.generate_live_rows(v);
    PERFORM tally.generate_live_at(v);
    EXECUTE tally.sql_live_view(v, v.id, v.key, v.definition);
    EXECUTE format('COMMENT ON VIEW %s IS %L', tally.part(v, '_live'),
        format('%s, exact at the reader''s snapshot: stored rows, and the definition for keys not merged yet', tally.part(v))
        || coalesce(format('; but only up to the last merge of %s, from which it is derived', chain), ''));
END
$generator$;

-- tally.sql_not_changed: SQL for "no row of this CTE has the values of alias d in these columns, NULLs counted as equal". The planner
-- estimates it as cheap: a hash serves all rows except those with a NULL, which are few.
--   Parameters relation: has the columns, with their types
CREATE OR REPLACE FUNCTION tally.sql_not_changed(relation regclass, columns name[], cte text)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT CASE cardinality(columns)
        WHEN 0 THEN format('NOT EXISTS (SELECT FROM %s c)', cte)
        WHEN 1 THEN format('NOT EXISTS (SELECT FROM %1$s c WHERE %2$s) AND NOT (%3$s AND EXISTS (SELECT FROM %1$s c WHERE %4$s))',
            cte, tally.sql_same(relation, columns, 'c', 'd'), tally.sql_some_null(columns, 'd.'), tally.sql_some_null(columns, 'c.'))
        ELSE format('NOT EXISTS (SELECT FROM %1$s c WHERE %2$s) AND NOT (%3$s AND ROW(%4$s) = ANY (ARRAY(SELECT ROW(%5$s) FROM %1$s c WHERE %6$s)))',
            cte, tally.sql_same(relation, columns, 'c', 'd'), tally.sql_some_null(columns, 'd.'), tally.column_list(columns, 'd.'),
            tally.column_list(columns, 'c.'), tally.sql_some_null(columns, 'c.')) END
$generator$;

-- tally.is_hashed: whether one hashable operator compares all of these columns.
CREATE OR REPLACE FUNCTION tally.is_hashed(relation regclass, columns name[])
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
    SELECT cardinality(columns) > 0 AND count(DISTINCT tally.sql_operator(relation, c)) = 1 AND bool_and(coalesce((
        SELECT t.typtype IN ('b', 'e') AND t.typsubscript <> 'array_subscript_handler'::regproc AND p.oprcanhash
        FROM pg_type t JOIN pg_opclass o ON o.oid = tally.default_opclass(t.oid)
        JOIN pg_amop m ON m.amopfamily = o.opcfamily AND m.amoplefttype = o.opcintype AND m.amoprighttype = o.opcintype AND m.amopstrategy = 3
        JOIN pg_operator p ON p.oid = m.amopopr
        WHERE t.oid = tally.base_type(tally.type_id(relation, c))), false))
    FROM unnest(columns) c
$generator$;

-- tally.sql_shown: SQL for "no row of the CTE change replaces the stored row d".
--   Parameters relation, columns: those that identify the stored rows which a row of change replaces
--   Notes      With nothing pending, which is the usual case, the condition is a constant. A hashed subquery costs less than an anti join,
--              and the planner estimates the rows of the view better
CREATE OR REPLACE FUNCTION tally.sql_shown(relation regclass, columns name[])
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
    SELECT CASE WHEN tally.is_hashed(relation, columns) THEN tally.render($template$NOT EXISTS (SELECT FROM change)
    OR NOT EXISTS (SELECT FROM change c WHERE c.tally_sign = 0)
    AND CASE WHEN {d_null} THEN {null_not_changed} ELSE NOT {d_row} {equals} ANY (SELECT {c_columns} FROM change c WHERE {c_no_null}) END$template$, jsonb_build_object(
        'd_null',           tally.sql_some_null(columns, 'd.'),
        'null_not_changed', CASE cardinality(columns) WHEN 1 THEN format('NOT EXISTS (SELECT FROM change c WHERE %s)', tally.sql_some_null(columns, 'c.'))
                                 ELSE format('NOT ROW(%s) = ANY (ARRAY(SELECT ROW(%s) FROM change c WHERE %s))', tally.column_list(columns, 'd.'),
                                             tally.column_list(columns, 'c.'), tally.sql_some_null(columns, 'c.')) END,
        'd_row',            format(CASE cardinality(columns) WHEN 1 THEN '%s' ELSE 'ROW(%s)' END, tally.column_list(columns, 'd.')),
        'equals',           tally.sql_operator(relation, columns[1]),
        'c_columns',        tally.column_list(columns, 'c.'),
        'c_no_null',        tally.sql_no_null(columns, 'c.')))
    ELSE 'NOT EXISTS (SELECT FROM change c WHERE c.tally_sign = 0) AND ' || tally.sql_not_changed(relation, columns, 'change') END
$generator$;

-- tally.sql_live_view: CREATE VIEW <view>_live: the stored rows except those that <view>_live_rows() replaces, and its rows instead.
--   Parameters root_id: whose secret admits to _live_rows; columns: those that identify the stored rows which a row of _live_rows
--              replaces; reads: a view. It stands in the text by its OID, so it cannot be dropped without CASCADE
CREATE OR REPLACE FUNCTION tally.sql_live_view(v tally.derived_view, root_id integer, columns name[], reads regclass)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render($template$
CREATE OR REPLACE VIEW {live} AS
WITH change AS MATERIALIZED (
    SELECT c.tally_sign, {row_columns}
    FROM {live_rows}((SELECT k.secret FROM tally.live_key k WHERE k.view_id = {root_id}), {reads}::regclass) c)
SELECT {d_columns} FROM {stored} d WHERE {shown}
UNION ALL
SELECT {d_columns} FROM change d WHERE d.tally_sign > 0$template$, jsonb_build_object(
        'live',        tally.part(v, '_live'),
        'live_rows',   tally.part(v, '_live_rows'),
        'root_id',     root_id,
        'reads',       quote_literal(reads),
        'stored',      tally.part(v),
        'd_columns',   tally.column_list(c, 'd.'),
        'row_columns', (SELECT string_agg(format('(c.tally_row).%1$I AS %1$I', u.col), ', ' ORDER BY u.n) FROM unnest(c) WITH ORDINALITY u(col, n)),
        'shown',       tally.sql_shown(tally.part(v)::regclass, columns)))
    FROM tally.columns_of(tally.part(v)::regclass) c
$generator$;

-- tally.sql_at: SQL for "these columns of two aliases are equal, NULLs counted as equal". It can use an index if one alias holds
-- constants, because the planner then removes the half of the OR that does not apply.
CREATE OR REPLACE FUNCTION tally.sql_at(relation regclass, columns name[], a text, b text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(format('(%s OR %s AND %s)', tally.sql_same(relation, ARRAY[c], a, b), tally.sql_some_null(ARRAY[c], a || '.'),
                                      tally.sql_some_null(ARRAY[c], b || '.')), ' AND ' ORDER BY n), 'true')
    FROM unnest(columns) WITH ORDINALITY u(c, n)
$$;

-- tally.sql_asked: the arguments $1, $2 … as a row with these columns.
CREATE OR REPLACE FUNCTION tally.sql_asked(columns name[])
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format('(SELECT %s)', string_agg(format('$%s AS %I', n, c), ', ' ORDER BY n)) FROM unnest(columns) WITH ORDINALITY u(c, n)
$$;

-- tally.sql_require_live_key: statements that refuse a caller without the secret of <view>_live. The view also passes the relation that it
-- reads (tally_reads), so that this relation cannot be dropped without the view.
CREATE OR REPLACE FUNCTION tally.sql_require_live_key(v tally.derived_view, root_id integer)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render($template$SELECT k.secret INTO tally_secret FROM tally.live_key k WHERE k.view_id = {root_id};
IF tally_secret IS NULL OR tally_reads IS NULL OR tally_key IS DISTINCT FROM tally_secret THEN
    RAISE insufficient_privilege USING MESSAGE = {message}, HINT = {hint};
END IF;$template$, jsonb_build_object(
        'root_id', root_id,
        'message', quote_literal(format('%s answers nobody but the view %s.', tally.part(v, '_live_rows'), tally.part(v, '_live'))),
        'hint',    quote_literal(format('Read %s.', tally.part(v, '_live')))))
$generator$;

-- tally.sql_if_renamed: the last part of a function that reads relations by name. If one was renamed since, it raises the engine's error
-- instead of PostgreSQL's, which would say that the relation does not exist.
CREATE OR REPLACE FUNCTION tally.sql_if_renamed(root_id integer)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format(E'EXCEPTION WHEN undefined_table OR undefined_column OR undefined_function OR undefined_object OR invalid_schema_name THEN\n'
               || E'    PERFORM tally.refuse_renamed(%s);\n    RAISE;', root_id)
$$;

-- tally.sql_most: SQL for "so many keys are pending that evaluating the whole definition is faster". It is false if keys are quarantined:
-- they would raise, or show what is not stored. Uses the record tally_pending. The stored rows are estimated as the planner does, because
-- counting them took a quarter of the time of such a read; they are counted only before the table's first VACUUM or ANALYZE.
CREATE OR REPLACE FUNCTION tally.sql_most(v tally.derived_view)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $generator$
    SELECT tally.render($template$cardinality(tally_pending.tally_keys_1) >= 1000 AND NOT EXISTS (SELECT FROM tally.quarantine q WHERE q.view_id = {id})
AND coalesce((SELECT c.reltuples::float8 / c.relpages * (pg_relation_size(c.oid) / current_setting('block_size')::integer)
              FROM pg_class c WHERE c.oid = {literal}::regclass AND c.relpages > 0 AND c.reltuples > 0),
             (SELECT count(*) FROM (SELECT FROM {stored} LIMIT 8 * cardinality(tally_pending.tally_keys_1)) x)) < 8 * cardinality(tally_pending.tally_keys_1)$template$, jsonb_build_object(
        'id',      v.id,
        'literal', quote_literal(tally.part(v)),
        'stored',  tally.part(v)))
$generator$;

-- tally.generate_live_rows: make <projection>_live_rows(): rows of the projection with a sign. -1: hide the stored rows of this key; +1: show
-- this row; 0: hide all stored rows.
CREATE OR REPLACE FUNCTION tally.generate_live_rows(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    columns   name[] := tally.columns_of(v.definition);
    d_row     text   := format('ROW(%s)::%s', tally.column_list(columns, 'd.'), tally.part(v));
    one_array text   := CASE WHEN cardinality(v.key) = 1 THEN 'tally_pending.tally_keys_1' END;
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {live_rows}(tally_key uuid, tally_reads regclass) RETURNS TABLE (tally_sign integer, tally_row {stored}) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100 COST 1000
SET search_path = {search_path} SET plan_cache_mode = force_custom_plan SET jit = off SET extra_float_digits = 1 SET array_nulls = on SET quote_all_identifiers = off SET work_mem = '64MB' AS $body$
#variable_conflict use_column
DECLARE
    tally_secret uuid;
    tally_pending record;  -- of types that are looked up when it runs, so that what is renamed is told below
BEGIN
    {require_key}
    SELECT p.* INTO tally_pending FROM {pending_keys}() p;
    IF NOT tally_pending.tally_any THEN
        RETURN;
    END IF;
    IF tally_pending.tally_from_start OR {most} THEN
        RETURN QUERY SELECT 0, NULL::{stored};
        RETURN QUERY SELECT 1, {d_row} FROM {definition} d;
        RETURN;
    END IF;
    IF tally_pending.tally_sweep THEN
        SELECT {gathered} INTO {key_arrays} FROM unnest({key_arrays}) AS k({key}) WHERE NOT {k_not_swept};
        RETURN QUERY SELECT 0, NULL::{stored};
        RETURN QUERY WITH pending AS MATERIALIZED (SELECT {collated_key} FROM unnest({key_arrays}) AS k({key}))
            SELECT 1, {d_row} FROM {stored} d WHERE NOT {d_not_swept} AND {not_pending};
        RETURN QUERY SELECT 1, {d_row} FROM {definition} d WHERE {d_not_swept};
    ELSE
        RETURN QUERY SELECT -1, ROW({key_or_null})::{stored} FROM unnest({key_arrays}) AS k({key});
    END IF;
    RETURN QUERY WITH pending AS MATERIALIZED (SELECT {collated_key} FROM unnest({key_arrays}) AS k({key}))
        {fresh};
{renamed}
END
$body$ $template$, jsonb_build_object(
        'renamed',           tally.sql_if_renamed(v.id),
        'live_rows',         tally.part(v, '_live_rows'),
        'stored',            tally.part(v),
        'definition',        v.definition::text,
        'search_path',       tally.fixed_path(v.definition),
        'key',               tally.column_list(v.key),
        'collated_key',      tally.collated_list(v.definition, v.key, 'k.'),
        'key_arrays',        tally.column_list(tally.numbered(v.key), 'tally_pending.'),
        'gathered',          tally.sql_gather(v.key),
        'key_or_null',       (SELECT string_agg(CASE WHEN c = ANY (v.key) THEN format('k.%I', c) ELSE 'NULL' END, ', ' ORDER BY n) FROM unnest(columns) WITH ORDINALITY u(c, n)),
        'd_row',             d_row,
        'pending_keys',      tally.part(v, '_pending_keys'),
        'require_key',       tally.sql_require_live_key(v, v.id),
        'most',              tally.sql_most(v),
        'k_not_swept',       tally.sql_not_swept(v, 'k', 'tally_pending.'),
        'd_not_swept',       tally.sql_not_swept(v, 'd', 'tally_pending.'),
        'not_pending',       tally.sql_not_changed(v.definition, v.key, 'pending'),
        'fresh',             tally.sql_matching(v.key, v.definition::text, '1, ' || d_row, one_array)));
    PERFORM tally.seal(tally.part(v, '_live_rows') || '(uuid, regclass)', format('what %s shows in place of stored rows', tally.part(v, '_live')));
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s(uuid, regclass) TO PUBLIC', tally.part(v, '_live_rows'));
END
$generator$;

-- tally.generate_live_at: make <projection>_live_at(key): the rows of one key as of the reader's snapshot. Only that key is evaluated, however
-- many are pending.
CREATE OR REPLACE FUNCTION tally.generate_live_at(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    types text := tally.type_list(tally.part(v)::regclass, v.key);
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {live_at}({parameters}) RETURNS SETOF {stored} LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1 COST 1000
SET search_path = {search_path} SET plan_cache_mode = force_custom_plan SET jit = off SET extra_float_digits = 1 SET array_nulls = on SET quote_all_identifiers = off AS $body$
#variable_conflict use_column
DECLARE
    tally_pending record;  -- of types that are looked up when it runs, so that what is renamed is told below
BEGIN
    SELECT p.* INTO tally_pending FROM {pending_keys}() p;
    IF tally_pending.tally_any AND EXISTS (SELECT FROM {asked} a WHERE tally_pending.tally_sweep AND {not_swept}
                             OR EXISTS (SELECT FROM (SELECT {collated_key} FROM unnest({key_arrays}) AS k({key})) k WHERE {is_asked})) THEN
        RETURN QUERY SELECT {d_columns} FROM {asked} a CROSS JOIN LATERAL (SELECT * FROM {definition} d WHERE {d_is_asked}) d;
    ELSE
        RETURN QUERY SELECT {d_columns} FROM {asked} a CROSS JOIN LATERAL (SELECT * FROM {stored} d WHERE {d_is_asked}) d;
    END IF;
{renamed}
END
$body$ $template$, jsonb_build_object(
        'renamed',           tally.sql_if_renamed(v.id),
        'live_at',           tally.part(v, '_live_at'),
        'parameters',        tally.typed_list(tally.part(v)::regclass, v.key),
        'stored',            tally.part(v),
        'definition',        v.definition::text,
        'search_path',       tally.fixed_path(v.definition),
        'key',               tally.column_list(v.key),
        'key_arrays',        tally.column_list(tally.numbered(v.key), 'tally_pending.'),
        'collated_key',      tally.collated_list(v.definition, v.key, 'k.'),
        'd_columns',         tally.list_as_stored(v.definition, tally.part(v)::regclass, tally.columns_of(v.definition), 'd.'),
        'asked',             tally.sql_asked(v.key),
        'pending_keys',      tally.part(v, '_pending_keys'),
        'not_swept',         tally.sql_not_swept(v, 'a', 'tally_pending.'),
        'is_asked',          tally.sql_at(v.definition, v.key, 'k', 'a'),
        'd_is_asked',        tally.sql_at(v.definition, v.key, 'd', 'a')));
    PERFORM tally.seal(format('%s(%s)', tally.part(v, '_live_at'), types), format('%s of one key, exact at the reader''s snapshot', tally.part(v)));
END
$generator$;

-- tally.live_at_grants: statements that copy the grants on a derived view's <view>_live_at to that of its replacement, under the name that
-- the replacement will have.
CREATE OR REPLACE FUNCTION tally.live_at_grants(v tally.derived_view, next tally.derived_view)
RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT format('GRANT EXECUTE ON FUNCTION %s(%s) TO %s%s', tally.part(v, '_live_at'), pg_get_function_identity_arguments(n.oid),
                  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_proc o JOIN pg_namespace s ON s.oid = o.pronamespace
    JOIN pg_proc n ON n.pronamespace = o.pronamespace AND n.proname = next.relation_name || '_live_at'
    CROSS JOIN LATERAL aclexplode(o.proacl) a
    WHERE s.nspname = v.schema_name AND o.proname = v.relation_name || '_live_at' AND a.grantee <> o.proowner
$$;
