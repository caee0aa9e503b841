-- tally.generate_take: the functions that take rows from a projection's delta table, and those that look at the ones left.
--   Makes     <projection>_take(n): deletes the n oldest logged changes; their number, span and contents, in arrays, and pg_snapshot_xmin
--             of the snapshot that saw them
--             <projection>_discard(n, kind): deletes the n oldest rows of one kind, unread; their number, span and that snapshot
--             <projection>_take_sweep(): deletes the rows of a sweep; their number and span, and its position
--             <projection>_sweep_position(): the position of a sweep; tally_from_start is NULL if there is none
--             <projection>_wide_span(): the number of keys that wide changes name, and their span
--             <projection>_oldest(): the oldest transaction of all rows that are left, and when the oldest logged or wide change was made
--   Notes     The planner is not left a choice, because the size of this table changes every second: a plan that was made for an empty
--             table would read all of a long backlog, again and again
CREATE OR REPLACE FUNCTION tally.generate_take(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    low   name[] := tally.numbered(v.key, 'tally_low_');
    names jsonb  := jsonb_build_object(
        'delta',    tally.part(v, '_delta'),
        'first',    tally.part(v, '_first'),
        'settings', format('SET search_path = %s SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off', tally.fixed_path(v.definition)),
        'sweep',    tally.delta_code('sweep'));
    swept jsonb  := names || jsonb_build_object(
        'low',       tally.column_list(low),
        'low_out',   tally.plain_list(v.definition, v.key, '', low, 'OUT '),
        'some_null', tally.sql_some_null(v.key, 'd.'),
        'position',  (SELECT string_agg(format('(array_agg(d.%I))[1]', c), ', ' ORDER BY n) FROM unnest(v.key) WITH ORDINALITY u(c, n)));
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {take}(tally_n integer, OUT tally_consumed bigint, OUT tally_span tally.span, OUT tally_through xid8, {keys_out}{logged_out})
LANGUAGE plpgsql SECURITY DEFINER {settings} AS $body$
#variable_conflict use_column
BEGIN
    WITH taken AS (
        DELETE FROM {delta} d WHERE d.ctid = ANY ((SELECT {first}(tally_n, {one_key}))::tid[]) RETURNING d.*)
    SELECT count(*), min(tally_xid), max(tally_xid), min(tally_at), pg_snapshot_xmin(pg_current_snapshot()), {gathered}{logged_aggregates}
    INTO tally_consumed, tally_span.oldest, tally_span.newest, tally_span.since, tally_through, {key_arrays}{logged_targets} FROM taken;
END
$body$ $template$, (names - 'sweep') || jsonb_build_object(
        'take',              tally.part(v, '_take'),
        'one_key',           tally.delta_code('key'),
        'key_arrays',        tally.column_list(tally.numbered(v.key)),
        'keys_out',          tally.plain_list(v.definition, v.key, '[]', tally.numbered(v.key), 'OUT '),
        'gathered',          tally.sql_gather(v.key, 'tally_source = ' || tally.delta_code('key')),
        'logged_out',        tally.logged_list(v, ', OUT %1$I %2$s[]'),
        'logged_aggregates', tally.logged_list(v, ', array_agg(%3$s) FILTER (WHERE tally_source = %4$s)'),
        'logged_targets',    tally.logged_list(v, ', %1$I')));
    PERFORM tally.seal(tally.part(v, '_take') || '(integer)', 'takes logged changes from ' || tally.part(v, '_delta'));

    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {discard}(tally_n integer, tally_kind integer, OUT tally_consumed bigint, OUT tally_span tally.span, OUT tally_through xid8)
LANGUAGE plpgsql SECURITY DEFINER {settings} AS $body$
#variable_conflict use_column
BEGIN
    WITH taken AS (
        DELETE FROM {delta} d WHERE d.ctid = ANY ((SELECT {first}(tally_n, tally_kind))::tid[]) RETURNING d.tally_xid, d.tally_upto, d.tally_at)
    SELECT count(*), min(tally_xid), greatest(max(tally_xid), max(tally_upto)), min(tally_at), pg_snapshot_xmin(pg_current_snapshot())
    INTO tally_consumed, tally_span.oldest, tally_span.newest, tally_span.since, tally_through FROM taken;
