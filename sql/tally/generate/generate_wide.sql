-- tally.generate_wide: the functions that keep a wide change (more keys than one merge may take) in the delta table. A delta row
-- holds thousands of keys.
--   Makes     <projection>_put_wide(n, span, keys …): stores the keys after the first n in the delta table
--             <projection>_take_wide(n, span, keys …): takes about n of them back and adds them to the keys given; returns whether n were there
CREATE OR REPLACE FUNCTION tally.generate_wide(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    key_arrays name[] := tally.numbered(v.key);
    types      text   := tally.plain_types(v.definition, v.key, '[]');
    delta      text   := tally.part(v, '_delta');
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {put_wide}(tally_n integer, span tally.span, {key_parameters}) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = {search_path} AS $body$
#variable_conflict use_column
DECLARE
    tally_size integer := least(greatest(tally_n / 8, cardinality(tally_keys_1) / 64, 1), 5000);  -- keys a row
BEGIN
    INSERT INTO {delta} (tally_xid, tally_upto, tally_at, tally_source, {key_arrays})
    SELECT span.oldest, span.newest, span.since, {wide}, {slices} FROM generate_series(tally_n + 1, cardinality(tally_keys_1), tally_size) i;
END
$body$ $template$, jsonb_build_object(
        'put_wide',       tally.part(v, '_put_wide'),
        'search_path',    tally.fixed_path(v.definition),
        'delta',          delta,
        'wide',           tally.delta_code('wide'),
        'key_arrays',     tally.column_list(key_arrays),
        'key_parameters', tally.plain_list(v.definition, v.key, '[]', key_arrays),
        'slices',         tally.sql_elements(key_arrays, '[i : i + tally_size - 1]')));
    PERFORM tally.seal(format('%s(integer, tally.span, %s)', tally.part(v, '_put_wide'), types), 'puts keys of a wide change into ' || delta);

    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {take_wide}(tally_n integer, INOUT span tally.span, {key_parameters}, OUT consumed bigint, OUT filled boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {search_path} SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $body$
#variable_conflict use_column
DECLARE
    tally_oldest xid8;
    tally_newest xid8;
    tally_since timestamptz;
BEGIN
    WITH taken AS (  -- rows of one key to thousands: the oldest, as long as those before have less than n keys
        DELETE FROM {delta} d WHERE d.ctid = ANY (ARRAY(
            SELECT w.place FROM (
                SELECT f.place, sum(f.named) OVER (ORDER BY f.tally_xid, f.place) - f.named AS before FROM (
                    SELECT d.ctid AS place, d.tally_xid, cardinality(d.tally_keys_1) AS named FROM {delta} d
                    WHERE d.ctid = ANY ((SELECT {first}(tally_n, {wide}))::tid[]) OFFSET 0) f) w  -- OFFSET: no index is read for the order
            WHERE w.before < tally_n)) RETURNING d.*),
    wanted AS (
        SELECT {collated_key} FROM unnest({key_arrays}) AS k({key})
        UNION
        SELECT {collated_key} FROM taken t CROSS JOIN LATERAL unnest({taken_arrays}) AS k({key}))
    SELECT (SELECT count(*) FROM taken), (SELECT coalesce(sum(cardinality(t.tally_keys_1)) >= tally_n, false) FROM taken t), (SELECT min(tally_xid) FROM taken),
        (SELECT max(tally_upto) FROM taken), (SELECT min(tally_at) FROM taken), {gathered}
    INTO consumed, filled, tally_oldest, tally_newest, tally_since, {key_arrays} FROM wanted;
    span.oldest := least(span.oldest, tally_oldest);
    span.newest := greatest(span.newest, tally_newest);
    span.since := least(span.since, tally_since);
END
$body$ $template$, jsonb_build_object(
        'take_wide',      tally.part(v, '_take_wide'),
        'search_path',    tally.fixed_path(v.definition),
        'delta',          delta,
        'first',          tally.part(v, '_first'),
        'wide',           tally.delta_code('wide'),
        'key',            tally.column_list(v.key),
        'collated_key',   tally.collated_list(v.definition, v.key, 'k.'),
        'key_arrays',     tally.column_list(key_arrays),
        'key_parameters', tally.plain_list(v.definition, v.key, '[]', key_arrays, 'INOUT '),
        'taken_arrays',   tally.column_list(key_arrays, 't.'),
        'gathered',       tally.sql_gather(v.key)));
    PERFORM tally.seal(format('%s(integer, tally.span, %s)', tally.part(v, '_take_wide'), types), 'takes keys of a wide change from ' || delta);
END
$generator$;
