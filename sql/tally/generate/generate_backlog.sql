-- tally.generate_backlog: the functions that read a projection's delta table.
--   Makes     <projection>_first(n, kind): where the n oldest rows are, of what writers logged (kind 0), of sweeps (-1) or
--             of wide changes (-2), and _backlog(): all rows; both by the index, from merged_through on, whatever the
--             planner thinks of a table whose size changes every second
CREATE OR REPLACE FUNCTION tally.generate_backlog(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    delta text := tally.part(v, '_delta');
    path  text := tally.fixed_path(v.definition);
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {first}(n integer, kind integer) RETURNS tid[] LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = {search_path} SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $body$
    SELECT array_agg(f.ctid) FROM (
        (SELECT d.ctid FROM {delta} d WHERE $2 = 0 AND d.tally_xid >= (SELECT tally.scan_from({view_id})) AND d.tally_source >= 0
         ORDER BY d.tally_xid LIMIT $1)
        UNION ALL  -- few rows, by an index of their own: a backlog of the others is not read through for them
        (SELECT d.ctid FROM {delta} d WHERE d.tally_source < 0 AND d.tally_source = $2 AND d.tally_xid >= (SELECT tally.scan_from({view_id}))
         ORDER BY d.tally_xid LIMIT $1)) f
$body$ $template$, jsonb_build_object(
        'first', tally.part(v, '_first'), 'search_path', path, 'delta', delta, 'view_id', v.id));
    PERFORM tally.seal(tally.part(v, '_first') || '(integer, integer)', 'the oldest rows of ' || delta);

    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {backlog}() RETURNS SETOF {delta} LANGUAGE sql STABLE SECURITY DEFINER ROWS 100 COST 1
SET search_path = {search_path} SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $body$
    SELECT d.* FROM {delta} d WHERE d.tally_xid >= (SELECT tally.scan_from({view_id}))
$body$ $template$, jsonb_build_object(
        'backlog', tally.part(v, '_backlog'), 'search_path', path, 'delta', delta, 'view_id', v.id));
    PERFORM tally.seal(tally.part(v, '_backlog') || '()', 'the rows of ' || delta || ' not yet merged');
    PERFORM tally.generate_pending(v);
END
$$;

-- tally.generate_pending: make <projection>_pending(), the keys that the rows of the delta table name, expanded.
CREATE OR REPLACE FUNCTION tally.generate_pending(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {pending}() RETURNS TABLE ({typed_key}) LANGUAGE sql STABLE SECURITY DEFINER ROWS 10 COST 1 SET search_path = {search_path} SET jit = off AS $body$
    WITH backlog AS MATERIALIZED (SELECT * FROM {backlog}()),
    sweep AS MATERIALIZED (SELECT {key} FROM backlog WHERE tally_source = -1 ORDER BY {some_null} DESC LIMIT 1)
    SELECT {key} FROM backlog WHERE tally_source = 0
    {expanded}
    UNION SELECT k.* FROM backlog b CROSS JOIN LATERAL unnest({key_arrays}) k WHERE b.tally_source = -2
    UNION SELECT {key} FROM {stored} d WHERE EXISTS (SELECT FROM sweep) AND {not_swept}
    UNION SELECT {key} FROM {definition} d WHERE EXISTS (SELECT FROM sweep) AND {not_swept}
$body$ $template$, jsonb_build_object(
        'pending',     tally.part(v, '_pending'),
        'backlog',     tally.part(v, '_backlog'),
        'stored',      tally.part(v),
        'definition',  v.definition::text,
        'search_path', tally.fixed_path(v.definition),
        'typed_key',   tally.typed_list(v.definition, v.key),
        'key',         tally.column_list(v.key),
        'some_null',   tally.sql_some_null(v.key),
        'key_arrays',  tally.column_list(tally.numbered(v.key), 'b.'),
        'expanded',    coalesce((
            SELECT string_agg(format('UNION SELECT * FROM %s(%s)', tally.part(v, '_expand_' || s.ordinal), (
                       SELECT string_agg(format('ARRAY(SELECT %I FROM backlog WHERE tally_source = %s)', tally.logged_column(s.ordinal, c), s.ordinal), ', ' ORDER BY i)
                       FROM unnest(s.columns) WITH ORDINALITY u(c, i))), E'\n' ORDER BY s.ordinal)
            FROM tally.source s WHERE s.projection_id = v.id AND s.expand IS NOT NULL AND s.columns IS NOT NULL), ''),
        'not_swept',   format('((SELECT %s FROM sweep) OR %s OR %s)', tally.sql_some_null(v.key), tally.sql_some_null(v.key, 'd.'),
                              tally.sql_compare(v.definition, v.key, tally.quoted(v.key, 'd.'), '>',
                                                ARRAY(SELECT format('(SELECT %I FROM sweep)', c) FROM unnest(v.key) WITH ORDINALITY u(c, n) ORDER BY n)))));
    PERFORM tally.seal(tally.part(v, '_pending') || '()', 'the keys of ' || tally.part(v) || ' that are not merged yet');
END
$$;
