-- tally.generate_wide: the functions that keep a wide change (more keys than one merge may take) in the delta table: rows
-- of thousands of keys each (tally_source -2), and no row per key.
--   Makes     <projection>_put_wide(n, span, keys …): put away the keys after the first n
--             <projection>_take_wide(n, span, keys …): take some n of them back, beside the keys given
CREATE OR REPLACE FUNCTION tally.generate_wide(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    keys   name[] := tally.numbered(v.key);
    typed  text := tally.typed_list(v.definition, v.key, '[]', keys);
    types  text := tally.type_list(v.definition, v.key, '[]');
    delta  text := tally.part(v, '_delta');
BEGIN
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s(tally_n integer, span tally.span, %2$s) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = %3$s AS $body$
#variable_conflict use_column
DECLARE
    tally_size integer := least(greatest(tally_n / 8, 1), 5000);  -- keys a row
BEGIN
    INSERT INTO %4$s (tally_xid, tally_upto, tally_at, tally_source, %5$s)
    SELECT span.oldest, span.newest, span.since, -2, %6$s FROM generate_series(tally_n + 1, cardinality(tally_keys_1), tally_size) i;
END
$body$ $make$,
        tally.part(v, '_put_wide'), typed, tally.fixed_path(v.definition), delta, tally.column_list(keys),
        (SELECT string_agg(format('%I[i : i + tally_size - 1]', c), ', ' ORDER BY n) FROM unnest(keys) WITH ORDINALITY u(c, n)));
    PERFORM tally.seal(format('%s(integer, tally.span, %s)', tally.part(v, '_put_wide'), types), 'puts keys of a wide change into ' || delta);

    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s(tally_n integer, INOUT span tally.span, %2$s, OUT consumed bigint) LANGUAGE plpgsql SECURITY DEFINER SET search_path = %3$s AS $body$
#variable_conflict use_column
DECLARE
    tally_size integer; tally_oldest xid8; tally_newest xid8; tally_since timestamptz;
BEGIN
    SELECT greatest(cardinality(d.tally_keys_1), 1) INTO tally_size FROM %4$s d WHERE d.ctid = ANY (%5$s(1, -2));
    WITH taken AS (
        DELETE FROM %4$s d WHERE d.ctid = ANY (%5$s(greatest(tally_n / tally_size, 1), -2)) RETURNING d.*),
    wanted AS (
        SELECT * FROM unnest(%6$s) AS k(%7$s) UNION SELECT k.* FROM taken t CROSS JOIN LATERAL unnest(%8$s) k)
    SELECT (SELECT count(*) FROM taken), (SELECT min(tally_xid) FROM taken), (SELECT max(tally_upto) FROM taken), (SELECT min(tally_at) FROM taken), %9$s
    INTO consumed, tally_oldest, tally_newest, tally_since, %6$s FROM wanted;
    span.oldest := least(span.oldest, tally_oldest);
    span.newest := greatest(span.newest, tally_newest);
    span.since := least(span.since, tally_since);
END
$body$ $make$,
        tally.part(v, '_take_wide'), tally.typed_list(v.definition, v.key, '[]', keys, 'INOUT '), tally.fixed_path(v.definition), delta, tally.part(v, '_first'),
        tally.column_list(keys), tally.column_list(v.key), tally.column_list(keys, 't.'),
        (SELECT string_agg(format('array_agg(%I)', c), ', ' ORDER BY n) FROM unnest(v.key) WITH ORDINALITY u(c, n)));
    PERFORM tally.seal(format('%s(integer, tally.span, %s)', tally.part(v, '_take_wide'), types), 'takes keys of a wide change from ' || delta);
END
$$;
