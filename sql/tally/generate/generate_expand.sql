-- tally.generate_expand: the function that leads from logged values of a source to keys.
--   Parameters path: the caller's search_path
--   Makes     <projection>_expand_<n>(one array per watched column) RETURNS TABLE (key columns). Its body is parsed once, here,
--             with the caller's search_path. The planner inlines it where it is called
--   Raises    TL010, TL018
CREATE OR REPLACE FUNCTION tally.generate_expand(v tally.derived_view, n integer, path text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s      tally.source;
    name   text := tally.part(v, '_expand_' || n);
    logged name[];  -- the function's parameters
BEGIN
    SELECT * INTO s FROM tally.source WHERE projection_id = v.id AND ordinal = n;
    logged := tally.numbered(s.columns, 'tally_changed_');
    PERFORM tally.require_keys(v, s, path);
    BEGIN
        PERFORM tally.run_in(path, tally.render($template$
CREATE FUNCTION {expand}({logged_parameters}) RETURNS TABLE ({key_columns}) LANGUAGE sql STABLE BEGIN ATOMIC
    WITH changed AS ({changed})
    SELECT {e_key_typed} FROM (
        {query}
    ) AS e({key});
END$template$, jsonb_build_object(
            'expand',            name,
            'logged_parameters', tally.given_list(s, logged),  -- named, or pg_dump writes nonsense
            'key_columns',       tally.plain_list(v.definition, v.key),
            'changed',           tally.sql_changed(s, ARRAY(SELECT quote_ident(l) FROM unnest(logged) WITH ORDINALITY u(l, i) ORDER BY i)),
            'e_key_typed',       (SELECT string_agg(format('e.%I::%s', c, tally.plain_type(v.definition, c)), ', ' ORDER BY i)
                                  FROM unnest(v.key) WITH ORDINALITY u(c, i)),
            'query',             tally.query_of(s.expand),
            'key',               tally.column_list(v.key))));
    EXCEPTION WHEN syntax_error_or_access_rule_violation OR feature_not_supported OR cannot_coerce OR invalid_text_representation THEN
        PERFORM tally.fail('TL010', format('expand of %s for %s does not work: %s.', s.relation, tally.part(v), SQLERRM));
    END;
    PERFORM tally.comment_expand(v, s);
END
$$;

-- tally.is_array: whether a column is an array. Values of an expand's parameters are arrays' elements, and no array can be one.
CREATE OR REPLACE FUNCTION tally.is_array(relation regclass, col name)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT t.typsubscript = 'array_subscript_handler'::regproc FROM pg_type t WHERE t.oid = tally.base_type(tally.type_id(relation, col))
$$;

-- tally.given_type: the type in which values of a watched column are handed to an expand: its own, of a domain the type below it, of an array its text.
CREATE OR REPLACE FUNCTION tally.given_type(relation regclass, col name)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN tally.is_array(relation, col) THEN 'text' ELSE tally.plain_type(relation, col) END
$$;

-- tally.given_list: the parameters of an expand function. names: NULL for the types alone
CREATE OR REPLACE FUNCTION tally.given_list(s tally.source, names name[])
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(concat_ws(' ', quote_ident(names[n]), tally.given_type(s.relation, c) || '[]'), ', ' ORDER BY n) FROM unnest(s.columns) WITH ORDINALITY AS u(c, n)
$$;

-- tally.sql_changed: the relation "changed" made of the parameters of an expand function.
CREATE OR REPLACE FUNCTION tally.sql_changed(s tally.source, parameters text[])
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('SELECT %s FROM ROWS FROM (%s) AS c(%s)',
        (SELECT string_agg(CASE WHEN tally.is_array(s.relation, c) THEN format('CAST(c.%I AS %s)%s AS %I', c, tally.type_of(s.relation, c), tally.sql_collate(s.relation, c), c)
                                ELSE tally.collated_list(s.relation, ARRAY[c], 'c.') END, ', ' ORDER BY n) FROM unnest(s.columns) WITH ORDINALITY u(c, n)),
        (SELECT string_agg(format('pg_catalog.unnest(%s)', p), ', ' ORDER BY n) FROM unnest(parameters) WITH ORDINALITY u(p, n)), tally.column_list(s.columns))
$$;

-- tally.query_of: a query without a trailing semicolon, white space or comments. A comment with a quotation mark is kept, because it may
-- be part of a string.
CREATE OR REPLACE FUNCTION tally.query_of(statement text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(statement, '(\s|;|--[^\n''"]*(?=\n|$)|/\*([^*''"]|\*(?!/))*\*/)*$', '')
$$;

-- tally.comment_expand: put a comment on <projection>_expand_<n>.
CREATE OR REPLACE FUNCTION tally.comment_expand(v tally.derived_view, s tally.source)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    IF s.expand IS NOT NULL THEN
        EXECUTE format('COMMENT ON FUNCTION %s(%s) IS %L', tally.part(v, '_expand_' || s.ordinal), tally.given_list(s, NULL),
            format('%s: from changed rows of %s to the keys they touch', tally.part(v), s.relation));
    END IF;
END
$$;

-- tally.require_keys: raise unless expand (or, without one, the watched columns) returns the key's columns: the same number, with types
-- that PostgreSQL casts to those of the key. Otherwise columns would be dropped without a sign, or every write would fail.
--   Raises    TL010
CREATE OR REPLACE FUNCTION tally.require_keys(v tally.derived_view, s tally.source, path text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    query   text := coalesce(tally.query_of(s.expand) || E'\n', format('SELECT %s FROM changed', tally.column_list(s.columns)));
    changed text := format('WITH changed AS (%s)', tally.sql_changed(s,
        ARRAY(SELECT format('NULL::%s[]', tally.given_type(s.relation, c)) FROM unnest(s.columns) WITH ORDINALITY u(c, i) ORDER BY i)));
    wanted  text := (SELECT string_agg(format('%I %s', c, tally.type_of(v.definition, c)), ', ' ORDER BY i) FROM unnest(v.key) WITH ORDINALITY u(c, i));
BEGIN
    IF s.expand IS NULL THEN
        path := tally.fixed_path(s.relation);  -- nothing here is the caller's
    ELSE
        PERFORM tally.require_plain_path(path);
    END IF;
    BEGIN
        PERFORM tally.run_in(path, format('%s SELECT FROM (%s) AS e LIMIT 0', changed, query));
    EXCEPTION WHEN syntax_error_or_access_rule_violation OR feature_not_supported OR cannot_coerce OR invalid_text_representation THEN
        PERFORM tally.fail('TL010', format('expand of %s for %s does not work: %s.', s.relation, tally.part(v), SQLERRM));
    END;
    PERFORM tally.run_in(path, format('%s (SELECT * FROM (%s) AS e) UNION ALL (SELECT %s WHERE false) LIMIT 0', changed, query,
        (SELECT string_agg(format('(NULL::%s[])[1]', tally.type_of(v.definition, c)), ', ' ORDER BY i) FROM unnest(v.key) WITH ORDINALITY u(c, i))));
    IF s.expand IS NULL AND EXISTS (SELECT FROM generate_subscripts(v.key, 1) i WHERE NOT tally.fits(s.relation, s.columns[i], v.definition, v.key[i])) THEN
        RAISE datatype_mismatch;  -- a value may be too large for the key, and the write would fail
    END IF;
EXCEPTION WHEN syntax_error OR datatype_mismatch OR cannot_coerce THEN
    PERFORM tally.fail('TL010', format(CASE WHEN s.expand IS NULL THEN 'Column %2$s of %1$s cannot be the key of %3$s, which is (%4$s); give expand.'
        ELSE 'expand of %1$s must return the key of %3$s, which is (%4$s), and nothing else.' END,
        s.relation, tally.column_list(s.columns), tally.part(v), wanted));
END
$$;

-- tally.require_plain_path: raise TL018 if pg_catalog is not first in a search_path. The types that the engine writes around an expand would be others.
CREATE OR REPLACE FUNCTION tally.require_plain_path(path text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    first name;
BEGIN
    PERFORM set_config('search_path', path, true);
    first := (pg_catalog.array_remove(pg_catalog.current_schemas(true), pg_catalog.pg_my_temp_schema()::pg_catalog.regnamespace::pg_catalog.name))[1];
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    IF first <> 'pg_catalog' THEN
        PERFORM tally.fail('TL018', format('An expand is parsed with your search_path (%s), in which schema "%s" hides what pg_catalog has.', path, first),
            'SET search_path to one that does not name pg_catalog, which then comes first, and call this again.');
    END IF;
END
$$;

-- tally.fits: whether every value of one column fits into another: they have one type, or PostgreSQL casts it implicitly.
CREATE OR REPLACE FUNCTION tally.fits(relation regclass, col name, target regclass, target_col name)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT s.type = t.type OR s.category = 'S' AND t.category = 'S'
        OR EXISTS (SELECT FROM pg_cast c WHERE c.castsource = s.type AND c.casttarget = t.type AND c.castcontext = 'i')
    FROM (SELECT tally.base_type(a.atttypid) AS type, y.typcategory AS category FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid WHERE a.attrelid = relation AND a.attname = col) s,
         (SELECT tally.base_type(a.atttypid) AS type, y.typcategory AS category FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid WHERE a.attrelid = target AND a.attname = target_col) t
$$;
