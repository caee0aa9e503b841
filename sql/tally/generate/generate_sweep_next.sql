-- tally.generate_sweep_next: the function that takes one bounded step of a sweep.
--   Makes     <projection>_sweep_next(n, OUT consumed, keys, changed, quarantined): from where the sweep stands, bring up to date the
--             next range of some n keys, and note how far one has come. Where no index holds the keys in order, all of
--             them become a wide change instead. A range in which a key raises is evaluated key by key
CREATE OR REPLACE FUNCTION tally.generate_sweep_next(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    low    name[] := tally.numbered(v.key, 'tally_low_');
    high   name[] := tally.numbered(v.key, 'tally_high_');
    keys   name[] := tally.numbered(v.key);
    key    text := tally.column_list(v.key);
    delta  text := tally.part(v, '_delta');
    every  text := (SELECT string_agg(format('array_agg(%I)', c), ', ' ORDER BY n) FROM unnest(v.key) WITH ORDINALITY u(c, n));
    step   text;
BEGIN
    step := format($step$    SELECT %1$s INTO %2$s FROM %3$s(tally_n, %4$s, tally_from_start) b;
    tally_to_end := %5$s;
    BEGIN
        SELECT w.keys, w.changed INTO keys, changed FROM %6$s(%4$s, %2$s, tally_from_start, tally_to_end) w;
    EXCEPTION WHEN OTHERS THEN
        IF NOT tally.is_fault_of_key(SQLSTATE) THEN
            RAISE;
        END IF;
        SELECT %7$s INTO %8$s FROM (SELECT %9$s FROM %10$s d WHERE %12$s UNION SELECT %9$s FROM %11$s d WHERE %12$s) d;
        keys := coalesce(cardinality(tally_keys_1), 0);
        SELECT e.changed, e.quarantined INTO changed, quarantined FROM %13$s(%8$s) e;
    END;
    IF tally_from_start THEN  -- a key that comes back evaluates by itself
        INSERT INTO %14$s (%9$s) SELECT %16$s FROM tally.quarantine q WHERE q.view_id = %15$s;
    END IF;
    IF NOT tally_to_end THEN
        INSERT INTO %14$s (tally_xid, tally_upto, tally_at, tally_source, %9$s) VALUES (tally_span.oldest, tally_span.newest, tally_span.since, -1, %2$s);
    END IF;
    PERFORM tally.record_sweep(%15$s, keys, tally_from_start, tally_to_end);
$step$,
        tally.column_list(high, 'b.'), tally.column_list(high), tally.part(v, '_range_end'), tally.column_list(low), tally.sql_some_null(high), tally.part(v, '_sweep_range'),
        every, tally.column_list(keys), key, v.definition, tally.part(v), tally.sql_range(v.key), tally.part(v, '_evaluate'), delta, v.id,
        (SELECT string_agg(format('(q.key ->> %s)::%s', n - 1, tally.type_of(v.definition, c)), ', ' ORDER BY n) FROM unnest(v.key) WITH ORDINALITY u(c, n)));
    IF NOT EXISTS (SELECT FROM tally.guides(v)) THEN
        step := format($step$    SELECT %1$s INTO %2$s FROM (SELECT %3$s FROM %4$s UNION SELECT %3$s FROM %5$s) d;
    IF cardinality(tally_keys_1) > tally_n THEN
        PERFORM %6$s(tally_n, tally_span, %2$s);
    END IF;
    keys := least(coalesce(cardinality(tally_keys_1), 0), tally_n);
    SELECT e.changed, e.quarantined INTO changed, quarantined FROM %7$s(%8$s) e;
$step$, every, tally.column_list(keys), key, v.definition, tally.part(v), tally.part(v, '_put_wide'), tally.part(v, '_evaluate'), tally.column_list(keys, '', '[:tally_n], ') || '[:tally_n]');
    END IF;
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s(tally_n integer, OUT consumed bigint, OUT keys bigint, OUT changed bigint, OUT quarantined bigint) LANGUAGE plpgsql SECURITY DEFINER SET search_path = %2$s AS $body$
#variable_conflict use_column
DECLARE
    tally_span tally.span; tally_from_start boolean; tally_to_end boolean; %3$s; %4$s; %5$s;
BEGIN
    WITH taken AS (
        DELETE FROM %6$s d WHERE d.ctid = ANY (%7$s(1000000, -1)) RETURNING d.*)
    SELECT count(*), min(tally_xid), greatest(max(tally_xid), max(tally_upto)), min(tally_at), bool_or(%8$s), %9$s
    INTO consumed, tally_span.oldest, tally_span.newest, tally_span.since, tally_from_start, %10$s FROM taken;
    quarantined := 0;
%11$s    keys := coalesce(keys, 0);
    changed := coalesce(changed, 0);
END
$body$ $make$,
        tally.part(v, '_sweep_next'), tally.fixed_path(v.definition), tally.typed_list(v.definition, v.key, '', low, '', '; '), tally.typed_list(v.definition, v.key, '', high, '', '; '),
        tally.typed_list(v.definition, v.key, '[]', keys, '', '; '), delta, tally.part(v, '_first'), tally.sql_some_null(v.key),
        (SELECT string_agg(format('(array_agg(%I))[1]', c), ', ' ORDER BY n) FROM unnest(v.key) WITH ORDINALITY u(c, n)), tally.column_list(low), step);
    PERFORM tally.seal(tally.part(v, '_sweep_next') || '(integer)', 'one bounded step of a sweep through ' || tally.part(v));
END
$$;
