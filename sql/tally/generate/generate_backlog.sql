-- tally.generate_backlog: the functions that read a projection's delta table.
--   Makes     <projection>_first(n, kind): the ctids of the n oldest rows of one kind: logged changes (kind 0), sweeps (-1) or
--             wide changes (-2);
--             <projection>_backlog(): the contents of all rows, in arrays. Both use the index from merged_through on. The planner
--             is not left a choice, because the size of this table changes every second;
--             <projection>_pending_keys(), <projection>_pending(): the keys that the rows lead to
CREATE OR REPLACE FUNCTION tally.generate_backlog(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    delta text := tally.part(v, '_delta');
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {first}(n integer, kind integer) RETURNS tid[] LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = {search_path} SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $body$
#variable_conflict use_variable
BEGIN
    IF kind = {one_key} THEN
        RETURN (SELECT array_agg(f.ctid) FROM (
            SELECT d.ctid FROM {delta} d WHERE d.tally_xid >= (SELECT tally.scan_from({view_id})) AND d.tally_source >= 0
            ORDER BY d.tally_xid LIMIT n) f);
    END IF;
    RETURN (SELECT array_agg(f.ctid) FROM (  -- few rows, by an index of their own: a backlog of the others is not read through for them
        SELECT d.ctid FROM {delta} d WHERE d.tally_source < 0 AND d.tally_source = kind AND d.tally_xid >= (SELECT tally.scan_from({view_id}))
        ORDER BY d.tally_xid LIMIT n) f);
END
$body$ $template$, jsonb_build_object(
        'first',       tally.part(v, '_first'),
        'search_path', tally.fixed_path(v.definition),
        'delta',       delta,
        'one_key',     tally.delta_code('key'),
        'view_id',     v.id));
    PERFORM tally.seal(tally.part(v, '_first') || '(integer, integer)', 'the oldest rows of ' || delta);
    PERFORM tally.generate_backlog_arrays(v);
    PERFORM tally.generate_pending_keys(v);
    PERFORM tally.generate_pending(v);
END
$generator$;

-- tally.generate_backlog_arrays: make <projection>_backlog(): the contents of the delta table as arrays: the keys, the logged columns of
-- each source with an expand, and the position of a sweep.
--   Notes     tally_sweep is NULL if the delta table is empty. This is tested first, because it is the most frequent case.
CREATE OR REPLACE FUNCTION tally.generate_backlog_arrays(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    key_arrays name[] := tally.numbered(v.key);
    low        name[] := tally.numbered(v.key, 'tally_low_');
    wide       name[] := tally.numbered(v.key, 'tally_wide_');
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {backlog}(OUT tally_sweep boolean, OUT tally_from_start boolean, {low_out}, {keys_out}{logged_out})
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = {search_path} SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $body$
#variable_conflict use_column
DECLARE
    tally_wide boolean;
    {wide_variables};
BEGIN
    IF NOT EXISTS (SELECT FROM {delta} d WHERE d.tally_xid >= (SELECT tally.scan_from({view_id}))) THEN
        RETURN;
    END IF;
    SELECT bool_or(tally_source = {sweep}), bool_or(tally_source = {wide}), coalesce(bool_or({some_null}) FILTER (WHERE tally_source = {sweep}), false),
        {swept_to}, {gathered}{logged_aggregates}
    INTO tally_sweep, tally_wide, tally_from_start,
        {low}, {key_arrays}{logged_targets}
    FROM {delta} d WHERE d.tally_xid >= (SELECT tally.scan_from({view_id}));
    IF tally_wide THEN
        SELECT {gathered_wide} INTO {wide_arrays}
        FROM (SELECT k.* FROM {delta} d CROSS JOIN LATERAL unnest({d_key_arrays}) AS k({key})
              WHERE d.tally_source < 0 AND d.tally_source = {wide} AND d.tally_xid >= (SELECT tally.scan_from({view_id}))) w;
        {add_wide}
    END IF;
END
$body$ $template$, jsonb_build_object(
        'backlog',           tally.part(v, '_backlog'),
        'search_path',       tally.fixed_path(v.definition),
        'delta',             tally.part(v, '_delta'),
        'view_id',           v.id,
        'sweep',             tally.delta_code('sweep'),
        'wide',              tally.delta_code('wide'),
        'key',               tally.column_list(v.key),
        'some_null',         tally.sql_some_null(v.key),
        'low',               tally.column_list(low),
        'low_out',           tally.plain_list(v.definition, v.key, '', low, 'OUT '),
        'swept_to',          (SELECT string_agg(format('(array_agg(%I) FILTER (WHERE tally_source = %s))[1]', c, tally.delta_code('sweep')), ', ' ORDER BY n)
                              FROM unnest(v.key) WITH ORDINALITY u(c, n)),
        'key_arrays',        tally.column_list(key_arrays),
        'd_key_arrays',      tally.column_list(key_arrays, 'd.'),
        'keys_out',          tally.plain_list(v.definition, v.key, '[]', key_arrays, 'OUT '),
        'gathered',          tally.sql_gather(v.key, 'tally_source = ' || tally.delta_code('key')),
        'gathered_wide',     tally.sql_gather(v.key),
        'wide_arrays',       tally.column_list(wide),
        'wide_variables',    tally.plain_list(v.definition, v.key, '[]', wide, '', E';\n'),
        'add_wide',          (SELECT string_agg(format('%1$I := %1$I || %2$I;', k, w), E'\n') FROM unnest(key_arrays, wide) u(k, w)),
        'logged_out',        tally.logged_list(v, ', OUT %1$I %2$s[]'),
        'logged_aggregates', tally.logged_list(v, ', array_agg(%3$s) FILTER (WHERE tally_source = %4$s)'),
        'logged_targets',    tally.logged_list(v, ', %1$I')));
    PERFORM tally.seal(tally.part(v, '_backlog') || '()', 'what the rows of ' || tally.part(v, '_delta') || ' say that are not merged yet');
