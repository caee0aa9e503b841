-- tally.generate_evaluate: the functions that bring keys up to date and find the ones that cannot be evaluated.
--   Makes     <projection>_evaluate(keys, OUT changed, quarantined): calls _halve, and removes keys that evaluate now from the quarantine
--             <projection>_halve(keys, OUT changed, quarantined): calls _apply. If a key raises, it halves the keys until that
--             key is alone, and puts it into tally.quarantine
CREATE OR REPLACE FUNCTION tally.generate_evaluate(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    key_arrays  name[] := tally.numbered(v.key);
    key_columns name[] := tally.numbered(v.key, 'tally_key_');
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {evaluate}({key_parameters}, OUT changed bigint, OUT quarantined bigint) LANGUAGE plpgsql SECURITY DEFINER SET search_path = {search_path} AS $body$
#variable_conflict use_column
DECLARE
    tally_started timestamptz := clock_timestamp();
BEGIN
    SELECT h.changed, h.quarantined INTO changed, quarantined FROM {halve}({key_arrays}) h;
    IF tally.has_quarantined({view_id}) THEN
        DELETE FROM tally.quarantine a WHERE a.tried_at < tally_started AND a.id IN (
            SELECT q.tally_id FROM {quarantined}(false) q JOIN (
                SELECT {collated_columns} FROM unnest({key_arrays}) AS k({key_columns})) k ON {same_key});
    END IF;
END
$body$ $template$, jsonb_build_object(
        'evaluate',         tally.part(v, '_evaluate'),
        'halve',            tally.part(v, '_halve'),
        'quarantined',      tally.part(v, '_quarantined'),
        'view_id',          v.id,
        'search_path',      tally.fixed_path(v.definition),
        'key_arrays',       tally.column_list(key_arrays),
        'key_parameters',   tally.plain_list(v.definition, v.key, '[]', key_arrays),
        'key_columns',      tally.column_list(key_columns),
        'collated_columns', (SELECT string_agg(format('k.%1$I%2$s AS %1$I', k, tally.sql_collate(v.definition, c)), ', ' ORDER BY n)
                             FROM unnest(v.key, key_columns) WITH ORDINALITY u(c, k, n)),
        'same_key',         (SELECT string_agg(tally.sql_equal(v.definition, c, 'q.' || quote_ident(k), 'k.' || quote_ident(k)), ' AND ' ORDER BY n)
                             FROM unnest(v.key, key_columns) WITH ORDINALITY u(c, k, n))));
    PERFORM tally.seal(format('%s(%s)', tally.part(v, '_evaluate'), tally.plain_types(v.definition, v.key, '[]')),
        'brings keys of ' || tally.part(v) || ' up to date; quarantines those that raise');
    PERFORM tally.generate_halve(v, key_arrays);
END
$generator$;

-- tally.generate_halve: make <projection>_halve.
CREATE OR REPLACE FUNCTION tally.generate_halve(v tally.derived_view, key_arrays name[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {halve}({key_parameters}, OUT changed bigint, OUT quarantined bigint) LANGUAGE plpgsql SECURITY DEFINER SET search_path = {search_path} AS $body$
#variable_conflict use_column
DECLARE
    tally_half int := cardinality(tally_keys_1) / 2;
    tally_low record;
    tally_high record;
    tally_context text;
    tally_hint text;
    tally_index text;
BEGIN
    changed := 0;
    quarantined := 0;
    IF cardinality(tally_keys_1) IS NULL OR cardinality(tally_keys_1) = 0 THEN
        RETURN;
    END IF;
    BEGIN
        changed := {apply}({key_arrays});
        RETURN;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS tally_context = PG_EXCEPTION_CONTEXT, tally_hint = PG_EXCEPTION_HINT, tally_index = CONSTRAINT_NAME;
        IF NOT tally.is_fault_of_key({view_id}, SQLSTATE, SQLERRM, tally_context) THEN
            RAISE;
        END IF;
        IF tally_half = 0 THEN
            PERFORM {set_aside}(SQLSTATE, SQLERRM, tally_hint, tally_index, {first_key});
            quarantined := 1;
            RETURN;
        END IF;
    END;
    SELECT * INTO tally_low FROM {halve}({low_half}) e;
    SELECT * INTO tally_high FROM {halve}({high_half}) e;
    changed := tally_low.changed + tally_high.changed;
    quarantined := tally_low.quarantined + tally_high.quarantined;
END
$body$ $template$, jsonb_build_object(
        'halve',          tally.part(v, '_halve'),
        'apply',          tally.part(v, '_apply'),
        'set_aside',      tally.part(v, '_set_aside'),
        'view_id',        v.id,
        'search_path',    tally.fixed_path(v.definition),
        'key_arrays',     tally.column_list(key_arrays),
        'key_parameters', tally.plain_list(v.definition, v.key, '[]', key_arrays),
        'first_key',      tally.sql_elements(key_arrays, '[1]'),
        'low_half',       tally.sql_elements(key_arrays, '[:tally_half]'),
        'high_half',      tally.sql_elements(key_arrays, '[tally_half + 1:]')));
    PERFORM tally.seal(format('%s(%s)', tally.part(v, '_halve'), tally.plain_types(v.definition, v.key, '[]')),
        'brings keys of ' || tally.part(v) || ' up to date; quarantines those that raise');
END
$generator$;

-- tally.sql_elements: the same element or slice of several arrays, as in a[1], b[1].
CREATE OR REPLACE FUNCTION tally.sql_elements(arrays name[], subscript text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(quote_ident(a) || subscript, ', ' ORDER BY n) FROM unnest(arrays) WITH ORDINALITY u(a, n)
$$;

-- tally.sql_gather: one aggregate per column of a key that collects its values in an array. This fills tally_keys_1, tally_keys_2 …
--   Parameters condition: which rows to take
CREATE OR REPLACE FUNCTION tally.sql_gather(key name[], condition text DEFAULT NULL)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(format('array_agg(%I)', c) || coalesce(' FILTER (WHERE ' || condition || ')', ''), ', ' ORDER BY n)
    FROM unnest(key) WITH ORDINALITY u(c, n)
$$;
