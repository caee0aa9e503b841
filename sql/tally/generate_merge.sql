-- tally.generate_merge: the functions that take delta rows and bring their keys up to date.
--   Makes     <projection>_merge(max_keys) RETURNS tally.merge_result, with the bound in its last column's place kept by
--             tally.merge; <projection>_evaluate(keys): _apply, halving the keys when one of them raises, until the
--             culprit is alone and goes to tally.quarantine
--   Called by tally.activate
CREATE OR REPLACE FUNCTION tally.generate_merge(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    delta  text := tally.part(v, '_delta');
    n      int  := cardinality(v.key);
    arrays text := (SELECT string_agg(format('tally_keys_%s %s[]', i, tally.type_of(v.definition, c)), '; ' ORDER BY i) FROM unnest(v.key) WITH ORDINALITY u(c, i));
    logged text := coalesce((SELECT string_agg(format('%I %s[]', tally.logged_column(s.ordinal, c), tally.type_of(s.relation, c)), '; ' ORDER BY s.ordinal, i)
                    FROM tally.source s, unnest(s.columns) WITH ORDINALITY u(c, i) WHERE s.projection_id = v.id AND s.expand IS NOT NULL) || ';', '');
BEGIN
    PERFORM tally.generate_evaluate(v);
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s(tally_max_keys integer) RETURNS tally.merge_result LANGUAGE plpgsql SECURITY DEFINER SET search_path = %2$s AS $body$
#variable_conflict use_column
DECLARE
    tally_result tally.merge_result; tally_oldest xid8; tally_through xid8; tally_everything boolean; %3$s; %4$s
BEGIN
    WITH taken AS (
        DELETE FROM %5$s d WHERE d.ctid = ANY (%6$s(tally_max_keys)) RETURNING d.*)
    SELECT count(*), min(tally_xid), bool_or(tally_source = -1), pg_snapshot_xmin(pg_current_snapshot()), %7$s
    INTO tally_result.consumed, tally_oldest, tally_everything, tally_through, %8$s FROM taken;
    tally_result.more := tally_result.consumed >= tally_max_keys;
    IF tally_result.consumed = 0 THEN
        tally_result.outcome := 'nothing';
        RETURN tally_result;
    END IF;
    IF tally_everything THEN  -- a TRUNCATE, a rebuild or the first fill: every key becomes a delta row
        DELETE FROM %5$s d WHERE d.tally_source = -1 AND d.ctid = ANY (ARRAY(SELECT b.ctid FROM %5$s b WHERE b.tally_xid >= tally.scan_from(%9$s) AND b.tally_source = -1));
        INSERT INTO %5$s (tally_xid, %10$s) SELECT tally_oldest, %10$s FROM (SELECT %10$s FROM %11$s UNION SELECT %10$s FROM %12$s) k;
        tally_result.more := true;
    END IF;
    SELECT %13$s INTO %14$s FROM (SELECT * FROM unnest(%15$s) AS k(%10$s)%16$s) u;
    tally_result.keys := coalesce(cardinality(tally_keys_1), 0);
    IF tally_result.keys > tally_max_keys THEN  -- a wide change: the rest waits in the delta table, as old as it is
        INSERT INTO %5$s (tally_xid, %10$s) SELECT tally_oldest, * FROM unnest(%17$s);
        tally_result.keys := tally_max_keys;
        tally_result.more := true;
    END IF;
    SELECT e.changed, e.quarantined INTO tally_result.changed, tally_result.quarantined FROM %18$s(%19$s) e;
    tally_result.outcome := 'merged';
    PERFORM tally.record_merge(%9$s, tally_result, least(tally_through, (SELECT min(d.tally_xid) FROM %5$s d WHERE d.ctid = ANY (%6$s(1)))));
    RETURN tally_result;
END
$body$ $make$,
        tally.part(v, '_merge'), tally.fixed_path(v.definition), arrays, logged, delta, tally.part(v, '_first'),
        concat_ws(', ', (SELECT string_agg(format('array_agg(taken.%I) FILTER (WHERE tally_source = 0)', c), ', ' ORDER BY i) FROM unnest(v.key) WITH ORDINALITY u(c, i)),
            (SELECT string_agg(format('array_agg(taken.%I) FILTER (WHERE tally_source = %s)', tally.logged_column(s.ordinal, c), s.ordinal), ', ' ORDER BY s.ordinal, i)
             FROM tally.source s, unnest(s.columns) WITH ORDINALITY u(c, i) WHERE s.projection_id = v.id AND s.expand IS NOT NULL)),
        concat_ws(', ', (SELECT string_agg('tally_keys_' || i, ', ' ORDER BY i) FROM generate_series(1, n) i),
            (SELECT string_agg(quote_ident(tally.logged_column(s.ordinal, c)), ', ' ORDER BY s.ordinal, i)
             FROM tally.source s, unnest(s.columns) WITH ORDINALITY u(c, i) WHERE s.projection_id = v.id AND s.expand IS NOT NULL)),
        v.id, tally.column_list(v.key), tally.part(v), v.definition,
        (SELECT string_agg(format('array_agg(%I)', c), ', ' ORDER BY i) FROM unnest(v.key) WITH ORDINALITY u(c, i)),
        (SELECT string_agg('tally_keys_' || i, ', ' ORDER BY i) FROM generate_series(1, n) i),
        (SELECT string_agg('tally_keys_' || i, ', ' ORDER BY i) FROM generate_series(1, n) i),
        coalesce((SELECT string_agg(format(' UNION SELECT * FROM %s(%s)', tally.part(v, '_expand_' || s.ordinal),
                    (SELECT string_agg(quote_ident(tally.logged_column(s.ordinal, c)), ', ' ORDER BY i) FROM unnest(s.columns) WITH ORDINALITY u(c, i))), '' ORDER BY s.ordinal)
                  FROM tally.source s WHERE s.projection_id = v.id AND s.expand IS NOT NULL),
                 format(' UNION SELECT %s WHERE false', (SELECT string_agg('NULL::' || tally.type_of(v.definition, c), ', ' ORDER BY i) FROM unnest(v.key) WITH ORDINALITY u(c, i)))),
        (SELECT string_agg(format('tally_keys_%s[tally_max_keys + 1:]', i), ', ' ORDER BY i) FROM generate_series(1, n) i),
        tally.part(v, '_evaluate'),
        (SELECT string_agg(format('tally_keys_%s[:tally_max_keys]', i), ', ' ORDER BY i) FROM generate_series(1, n) i));
    PERFORM tally.seal(tally.part(v, '_merge') || '(integer)', 'one bounded merge of ' || tally.part(v) || '; called by tally.merge');