END
$body$ $template$, (names - 'sweep') || jsonb_build_object('discard', tally.part(v, '_discard')));
    PERFORM tally.seal(tally.part(v, '_discard') || '(integer, integer)', 'deletes rows of ' || tally.part(v, '_delta') || ' that a sweep makes needless');

    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {take_sweep}(OUT tally_consumed bigint, OUT tally_span tally.span, OUT tally_from_start boolean, {low_out})
LANGUAGE plpgsql SECURITY DEFINER {settings} AS $body$
#variable_conflict use_column
BEGIN
    WITH d AS (
        DELETE FROM {delta} d WHERE d.ctid = ANY ((SELECT {first}(1000000, {sweep}))::tid[]) RETURNING d.*)
    SELECT count(*), min(d.tally_xid), greatest(max(d.tally_xid), max(d.tally_upto)), min(d.tally_at), bool_or({some_null}), {position}
    INTO tally_consumed, tally_span.oldest, tally_span.newest, tally_span.since, tally_from_start, {low} FROM d;
END
$body$ $template$, swept || jsonb_build_object('take_sweep', tally.part(v, '_take_sweep')));
    PERFORM tally.seal(tally.part(v, '_take_sweep') || '()', 'takes the rows of a sweep from ' || tally.part(v, '_delta'));

    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {sweep_position}(OUT tally_from_start boolean, {low_out})
LANGUAGE plpgsql STABLE SECURITY DEFINER {settings} AS $body$
#variable_conflict use_column
BEGIN
    SELECT bool_or({some_null}), {position} INTO tally_from_start, {low} FROM {delta} d WHERE d.ctid = ANY ((SELECT {first}(1000000, {sweep}))::tid[]);
END
$body$ $template$, swept || jsonb_build_object('sweep_position', tally.part(v, '_sweep_position')));
    PERFORM tally.seal(tally.part(v, '_sweep_position') || '()', 'how far a sweep through ' || tally.part(v) || ' has come');

    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {wide_span}(OUT tally_named bigint, OUT tally_span tally.span)
LANGUAGE plpgsql STABLE SECURITY DEFINER {settings} AS $body$
#variable_conflict use_column
BEGIN
    SELECT coalesce(sum(cardinality(d.tally_keys_1)), 0), min(d.tally_xid), greatest(max(d.tally_xid), max(d.tally_upto)), min(d.tally_at)
    INTO tally_named, tally_span.oldest, tally_span.newest, tally_span.since FROM {delta} d WHERE d.ctid = ANY ((SELECT {first}(1000000, {wide}))::tid[]);
END
$body$ $template$, (names - 'sweep') || jsonb_build_object('wide_span', tally.part(v, '_wide_span'), 'wide', tally.delta_code('wide')));
    PERFORM tally.seal(tally.part(v, '_wide_span') || '()', 'what wide changes of ' || tally.part(v) || ' wait');

    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {oldest}(OUT tally_oldest xid8, OUT tally_since timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER {settings} AS $body$
#variable_conflict use_column
BEGIN
    SELECT min(d.tally_xid), min(d.tally_at) FILTER (WHERE d.tally_source <> {sweep}) INTO tally_oldest, tally_since
    FROM {delta} d WHERE d.ctid = ANY ((SELECT {first}(1, {one_key}) || {first}(1, {sweep}) || {first}(1, {wide}))::tid[]);
END
$body$ $template$, names || jsonb_build_object('oldest', tally.part(v, '_oldest'), 'one_key', tally.delta_code('key'), 'wide', tally.delta_code('wide')));
    PERFORM tally.seal(tally.part(v, '_oldest') || '()', 'the oldest change of ' || tally.part(v) || ' that is not merged yet');
END
$generator$;
