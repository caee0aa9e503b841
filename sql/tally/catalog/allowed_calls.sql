-- tally.allowed_calls: the stable functions of pg_catalog that a definition may call, because they read only their arguments.
-- Every other stable function is refused, and so is every volatile one. Immutable functions are allowed.
--   Returns    signature: with a search_path of pg_catalog
--              provided: 'always', or what must be true of the call:
--                text    the text form of its arguments depends on no setting (tally.text_setting)
--                json    their form in JSON does not
--                input   its result can be read from text without a setting
--                epoch   its first argument is the constant 'epoch'
--                hours   its interval is a constant without days and months
--                plain   its format is a constant without language-dependent patterns (TM; for numbers also L, D, G and S)
--              why
--   Notes      A test compares it with pg_proc of every version that is supported.
CREATE OR REPLACE FUNCTION tally.allowed_calls()
RETURNS TABLE (signature text, provided text, why text) LANGUAGE sql IMMUTABLE AS $$
    VALUES
    ('anytextcat(anynonarray,text)',                'text',   'joins texts'),
    ('textanycat(text,anynonarray)',                'text',   'joins texts'),
    ('concat("any")',                               'text',   'joins texts'),
    ('concat_ws(text,"any")',                       'text',   'joins texts'),
    ('format(text)',                                'always', 'fills in a text'),
    ('format(text,"any")',                          'text',   'fills in a text'),
    ('array_to_string(anyarray,text)',              'text',   'joins texts'),
    ('array_to_string(anyarray,text,text)',         'text',   'joins texts'),
    ('quote_literal(anyelement)',                   'text',   'writes a value as text'),
    ('quote_nullable(anyelement)',                  'text',   'writes a value as text'),
    ('to_json(anyelement)',                         'json',   'writes a value as JSON'),
    ('to_jsonb(anyelement)',                        'json',   'writes a value as JSON'),
    ('row_to_json(record)',                         'json',   'writes a value as JSON'),
    ('row_to_json(record,boolean)',                 'json',   'writes a value as JSON'),
    ('array_to_json(anyarray)',                     'json',   'writes a value as JSON'),
    ('array_to_json(anyarray,boolean)',             'json',   'writes a value as JSON'),
    ('json_build_array()',                          'always', 'an empty array'),
    ('json_build_array("any")',                     'json',   'writes values as JSON'),
    ('json_build_object()',                         'always', 'an empty object'),
    ('json_build_object("any")',                    'json',   'writes values as JSON'),
    ('jsonb_build_array()',                         'always', 'an empty array'),
    ('jsonb_build_array("any")',                    'json',   'writes values as JSON'),
    ('jsonb_build_object()',                        'always', 'an empty object'),
    ('jsonb_build_object("any")',                   'json',   'writes values as JSON'),
    ('json_agg(anyelement)',                        'json',   'writes values as JSON'),
    ('json_agg_transfn(internal,anyelement)',       'json',   'writes values as JSON'),
    ('json_agg_strict(anyelement)',                 'json',   'writes values as JSON'),
    ('json_agg_strict_transfn(internal,anyelement)', 'json',  'writes values as JSON'),
    ('json_object_agg("any","any")',                'json',   'writes values as JSON'),
    ('json_object_agg_transfn(internal,"any","any")', 'json', 'writes values as JSON'),
    ('json_object_agg_strict("any","any")',         'json',   'writes values as JSON'),
    ('json_object_agg_strict_transfn(internal,"any","any")', 'json', 'writes values as JSON'),
    ('json_object_agg_unique("any","any")',         'json',   'writes values as JSON'),
    ('json_object_agg_unique_transfn(internal,"any","any")', 'json', 'writes values as JSON'),
    ('json_object_agg_unique_strict("any","any")',  'json',   'writes values as JSON'),
    ('json_object_agg_unique_strict_transfn(internal,"any","any")', 'json', 'writes values as JSON'),
    ('jsonb_agg(anyelement)',                       'json',   'writes values as JSON'),
    ('jsonb_agg_transfn(internal,anyelement)',      'json',   'writes values as JSON'),
    ('jsonb_agg_finalfn(internal)',                 'always', 'closes what was written'),
    ('jsonb_agg_strict(anyelement)',                'json',   'writes values as JSON'),
    ('jsonb_agg_strict_transfn(internal,anyelement)', 'json', 'writes values as JSON'),
    ('jsonb_object_agg_transfn(internal,"any","any")', 'json', 'writes values as JSON'),
    ('jsonb_object_agg_finalfn(internal)',          'always', 'closes what was written'),
    ('jsonb_object_agg_strict_transfn(internal,"any","any")', 'json', 'writes values as JSON'),
    ('jsonb_object_agg_unique_transfn(internal,"any","any")', 'json', 'writes values as JSON'),
    ('jsonb_object_agg_unique_strict_transfn(internal,"any","any")', 'json', 'writes values as JSON'),
    ('json_populate_record(anyelement,json,boolean)', 'input', 'reads values from JSON'),
    ('json_populate_recordset(anyelement,json,boolean)', 'input', 'reads values from JSON'),
    ('json_to_record(json)',                        'input',  'reads values from JSON'),
    ('json_to_recordset(json)',                     'input',  'reads values from JSON'),
    ('jsonb_populate_record(anyelement,jsonb)',     'input',  'reads values from JSON'),
    ('jsonb_populate_record_valid(anyelement,jsonb)', 'input', 'reads values from JSON'),
    ('jsonb_populate_recordset(anyelement,jsonb)',  'input',  'reads values from JSON'),
    ('jsonb_to_record(jsonb)',                      'input',  'reads values from JSON'),
    ('jsonb_to_recordset(jsonb)',                   'input',  'reads values from JSON'),
    ('convert(bytea,name,name)',                    'always', 'both encodings are named'),
    ('convert_from(bytea,name)',                    'always', 'the encoding is named; the other is the database''s, which never changes'),
    ('convert_to(text,name)',                       'always', 'the encoding is named; the other is the database''s, which never changes'),
    ('length(bytea,name)',                          'always', 'the encoding is named'),
    ('enum_first(anyenum)',                         'always', 'labels of an enum are part of what is watched'),
    ('enum_last(anyenum)',                          'always', 'labels of an enum are part of what is watched'),
    ('enum_range(anyenum)',                         'always', 'labels of an enum are part of what is watched'),
    ('enum_range(anyenum,anyenum)',                 'always', 'labels of an enum are part of what is watched'),
    ('date_trunc(text,timestamp with time zone,text)', 'always', 'the zone is named'),
    ('make_timestamptz(integer,integer,integer,integer,integer,double precision,text)', 'always', 'the zone is named'),
    ('extract(text,timestamp with time zone)',      'epoch',  'an instant''s seconds are the same in every zone'),
    ('date_part(text,timestamp with time zone)',    'epoch',  'an instant''s seconds are the same in every zone'),
    ('timestamptz_pl_interval(timestamp with time zone,interval)', 'hours', 'only days and months depend on the zone'),
    ('timestamptz_mi_interval(timestamp with time zone,interval)', 'hours', 'only days and months depend on the zone'),
    ('interval_pl_timestamptz(interval,timestamp with time zone)', 'hours', 'only days and months depend on the zone'),
    ('date_add(timestamp with time zone,interval)', 'hours',  'only days and months depend on the zone'),
    ('date_subtract(timestamp with time zone,interval)', 'hours', 'only days and months depend on the zone'),
    ('in_range(timestamp with time zone,timestamp with time zone,interval,boolean,boolean)', 'hours', 'only days and months depend on the zone'),
    ('generate_series(timestamp with time zone,timestamp with time zone,interval)', 'hours', 'only days and months depend on the zone'),
    ('to_char(timestamp without time zone,text)',   'plain',  'the format is given'),
    ('to_char(interval,text)',                      'plain',  'the format is given'),
    ('to_char(numeric,text)',                       'plain',  'the format is given'),
    ('to_char(integer,text)',                       'plain',  'the format is given'),
    ('to_char(bigint,text)',                        'plain',  'the format is given'),
    ('to_char(real,text)',                          'plain',  'the format is given'),
    ('to_char(double precision,text)',              'plain',  'the format is given'),
    ('to_number(text,text)',                        'plain',  'the format is given'),
    ('to_date(text,text)',                          'plain',  'the format is given')