END
$$;

-- tally.generate_evaluate: make <projection>_evaluate.
CREATE OR REPLACE FUNCTION tally.generate_evaluate(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n     int := cardinality(v.key);
    types text := (SELECT string_agg(tally.type_of(v.definition, c) || '[]', ', ' ORDER BY i) FROM unnest(v.key) WITH ORDINALITY u(c, i));
BEGIN
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s(%2$s, OUT changed bigint, OUT quarantined bigint) LANGUAGE plpgsql SECURITY DEFINER SET search_path = %3$s AS $body$
#variable_conflict use_column
DECLARE
    tally_half int := cardinality(tally_keys_1) / 2; tally_low record; tally_high record;
BEGIN
    changed := 0;
    quarantined := 0;
    IF cardinality(tally_keys_1) IS NULL OR cardinality(tally_keys_1) = 0 THEN
        RETURN;
    END IF;
    BEGIN
        changed := %4$s(%5$s);
        DELETE FROM tally.quarantine q WHERE q.view_id = %6$s
            AND q.key IN (SELECT jsonb_build_array(%7$s) FROM unnest(%5$s) AS k(%7$s));
        RETURN;
    EXCEPTION WHEN OTHERS THEN
        IF NOT tally.is_fault_of_key(SQLSTATE) THEN
            RAISE;
        END IF;
        IF tally_half = 0 THEN
            PERFORM tally.put_in_quarantine(%6$s, jsonb_build_array(%8$s), SQLSTATE, SQLERRM);
            quarantined := 1;
            RETURN;
        END IF;
    END;
    SELECT * INTO tally_low FROM %9$s(%10$s) e;
    SELECT * INTO tally_high FROM %9$s(%11$s) e;
    changed := tally_low.changed + tally_high.changed;
    quarantined := tally_low.quarantined + tally_high.quarantined;
END
$body$ $make$,
        tally.part(v, '_evaluate'),
        (SELECT string_agg(format('tally_keys_%s %s[]', i, tally.type_of(v.definition, c)), ', ' ORDER BY i) FROM unnest(v.key) WITH ORDINALITY u(c, i)),
        tally.fixed_path(v.definition), tally.part(v, '_apply'),
        (SELECT string_agg('tally_keys_' || i, ', ' ORDER BY i) FROM generate_series(1, n) i), v.id, tally.column_list(v.key),
        (SELECT string_agg(format('tally_keys_%s[1]', i), ', ' ORDER BY i) FROM generate_series(1, n) i),
        tally.part(v, '_evaluate'),
        (SELECT string_agg(format('tally_keys_%s[:tally_half]', i), ', ' ORDER BY i) FROM generate_series(1, n) i),
        (SELECT string_agg(format('tally_keys_%s[tally_half + 1:]', i), ', ' ORDER BY i) FROM generate_series(1, n) i));
    PERFORM tally.seal(format('%s(%s)', tally.part(v, '_evaluate'), types), 'brings keys of ' || tally.part(v) || ' up to date; quarantines those that raise');
END
$$;
