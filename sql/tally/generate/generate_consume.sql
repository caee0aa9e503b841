-- tally.generate_consume: the function that takes delta rows and brings their keys up to date.
--   Makes     <projection>_consume(max_keys) RETURNS tally.merge_result. What writers logged comes first, but leaves a quarter
--             of max_keys to a wide change or a sweep that waits; and they get whatever writers leave
CREATE OR REPLACE FUNCTION tally.generate_consume(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    keys   name[] := tally.numbered(v.key);
    logged record;  -- the watched columns of the sources that expand: variables, their aggregates, calls of _expand
BEGIN
    SELECT string_agg(format('%I %s[]; ', c.col, c.type), '' ORDER BY c.ordinal, c.i) AS variables,
           string_agg(format(', array_agg(%I) FILTER (WHERE tally_source = %s)', c.col, c.ordinal), '' ORDER BY c.ordinal, c.i) AS aggregates,
           string_agg(format(', %I', c.col), '' ORDER BY c.ordinal, c.i) AS targets
    INTO logged FROM tally.logged_columns(v) c;
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s(tally_max_keys integer) RETURNS tally.merge_result LANGUAGE plpgsql SECURITY DEFINER SET search_path = %2$s AS $body$
#variable_conflict use_column
DECLARE
    tally_result tally.merge_result; tally_span tally.span; tally_step record; tally_through xid8; tally_wide boolean; tally_sweep boolean; tally_room integer;
    %3$s; %4$s
BEGIN
    tally_wide := %5$s(1, -2) IS NOT NULL;
    tally_sweep := %5$s(1, -1) IS NOT NULL;
    tally_room := tally_max_keys - CASE WHEN tally_wide OR tally_sweep THEN tally_max_keys / 4 ELSE 0 END;
    WITH taken AS (
        DELETE FROM %6$s d WHERE d.ctid = ANY (%5$s(tally_room, 0)) RETURNING d.*)
    SELECT count(*), min(tally_xid), max(tally_xid), min(tally_at), pg_snapshot_xmin(pg_current_snapshot()), %7$s
    INTO tally_result.consumed, tally_span.oldest, tally_span.newest, tally_span.since, tally_through, %8$s FROM taken;
    IF tally_result.consumed = 0 AND NOT tally_wide AND NOT tally_sweep THEN
        tally_result.outcome := 'nothing';
        tally_result.more := false;
        RETURN tally_result;
    END IF;
    tally_result.more := tally_result.consumed >= tally_room;
%9$s    tally_room := tally_max_keys - coalesce(cardinality(tally_keys_1), 0);
    IF tally_wide AND tally_room > 0 THEN
        SELECT tally_result.consumed + t.consumed, (t.span).oldest, (t.span).newest, (t.span).since, %10$s
        INTO tally_result.consumed, tally_span.oldest, tally_span.newest, tally_span.since, %11$s FROM %12$s(tally_room, tally_span, %11$s) t;
    END IF;
    IF cardinality(tally_keys_1) > tally_max_keys THEN  -- the rest waits in the delta table
        PERFORM %13$s(tally_max_keys, tally_span, %11$s);
    END IF;
    tally_room := tally_max_keys - coalesce(cardinality(tally_keys_1), 0);
    tally_result.keys := least(coalesce(cardinality(tally_keys_1), 0), tally_max_keys);
    SELECT e.changed, e.quarantined INTO tally_result.changed, tally_result.quarantined FROM %14$s(%15$s) e;
    IF tally_sweep AND tally_room > 0 THEN
        SELECT * INTO tally_step FROM %16$s(tally_room) t;
        tally_result.consumed := tally_result.consumed + tally_step.consumed;
        tally_result.keys := tally_result.keys + tally_step.keys;
        tally_result.changed := tally_result.changed + tally_step.changed;
        tally_result.quarantined := tally_result.quarantined + tally_step.quarantined;
    END IF;
    tally_result.more := tally_result.more OR %5$s(1, -1) IS NOT NULL OR %5$s(1, -2) IS NOT NULL;
    tally_result.outcome := 'merged';
    PERFORM tally.record_merge(%17$s, tally_result, least(tally_through, (
        SELECT min(d.tally_xid) FROM %6$s d WHERE d.ctid = ANY (%5$s(1, 0) || %5$s(1, -1) || %5$s(1, -2)))));
    RETURN tally_result;
END
$body$ $make$,
        tally.part(v, '_consume'), tally.fixed_path(v.definition), tally.typed_list(v.definition, v.key, '[]', keys, '', '; '), coalesce(logged.variables, ''),
        tally.part(v, '_first'), tally.part(v, '_delta'),
        (SELECT string_agg(format('array_agg(%I) FILTER (WHERE tally_source = 0)', c), ', ' ORDER BY i) FROM unnest(v.key) WITH ORDINALITY u(c, i)) || coalesce(logged.aggregates, ''),
        tally.column_list(keys) || coalesce(logged.targets, ''),
        tally.sql_expand_logged(v), tally.column_list(keys, 't.'), tally.column_list(keys), tally.part(v, '_take_wide'), tally.part(v, '_put_wide'),
        tally.part(v, '_evaluate'), tally.column_list(keys, '', '[:tally_max_keys], ') || '[:tally_max_keys]', tally.part(v, '_sweep_next'), v.id);
    PERFORM tally.seal(tally.part(v, '_consume') || '(integer)', 'one bounded merge of ' || tally.part(v) || '; called by tally.merge');
    PERFORM tally.generate_wide(v);
    PERFORM tally.generate_sweep_next(v);
END
$$;

-- tally.logged_columns: where the delta table keeps the watched columns of the sources that expand, with their types.
CREATE OR REPLACE FUNCTION tally.logged_columns(v tally.derived_view)
RETURNS TABLE (ordinal smallint, i bigint, col name, type text) LANGUAGE sql STABLE AS $$
    SELECT s.ordinal, u.i, tally.logged_column(s.ordinal, u.c), tally.type_of(s.relation, u.c)
    FROM tally.source s CROSS JOIN LATERAL unnest(s.columns) WITH ORDINALITY u(c, i)
    WHERE s.projection_id = v.id AND s.expand IS NOT NULL
$$;

-- tally.sql_expand_logged: the statement that makes the variables tally_keys_… hold each key once, those included to which
-- changed rows of other sources lead.
CREATE OR REPLACE FUNCTION tally.sql_expand_logged(v tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format(E'    SELECT %s INTO %s FROM (SELECT * FROM unnest(%s) AS k(%s)%s) u;\n',
        (SELECT string_agg(format('array_agg(%I)', c), ', ' ORDER BY i) FROM unnest(v.key) WITH ORDINALITY u(c, i)),
        tally.column_list(tally.numbered(v.key)), tally.column_list(tally.numbered(v.key)), tally.column_list(v.key),
        coalesce((SELECT string_agg(format(' UNION SELECT * FROM %s(%s)', tally.part(v, '_expand_' || s.ordinal), (
                        SELECT string_agg(quote_ident(l.col), ', ' ORDER BY l.i) FROM tally.logged_columns(v) l WHERE l.ordinal = s.ordinal)), '' ORDER BY s.ordinal)
                  FROM tally.source s WHERE s.projection_id = v.id AND s.expand IS NOT NULL),
                 format(' UNION SELECT %s WHERE false', (SELECT string_agg('NULL::' || tally.type_of(v.definition, c), ', ' ORDER BY i) FROM unnest(v.key) WITH ORDINALITY u(c, i)))))
$$;
