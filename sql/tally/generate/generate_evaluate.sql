-- tally.generate_evaluate: the function that brings keys up to date and finds the ones that cannot be evaluated.
--   Makes     <projection>_evaluate(keys): _apply, halving the keys when one of them raises, until the culprit is alone and
--             goes to tally.quarantine
CREATE OR REPLACE FUNCTION tally.generate_evaluate(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    keys name[] := tally.numbered(v.key);
BEGIN
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s(%2$s, OUT changed bigint, OUT quarantined bigint) LANGUAGE plpgsql SECURITY DEFINER SET search_path = %3$s AS $body$
#variable_conflict use_column
DECLARE
    tally_half int := cardinality(tally_keys_1) / 2; tally_low record; tally_high record; tally_hint text;
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
            GET STACKED DIAGNOSTICS tally_hint = PG_EXCEPTION_HINT;
            PERFORM tally.put_in_quarantine(%6$s, jsonb_build_array(%8$s), SQLSTATE, SQLERRM, tally_hint);
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
        tally.part(v, '_evaluate'), tally.typed_list(v.definition, v.key, '[]', keys), tally.fixed_path(v.definition), tally.part(v, '_apply'),
        tally.column_list(keys), v.id, tally.column_list(v.key), tally.column_list(keys, '', '[1], ') || '[1]', tally.part(v, '_evaluate'),
        tally.column_list(keys, '', '[:tally_half], ') || '[:tally_half]', tally.column_list(keys, '', '[tally_half + 1:], ') || '[tally_half + 1:]');
    PERFORM tally.seal(format('%s(%s)', tally.part(v, '_evaluate'), tally.type_list(v.definition, v.key, '[]')),
        'brings keys of ' || tally.part(v) || ' up to date; quarantines those that raise');
END
$$;