$$;

-- tally.call_trouble: what the result of a call depends on besides its arguments.
--   Parameters signature: of a stable function of pg_catalog; tree, node, path, levels: the call, of tally.tree_nodes
--   Returns    a phrase such as 'the clock'; NULL if the call depends on its arguments alone
CREATE OR REPLACE FUNCTION tally.call_trouble(signature text, tree jsonb, node jsonb, path text[], levels text[])
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    provided text := (SELECT a.provided FROM tally.allowed_calls() a WHERE replace(a.signature, '"', '') = replace(call_trouble.signature, '"', ''));
    args     jsonb := CASE WHEN node ->> '_' = 'WINDOWCLAUSE' THEN (node -> 'startOffset') || (node -> 'endOffset')
                           WHEN jsonb_typeof(node -> 'args' -> 0) = 'array' THEN node -> 'args' -> 0 ELSE '[]' END;
BEGIN
    RETURN CASE provided
        WHEN 'always' THEN NULL
        WHEN 'text' THEN tally.arguments_setting('text', tree, args, path, levels)
        WHEN 'json' THEN tally.arguments_setting('json', tree, args, path, levels)
        WHEN 'input' THEN tally.result_setting(tree, node, path)
        WHEN 'epoch' THEN CASE WHEN tally.constant_text(args -> 0) = 'epoch' THEN NULL ELSE 'the setting TimeZone' END
        WHEN 'hours' THEN CASE WHEN tally.is_hours(args) THEN NULL ELSE 'the setting TimeZone' END
        WHEN 'plain' THEN CASE WHEN tally.is_plain_format(tally.constant_text(args -> 1), signature ~ '(numeric|integer|bigint|real|double precision|to_number)') THEN NULL
                               ELSE 'the language (lc_time, lc_numeric), if its format has TM, L, D, G or S, or is no constant' END
        ELSE tally.stable_for(signature) END;