END
$generator$;

-- tally.generate_pending_keys: make <projection>_pending_keys(): whether anything is pending, each pending key once, and the position of
-- a sweep. If a sweep is at its start, no keys are returned, because every key is pending.
CREATE OR REPLACE FUNCTION tally.generate_pending_keys(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    key_arrays name[] := tally.numbered(v.key);
    low        name[] := tally.numbered(v.key, 'tally_low_');
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {pending_keys}(OUT tally_any boolean, OUT tally_sweep boolean, OUT tally_from_start boolean, {low_out}, {keys_out})
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = {search_path} SET plan_cache_mode = force_custom_plan SET jit = off AS $body$
#variable_conflict use_column
DECLARE
    {logged_variables}
BEGIN
    SELECT b.tally_sweep, b.tally_from_start, {b_low}, {b_key_arrays}{b_logged}
    INTO tally_sweep, tally_from_start, {low}, {key_arrays}{logged} FROM {backlog}() b;
    tally_any := tally_sweep IS NOT NULL;
    IF NOT tally_any OR tally_from_start THEN
        RETURN;
    END IF;
    {expand_logged}
END
$body$ $template$, jsonb_build_object(
        'pending_keys',     tally.part(v, '_pending_keys'),
        'backlog',          tally.part(v, '_backlog'),
        'search_path',      tally.fixed_path(v.definition),
        'low',              tally.column_list(low),
        'b_low',            tally.column_list(low, 'b.'),
        'low_out',          tally.plain_list(v.definition, v.key, '', low, 'OUT '),
        'key_arrays',       tally.column_list(key_arrays),
        'b_key_arrays',     tally.column_list(key_arrays, 'b.'),
        'keys_out',         tally.plain_list(v.definition, v.key, '[]', key_arrays, 'OUT '),
        'logged_variables', tally.logged_list(v, '%1$I %2$s[];', E'\n'),
        'logged',           tally.logged_list(v, ', %1$I'),
        'b_logged',         tally.logged_list(v, ', b.%1$I'),
        'expand_logged',    tally.sql_expand_logged(v, E'tally_sweep := true;\ntally_from_start := true;\nRETURN;')));
    PERFORM tally.seal(tally.part(v, '_pending_keys') || '()', 'the keys of ' || tally.part(v) || ' that are not merged yet, in arrays');
END
$generator$;

-- tally.generate_pending: make <projection>_pending(): the pending keys as rows, including those that a sweep has not reached yet.
CREATE OR REPLACE FUNCTION tally.generate_pending(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {pending}() RETURNS TABLE ({typed_key}) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100 COST 1000
SET search_path = {search_path} SET plan_cache_mode = force_custom_plan SET jit = off AS $body$
#variable_conflict use_column
DECLARE
    tally_pending record;  -- of types that are looked up when it runs, so that what is renamed is told below
BEGIN
    SELECT p.* INTO tally_pending FROM {pending_keys}() p;
    IF NOT tally_pending.tally_any THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT {k_key_typed} FROM unnest({key_arrays}) AS k({key})
        UNION SELECT {d_key} FROM {stored} d WHERE tally_pending.tally_sweep AND {not_swept}
        UNION SELECT {d_key} FROM {definition} d WHERE tally_pending.tally_sweep AND {not_swept};
{renamed}
END
$body$ $template$, jsonb_build_object(
        'pending',           tally.part(v, '_pending'),
        'stored',            tally.part(v),
        'definition',        v.definition::text,
        'search_path',       tally.fixed_path(v.definition),
        'typed_key',         tally.typed_list(tally.part(v)::regclass, v.key),
        'key',               tally.column_list(v.key),
        'k_key_typed',       tally.cast_list(tally.part(v)::regclass, v.key, 'k.'),
        'd_key',             tally.column_list(v.key, 'd.'),
        'key_arrays',        tally.column_list(tally.numbered(v.key), 'tally_pending.'),
        'pending_keys',      tally.part(v, '_pending_keys'),
        'renamed',           tally.sql_if_renamed(v.id),
        'not_swept',         tally.sql_not_swept(v, 'd', 'tally_pending.')));
    PERFORM tally.seal(tally.part(v, '_pending') || '()', 'the keys of ' || tally.part(v) || ' that are not merged yet');
END
$generator$;

-- tally.sql_not_swept: SQL for "the sweep has not reached the key of this alias". Its position is tally_low_…; keys with a NULL come last.
--   Parameters from_: '', or the record that holds the position, with a dot
DROP FUNCTION IF EXISTS tally.sql_not_swept(tally.derived_view, text);  -- it had fewer parameters
DROP FUNCTION IF EXISTS tally.sql_pending_variables(tally.derived_view, boolean), tally.sql_read_pending(tally.derived_view, boolean);  -- a record has their place
CREATE OR REPLACE FUNCTION tally.sql_not_swept(v tally.derived_view, a text, from_ text DEFAULT '')
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('(%stally_from_start OR %s OR %s)', from_, tally.sql_some_null(v.key, a || '.'),
        tally.sql_compare(v.definition, v.key, tally.quoted(v.key, a || '.'), '>', tally.quoted(tally.numbered(v.key, 'tally_low_'), from_)))
$$;
