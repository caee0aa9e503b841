-- tally.generate_evaluate: the function that brings keys up to date and finds the ones that cannot be evaluated.
--   Makes     <projection>_evaluate(keys): _apply, halving the keys when one of them raises, until the culprit is alone and
--             goes to tally.quarantine
CREATE OR REPLACE FUNCTION tally.generate_evaluate(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $generator$
DECLARE
    key_arrays name[] := tally.numbered(v.key);
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {evaluate}({key_parameters}, OUT changed bigint, OUT quarantined bigint) LANGUAGE plpgsql SECURITY DEFINER SET search_path = {search_path} AS $body$
#variable_conflict use_column
DECLARE
    tally_half int := cardinality(tally_keys_1) / 2;
    tally_low record;
    tally_high record;
    tally_hint text;
BEGIN
    changed := 0;
    quarantined := 0;
    IF cardinality(tally_keys_1) IS NULL OR cardinality(tally_keys_1) = 0 THEN
        RETURN;
    END IF;
    BEGIN
        changed := {apply}({key_arrays});
        DELETE FROM tally.quarantine q WHERE q.view_id = {view_id}
            AND q.key IN (SELECT jsonb_build_array({key}) FROM unnest({key_arrays}) AS k({key}));
        RETURN;
    EXCEPTION WHEN OTHERS THEN
        IF NOT tally.is_fault_of_key(SQLSTATE) THEN
            RAISE;
        END IF;
        IF tally_half = 0 THEN
            GET STACKED DIAGNOSTICS tally_hint = PG_EXCEPTION_HINT;
            PERFORM tally.put_in_quarantine({view_id}, jsonb_build_array({first_key}), SQLSTATE, SQLERRM, tally_hint);
            quarantined := 1;
            RETURN;
        END IF;
    END;
    SELECT * INTO tally_low FROM {evaluate}({low_half}) e;
    SELECT * INTO tally_high FROM {evaluate}({high_half}) e;
    changed := tally_low.changed + tally_high.changed;
    quarantined := tally_low.quarantined + tally_high.quarantined;
END
$body$ $template$, jsonb_build_object(
        'evaluate',       tally.part(v, '_evaluate'),
        'apply',          tally.part(v, '_apply'),
        'view_id',        v.id,
        'search_path',    tally.fixed_path(v.definition),
        'key',            tally.column_list(v.key),
        'key_arrays',     tally.column_list(key_arrays),
        'key_parameters', tally.typed_list(v.definition, v.key, '[]', key_arrays),
        'first_key',      tally.sql_elements(key_arrays, '[1]'),
        'low_half',       tally.sql_elements(key_arrays, '[:tally_half]'),
        'high_half',      tally.sql_elements(key_arrays, '[tally_half + 1:]')));
    PERFORM tally.seal(format('%s(%s)', tally.part(v, '_evaluate'), tally.type_list(v.definition, v.key, '[]')),
        'brings keys of ' || tally.part(v) || ' up to date; quarantines those that raise');
END
$generator$;

-- tally.sql_elements: the same element or slice of several arrays: a[1], b[1].
CREATE OR REPLACE FUNCTION tally.sql_elements(arrays name[], subscript text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(quote_ident(a) || subscript, ', ' ORDER BY n) FROM unnest(arrays) WITH ORDINALITY u(a, n)
$$;

-- tally.sql_gather: one aggregate per column of a key that puts its values into an array: what fills tally_keys_1, tally_keys_2 …
--   Parameters condition: which rows count
CREATE OR REPLACE FUNCTION tally.sql_gather(key name[], condition text DEFAULT NULL)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(format('array_agg(%I)', c) || coalesce(' FILTER (WHERE ' || condition || ')', ''), ', ' ORDER BY n)
    FROM unnest(key) WITH ORDINALITY u(c, n)
$$;