END
$$;

-- tally.arguments_setting: the setting that the text form of a call's arguments depends on. Values that an aggregate only sorts by do
-- not count, because they are not part of the result.
CREATE OR REPLACE FUNCTION tally.arguments_setting(form text, tree jsonb, args jsonb, path text[], levels text[])
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT min(tally.text_setting(t, form))
    FROM jsonb_array_elements(args) WITH ORDINALITY a(item, n)
    CROSS JOIN LATERAL tally.value_types(tree, CASE WHEN a.item ->> '_' = 'TARGETENTRY' THEN a.item -> 'expr' -> 0 ELSE a.item END,
        path || ARRAY['args', '0', (a.n - 1)::text] || CASE WHEN a.item ->> '_' = 'TARGETENTRY' THEN '{expr,0}'::text[] ELSE '{}' END, levels) t
    WHERE a.item #>> '{resjunk,0}' IS DISTINCT FROM 'true'
$$;

-- tally.result_setting: the setting that it depends on to read a call's result from text. The result is a row type, or the columns listed in FROM.
CREATE OR REPLACE FUNCTION tally.result_setting(tree jsonb, node jsonb, path text[])
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    given jsonb := tree #> (path[:cardinality(path) - 2] || '{funccoltypes,0}'::text[]);  -- of {RANGETBLFUNCTION :funcexpr {…}
BEGIN
    IF tally.node_type(node) <> 2249 THEN
        RETURN tally.text_setting(tally.node_type(node), 'input');
    ELSIF jsonb_typeof(given) = 'array' THEN
        RETURN (SELECT min(tally.text_setting(e::oid, 'input')) FROM jsonb_array_elements_text(given) e WHERE e <> 'o');
    END IF;
    RETURN 'the types of what it returns, which cannot be told';
