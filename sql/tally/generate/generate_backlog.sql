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
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s(n integer, kind integer) RETURNS tid[] LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = %2$s SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $body$
    SELECT array_agg(f.ctid) FROM (
        (SELECT d.ctid FROM %3$s d WHERE $2 = 0 AND d.tally_xid >= (SELECT tally.scan_from(%4$s)) AND d.tally_source >= 0
         ORDER BY d.tally_xid LIMIT $1)
        UNION ALL  -- few rows, by an index of their own: a backlog of the others is not read through for them
        (SELECT d.ctid FROM %3$s d WHERE d.tally_source < 0 AND d.tally_source = $2 AND d.tally_xid >= (SELECT tally.scan_from(%4$s))
         ORDER BY d.tally_xid LIMIT $1)) f
$body$ $make$, tally.part(v, '_first'), path, delta, v.id);
    PERFORM tally.seal(tally.part(v, '_first') || '(integer, integer)', 'the oldest rows of ' || delta);

    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s() RETURNS SETOF %3$s LANGUAGE sql STABLE SECURITY DEFINER ROWS 100 COST 1
SET search_path = %2$s SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $body$
    SELECT d.* FROM %3$s d WHERE d.tally_xid >= (SELECT tally.scan_from(%4$s))
$body$ $make$, tally.part(v, '_backlog'), path, delta, v.id);
    PERFORM tally.seal(tally.part(v, '_backlog') || '()', 'the rows of ' || delta || ' not yet merged');
    PERFORM tally.generate_pending(v);
END
$$;

-- tally.generate_pending: make <projection>_pending(), the keys that the rows of the delta table name, expanded.
CREATE OR REPLACE FUNCTION tally.generate_pending(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s() RETURNS TABLE (%2$s) LANGUAGE sql STABLE SECURITY DEFINER ROWS 10 COST 1 SET search_path = %3$s SET jit = off AS $body$
    WITH backlog AS MATERIALIZED (SELECT * FROM %4$s()),
    sweep AS MATERIALIZED (SELECT %5$s FROM backlog WHERE tally_source = -1 ORDER BY %6$s DESC LIMIT 1)
    SELECT %5$s FROM backlog WHERE tally_source = 0%7$s
    UNION SELECT k.* FROM backlog b CROSS JOIN LATERAL unnest(%8$s) k WHERE b.tally_source = -2
    UNION SELECT %5$s FROM %9$s d WHERE EXISTS (SELECT FROM sweep) AND %11$s
    UNION SELECT %5$s FROM %10$s d WHERE EXISTS (SELECT FROM sweep) AND %11$s
$body$ $make$,
        tally.part(v, '_pending'), tally.typed_list(v.definition, v.key), tally.fixed_path(v.definition), tally.part(v, '_backlog'),
        tally.column_list(v.key), tally.sql_some_null(v.key),
        (SELECT string_agg(format(E'\n    UNION SELECT * FROM %s(%s)', tally.part(v, '_expand_' || s.ordinal), (
                    SELECT string_agg(format('ARRAY(SELECT %I FROM backlog WHERE tally_source = %s)', tally.logged_column(s.ordinal, c), s.ordinal), ', ' ORDER BY i)
                    FROM unnest(s.columns) WITH ORDINALITY u(c, i))), '' ORDER BY s.ordinal)
         FROM tally.source s WHERE s.projection_id = v.id AND s.expand IS NOT NULL AND s.columns IS NOT NULL),
        tally.column_list(tally.numbered(v.key), 'b.'), tally.part(v), v.definition,
        format('((SELECT %s FROM sweep) OR %s OR %s > (SELECT %s FROM sweep))', tally.sql_some_null(v.key), tally.sql_some_null(v.key, 'd.'),
               tally.sql_row(v.key, 'd.'), tally.column_list(v.key)));
    PERFORM tally.seal(tally.part(v, '_pending') || '()', 'the keys of ' || tally.part(v) || ' that are not merged yet');
END
$$;
