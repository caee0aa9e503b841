-- tally.generate_sweep_forward: the function that takes one bounded step of a sweep.
--   Makes     <projection>_sweep_forward(n, span, OUT consumed, keys, changed, quarantined): brings the next range of about n keys up to
--             date, and stores the new position of the sweep. It also stores the span of the dropped delta rows whose keys the sweep
--             will reach; with n = 0 it does nothing else. If no index has the keys in order, all keys become a wide change instead
CREATE OR REPLACE FUNCTION tally.generate_sweep_forward(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    low  name[] := tally.numbered(v.key, 'tally_low_');
    high name[] := tally.numbered(v.key, 'tally_high_');
    in_order boolean := EXISTS (SELECT FROM tally.guides(v));  -- an index has the keys in order
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {sweep_forward}(tally_n integer, tally_also tally.span, OUT consumed bigint, OUT keys bigint, OUT changed bigint, OUT quarantined bigint) LANGUAGE plpgsql SECURITY DEFINER SET search_path = {search_path} AS $body$
#variable_conflict use_column
DECLARE
    tally_span tally.span;
    {range_variables}
    {key_variables};
BEGIN
    SELECT t.tally_consumed, least((t.tally_span).oldest, tally_also.oldest), greatest((t.tally_span).newest, tally_also.newest), least((t.tally_span).since, tally_also.since){range_start}
    INTO consumed, tally_span.oldest, tally_span.newest, tally_span.since{range_targets} FROM {take_sweep}() t;
    quarantined := 0;
    IF tally_n < 1 THEN
        consumed := 0;
        {stay}
    ELSE
        {step}
    END IF;
    keys := coalesce(keys, 0);
    changed := coalesce(changed, 0);
END
$body$ $template$, jsonb_build_object(
        'sweep_forward',  tally.part(v, '_sweep_forward'),
        'search_path',    tally.fixed_path(v.definition),
        'take_sweep',     tally.part(v, '_take_sweep'),
        'range_variables', CASE WHEN in_order THEN format(E'tally_began timestamptz := clock_timestamp();\ntally_from_start boolean;\ntally_to_end boolean;\ntally_context text;\n%s;\n%s;',
                               tally.plain_list(v.definition, v.key, '', low, '', E';\n'), tally.plain_list(v.definition, v.key, '', high, '', E';\n')) ELSE '' END,
        'range_start',    CASE WHEN in_order THEN ', t.tally_from_start, ' || tally.column_list(low, 't.') ELSE '' END,
        'range_targets',  CASE WHEN in_order THEN format(', tally_from_start, %s', tally.column_list(low)) ELSE '' END,
        'key_variables',  tally.plain_list(v.definition, v.key, '[]', tally.numbered(v.key), '', E';\n'),
        'stay',           format('INSERT INTO %s (tally_xid, tally_upto, tally_at, tally_source%s) VALUES (tally_span.oldest, tally_span.newest, tally_span.since, %s%s);', tally.part(v, '_delta'),
                               CASE WHEN in_order THEN ', ' || tally.column_list(v.key) ELSE '' END, tally.delta_code('sweep'),
                               CASE WHEN in_order THEN (SELECT string_agg(format(', CASE WHEN NOT tally_from_start THEN %I END', l), '' ORDER BY n) FROM unnest(low) WITH ORDINALITY u(l, n)) ELSE '' END),
        'step',           CASE WHEN in_order THEN tally.sql_next_range(v, low, high) ELSE tally.sql_every_key(v) END));
    PERFORM tally.seal(tally.part(v, '_sweep_forward') || '(integer, tally.span)', 'one bounded step of a sweep through ' || tally.part(v));
END
$generator$;

-- tally.sql_next_range: statements of a sweep that bring the next range of keys up to date. If a key in the range raises, the range is
-- evaluated by <projection>_evaluate, which isolates that key.
CREATE OR REPLACE FUNCTION tally.sql_next_range(v tally.derived_view, low name[], high name[])
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render($template$SELECT {end} INTO {high} FROM {range_end}(tally_n, {low}, tally_from_start) b;
tally_to_end := {high_is_null};
BEGIN
    SELECT w.keys, w.changed INTO keys, changed FROM {sweep_range}({low}, {high}, tally_from_start, tally_to_end) w;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS tally_context = PG_EXCEPTION_CONTEXT;
    IF NOT tally.is_fault_of_key({view_id}, SQLSTATE, SQLERRM, tally_context) THEN
        RAISE;
    END IF;
    SELECT {gathered} INTO {key_arrays} FROM (SELECT {key} FROM {definition} d WHERE {in_range} UNION SELECT {key} FROM {table} d WHERE {in_range}) d;
    keys := coalesce(cardinality(tally_keys_1), 0);
    SELECT e.changed, e.quarantined INTO changed, quarantined FROM {evaluate}({key_arrays}) e;
END;
IF tally_from_start THEN  -- a key that comes back evaluates by itself
    INSERT INTO {delta} ({key}) SELECT {quarantined_key} FROM {quarantined}(false) q;
END IF;
IF NOT tally_to_end THEN
    INSERT INTO {delta} (tally_xid, tally_upto, tally_at, tally_source, {key}) VALUES (tally_span.oldest, tally_span.newest, tally_span.since, {sweep}, {high});
END IF;
PERFORM tally.note_sweep_cost({view_id}, keys, tally_began, tally_from_start, tally_to_end);
PERFORM tally.record_sweep({view_id}, keys, tally_from_start, tally_to_end);$template$, jsonb_build_object(
        'view_id',         v.id,
        'table',           tally.part(v),
        'definition',      v.definition,
        'delta',           tally.part(v, '_delta'),
        'range_end',       tally.part(v, '_range_end'),
        'sweep_range',     tally.part(v, '_sweep_range'),
        'evaluate',        tally.part(v, '_evaluate'),
        'sweep',           tally.delta_code('sweep'),
        'key',             tally.column_list(v.key),
        'key_arrays',      tally.column_list(tally.numbered(v.key)),
        'gathered',        tally.sql_gather(v.key),
        'low',             tally.column_list(low),
        'high',            tally.column_list(high),
        'high_is_null',    tally.sql_some_null(high),
        'end',             tally.column_list(high, 'b.'),
        'in_range',        tally.sql_range(v.definition, v.key),
        'quarantined',     tally.part(v, '_quarantined'),
        'quarantined_key', tally.column_list(tally.numbered(v.key, 'tally_key_'), 'q.')))
$generator$;

-- tally.sql_every_key: statements of a sweep that take every key at once. All after the first n become a wide change.
CREATE OR REPLACE FUNCTION tally.sql_every_key(v tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render($template$SELECT {gathered} INTO {key_arrays} FROM (SELECT {key} FROM {definition} UNION SELECT {key} FROM {table}) d;
IF cardinality(tally_keys_1) > tally_n THEN
    PERFORM {put_wide}(tally_n, tally_span, {key_arrays});
END IF;
keys := least(coalesce(cardinality(tally_keys_1), 0), tally_n);
SELECT e.changed, e.quarantined INTO changed, quarantined FROM {evaluate}({bounded_arrays}) e;$template$, jsonb_build_object(
        'table',          tally.part(v),
        'definition',     v.definition,
        'put_wide',       tally.part(v, '_put_wide'),
        'evaluate',       tally.part(v, '_evaluate'),
        'key',            tally.column_list(v.key),
        'key_arrays',     tally.column_list(tally.numbered(v.key)),
        'bounded_arrays', tally.sql_elements(tally.numbered(v.key), '[:tally_n]'),
        'gathered',       tally.sql_gather(v.key)))
$generator$;
