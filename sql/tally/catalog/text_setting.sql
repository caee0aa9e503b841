-- tally.text_setting: the setting that the text form of a type's values depends on.
--   Parameters type; form: 'text' (values written as text), 'json' (the same in JSON, where dates are always ISO), 'input' (text read)
--   Returns    a phrase such as 'the setting DateStyle'; NULL: none
CREATE OR REPLACE FUNCTION tally.text_setting(type oid, form text)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    t     pg_type;
    named text;
BEGIN
    SELECT * INTO t FROM pg_type p WHERE p.oid = type;
    IF t.oid IS NULL OR t.typtype = 'p' AND t.typname NOT IN ('unknown', 'cstring', 'void') THEN
        RETURN 'the types of what it is given, which cannot be told';
    ELSIF t.typtype = 'd' THEN
        RETURN tally.text_setting(t.typbasetype, form);
    ELSIF t.typtype = 'e' THEN
        RETURN NULL;
    ELSIF t.typtype = 'r' THEN
        RETURN (SELECT tally.text_setting(r.rngsubtype, CASE form WHEN 'json' THEN 'text' ELSE form END) FROM pg_range r WHERE r.rngtypid = type);
    ELSIF t.typtype = 'm' THEN
        RETURN (SELECT tally.text_setting(r.rngsubtype, CASE form WHEN 'json' THEN 'text' ELSE form END) FROM pg_range r WHERE r.rngmultitypid = type);
    ELSIF t.typtype = 'c' THEN
        RETURN (SELECT min(tally.text_setting(a.atttypid, form)) FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped);
    ELSIF t.typinput = 'array_in'::regproc THEN
        RETURN tally.text_setting(t.typelem, form);
    END IF;
    SELECT CASE form WHEN 'text' THEN s.written WHEN 'json' THEN s.in_json ELSE s.read END INTO named
    FROM tally.text_settings() s WHERE t.typnamespace = 'pg_catalog'::regnamespace AND s.type = t.typname;
    IF FOUND THEN
        RETURN named;
    END IF;
    RETURN (SELECT CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN 'the session or the catalog' ELSE 'what that function reads' END FROM pg_proc p
            WHERE p.oid = CASE form WHEN 'input' THEN t.typinput ELSE t.typoutput END AND p.provolatile <> 'i');
END
$$;

-- tally.text_settings: PostgreSQL's own types for which the volatility of their functions is misleading. Either their text form depends on a
-- setting although the functions are marked immutable, or it does not although they are marked stable. A float in JSON is allowed: the
-- engine sets extra_float_digits = 1, and a session with 1 to 3, as nearly all have, prints the same.
CREATE OR REPLACE FUNCTION tally.text_settings()
RETURNS TABLE (type name, written text, in_json text, read text) LANGUAGE sql IMMUTABLE AS $$
    VALUES
    ('date'::name,  'the setting DateStyle',              NULL,                             'the setting DateStyle, or the clock (''today'')'),
    ('timestamp',   'the setting DateStyle',              NULL,                             'the setting DateStyle, or the clock (''now'')'),
    ('timestamptz', 'the settings TimeZone and DateStyle', 'the setting TimeZone',          'the settings TimeZone and DateStyle, or the clock (''now'')'),
    ('time',        NULL,                                 NULL,                             'the clock (''now'')'),
    ('timetz',      NULL,                                 NULL,                             'the setting TimeZone, or the clock (''now'')'),
    ('interval',    'the setting IntervalStyle',          'the setting IntervalStyle',      'the setting IntervalStyle'),
    ('float4',      'the setting extra_float_digits',     NULL,                             NULL),
    ('float8',      'the setting extra_float_digits',     NULL,                             NULL),
    ('point',       'the setting extra_float_digits',     'the setting extra_float_digits', NULL),
    ('line',        'the setting extra_float_digits',     'the setting extra_float_digits', NULL),
    ('lseg',        'the setting extra_float_digits',     'the setting extra_float_digits', NULL),
    ('box',         'the setting extra_float_digits',     'the setting extra_float_digits', NULL),
    ('path',        'the setting extra_float_digits',     'the setting extra_float_digits', NULL),
    ('polygon',     'the setting extra_float_digits',     'the setting extra_float_digits', NULL),
    ('circle',      'the setting extra_float_digits',     'the setting extra_float_digits', NULL),
    ('bytea',       'the setting bytea_output',           'the setting bytea_output',       NULL),
    ('money',       'the setting lc_monetary',            'the setting lc_monetary',        'the setting lc_monetary'),
    ('xml',         NULL,                                 NULL,                             'the setting xmloption')
$$;
