-- tally.generate_quarantine: the functions that write and read the keys in tally.quarantine, where each column's value is stored as text or
-- as a number. They have fixed settings, so that another TimeZone or DateStyle does not change that text.
--   Makes     <projection>_set_aside(sqlstate, error, hint, index, key …): store a key that cannot be evaluated. The pause
--             before the next attempt doubles each time, from 10 seconds to 6 hours
--             <projection>_quarantined(due): the quarantined keys; if due: only those to be tried again now, 1000 at most
CREATE OR REPLACE FUNCTION tally.generate_quarantine(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    settings text   := tally.fixed_path(v.definition) || ' SET timezone = UTC SET datestyle = ISO SET intervalstyle = postgres'
                       ' SET bytea_output = hex SET extra_float_digits = 1 SET lc_monetary = ''C''';
    keys     name[] := tally.numbered(v.key, 'tally_key_');
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {set_aside}(tally_state text, tally_error text, tally_hint text, tally_index text, {key_parameters}) RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = {settings} AS $body$
    INSERT INTO tally.quarantine AS q (view_id, key, sqlstate, error, retry_at)
    SELECT {view_id}, jsonb_build_array({texts}), t.state, t.error, clock_timestamp() + interval '10 seconds'
    FROM tally.told_of_key({view_id}, tally_state, tally_error, tally_hint, tally_index) t
    ON CONFLICT (view_id, md5(key::text)) DO UPDATE SET sqlstate = excluded.sqlstate, error = excluded.error, tries = q.tries + 1, tried_at = excluded.tried_at,
        retry_at = clock_timestamp() + least(interval '6 hours', interval '10 seconds' * 2 ^ least(q.tries, 12))
$body$ $template$, jsonb_build_object(
        'set_aside',      tally.part(v, '_set_aside'),
        'settings',       settings,
        'view_id',        v.id,
        'key_parameters', tally.plain_list(v.definition, v.key, '', keys),
        'texts',          (SELECT string_agg(format(CASE WHEN tally.type_of(v.definition, c) IN ('smallint', 'integer', 'bigint') THEN '%I'
                                                    ELSE 'CASE WHEN %1$I IS NOT NULL THEN format(''%%s'', %1$I) END' END, k), ', ' ORDER BY n)
                           FROM unnest(v.key, keys) WITH ORDINALITY u(c, k, n))));
    PERFORM tally.seal(format('%s(text, text, text, text, %s)', tally.part(v, '_set_aside'), tally.plain_types(v.definition, v.key)),
        'notes a key of ' || tally.part(v) || ' that cannot be evaluated');

    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {quarantined}(tally_due boolean) RETURNS TABLE (tally_id bigint, {key_columns}) LANGUAGE plpgsql SECURITY DEFINER ROWS 10
SET search_path = {settings} AS $body$
#variable_conflict use_column
DECLARE
    tally_unread bigint;
BEGIN
    RETURN QUERY SELECT q.id, {parsed} FROM tally.quarantine q
        WHERE q.view_id = {view_id} AND (NOT tally_due OR q.retry_at <= clock_timestamp()) ORDER BY q.retry_at LIMIT CASE WHEN tally_due THEN 1000 END;
EXCEPTION WHEN data_exception OR integrity_constraint_violation OR undefined_object THEN
    FOR tally_unread IN SELECT q.id FROM tally.quarantine q WHERE q.view_id = {view_id} LOOP
        BEGIN
            PERFORM {parsed} FROM tally.quarantine q WHERE q.id = tally_unread;
        EXCEPTION WHEN data_exception OR integrity_constraint_violation OR undefined_object THEN  -- no value of the key's type any more
            DELETE FROM tally.quarantine q WHERE q.id = tally_unread;
        END;
    END LOOP;
    RETURN QUERY SELECT q.id, {parsed} FROM tally.quarantine q WHERE q.view_id = {view_id} AND (NOT tally_due OR q.retry_at <= clock_timestamp());
END
$body$ $template$, jsonb_build_object(
        'quarantined', tally.part(v, '_quarantined'),
        'settings',    settings,
        'view_id',     v.id,
        'key_columns', tally.plain_list(v.definition, v.key, '', keys),
        'parsed',      (SELECT string_agg(format('(q.key ->> %s)::%s', n - 1, tally.plain_type(v.definition, c)), ', ' ORDER BY n) FROM unnest(v.key) WITH ORDINALITY u(c, n))));
    PERFORM tally.seal(tally.part(v, '_quarantined') || '(boolean)', 'the keys of ' || tally.part(v) || ' that could not be evaluated');
END
$generator$;