END
$$;

-- tally.is_hours: whether the arguments contain an interval, and every interval is a constant without days and months.
CREATE OR REPLACE FUNCTION tally.is_hours(args jsonb)
RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT coalesce(bool_and(coalesce((tally.constant_bytes(a))[9:16] = '{0,0,0,0,0,0,0,0}', false)), false)
    FROM jsonb_array_elements(args) a WHERE a <> 'null' AND tally.node_type(a) = 1186  -- interval
$$;

-- tally.is_plain_format: whether a format of to_char, to_date or to_number has no pattern that depends on the language.
CREATE OR REPLACE FUNCTION tally.is_plain_format(format text, of_number boolean)
RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT coalesce(CASE WHEN of_number THEN regexp_replace(f, '(SG|PL)', '', 'gi') !~* '[LDGS]' ELSE f !~* 'TM' END, false)
    FROM regexp_replace(format, '"[^"]*"', '', 'g') f
$$;

-- tally.stable_for: why a stable function that is not on the list is refused.
CREATE OR REPLACE FUNCTION tally.stable_for(signature text)
RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT CASE
        WHEN signature ~ '^(now|transaction_timestamp|statement_timestamp|age\((timestamp|xid)[^,]*)\(?' AND signature !~ ',' THEN 'the clock'
        WHEN signature ~ '(tsvector|tsquery|^ts_)' THEN 'the setting default_text_search_config'
        WHEN signature ~ 'time zone|timetz|timestamptz|_tz\(' THEN 'the setting TimeZone'
        WHEN signature ~ 'money' THEN 'the setting lc_monetary'
        WHEN signature ~ '^xml' THEN 'the setting xmloption'
        ELSE 'the session or the catalog' END
$$;

-- tally.steady_form: a hint: how to write an expression so that it no longer depends on a setting.
--   Parameters why: the phrase that tally.call_trouble or tally.text_setting returned
CREATE OR REPLACE FUNCTION tally.steady_form(why text)
RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT CASE
        WHEN why ~ 'TimeZone' THEN 'Name the zone: (at AT TIME ZONE ''UTC'')::date, date_trunc(''day'', at, ''UTC''). Compare instants with instants: at < timestamptz ''2024-01-02 00:00+00''.'
        WHEN why ~ 'DateStyle' THEN 'Give the format: to_date(x, ''YYYY-MM-DD''), to_char(x::timestamp, ''YYYY-MM-DD'').'
        WHEN why ~ 'clock' THEN 'Keep the time in a column, or compare with the clock where the derived table is read.'
        WHEN why ~ 'text_search' THEN 'Name the configuration: to_tsvector(''english'', x) @@ to_tsquery(''english'', ''y'').'
        WHEN why ~ 'float' THEN 'Cast it to numeric first: x::numeric.'
        WHEN why ~ 'bytea' THEN 'Write it as encode(x, ''hex'').'
        WHEN why ~ 'IntervalStyle' THEN 'Write it as extract(epoch FROM x), and read it by make_interval.'
        WHEN why ~ 'lc_monetary' THEN 'Keep amounts as numeric.'
        WHEN why ~ 'language' THEN 'Give a constant format without TM, L, D, G and S.'
        WHEN why ~ 'xmloption' THEN 'Write xmlparse(DOCUMENT x) or xmlparse(CONTENT x).'
        WHEN why ~ 'only stable' THEN 'Mark it IMMUTABLE if it reads nothing but its arguments.'
        ELSE 'Compute it in a trigger or a column instead.' END
$$;
