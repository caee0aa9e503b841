-- tally.generate_expand: the function that leads from logged values of a source to keys.
--   Makes     <projection>_expand_<n>(one array per watched column) RETURNS TABLE (key columns). Its body is parsed once, here,
--             with the caller's search_path. The planner inlines it where it is called
--   Raises    TL010
CREATE OR REPLACE FUNCTION tally.generate_expand(v tally.derived_view, n integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s      tally.source;
    name   text := tally.part(v, '_expand_' || n);
    logged name[];  -- the function's parameters
BEGIN
    SELECT * INTO s FROM tally.source WHERE projection_id = v.id AND ordinal = n;
    logged := tally.numbered(s.columns, 'tally_changed_');
    PERFORM tally.require_keys(v, s);
    BEGIN
        EXECUTE tally.render($template$
CREATE FUNCTION {expand}({logged_parameters}) RETURNS TABLE ({key_columns}) LANGUAGE sql STABLE BEGIN ATOMIC
    WITH changed AS (SELECT {collated} FROM unnest({logged}) AS c({watched}))
    SELECT {e_key_typed} FROM (
        {query}
    ) AS e({key});
END$template$, jsonb_build_object(
            'expand',            name,
            'logged_parameters', tally.typed_list(s.relation, s.columns, '[]', logged),  -- named: without names pg_dump writes a wrong definition
            'key_columns',       tally.typed_list(v.definition, v.key),
            'logged',            tally.column_list(logged),
            'watched',           tally.column_list(s.columns),
            'collated',          tally.collated_list(s.relation, s.columns, 'c.'),
            'e_key_typed',       (SELECT string_agg(format('e.%I::%s', c, tally.type_of(v.definition, c)), ', ' ORDER BY i)
                                  FROM unnest(v.key) WITH ORDINALITY u(c, i)),
            'query',             tally.query_of(s.expand),
            'key',               tally.column_list(v.key)));
    EXCEPTION WHEN syntax_error_or_access_rule_violation OR feature_not_supported OR cannot_coerce OR invalid_text_representation THEN
        PERFORM tally.fail('TL010', format('expand of %s for %s does not work: %s.', s.relation, tally.part(v), SQLERRM));
    END;
    PERFORM tally.comment_expand(v, s);
END
$$;

-- tally.query_of: a query without a trailing semicolon, white space or comments. A comment with a quotation mark is kept, because it may
-- be part of a string.
CREATE OR REPLACE FUNCTION tally.query_of(statement text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(statement, '(\s|;|--[^\n''"]*(?=\n|$)|/\*([^*''"]|\*(?!/))*\*/)*$', '')
$$;

-- tally.comment_expand: put a comment on <projection>_expand_<n>.
CREATE OR REPLACE FUNCTION tally.comment_expand(v tally.derived_view, s tally.source)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF s.expand IS NOT NULL THEN
        EXECUTE format('COMMENT ON FUNCTION %s(%s) IS %L', tally.part(v, '_expand_' || s.ordinal), tally.type_list(s.relation, s.columns, '[]'),
            format('%s: from changed rows of %s to the keys they touch', tally.part(v), s.relation));
    END IF;
END
$$;

-- tally.require_keys: raise unless expand (or, without one, the watched columns) returns the key's columns: the same number, with types
-- that PostgreSQL casts to those of the key. Otherwise columns would be dropped without a sign, or every write would fail.
--   Raises    TL010
CREATE OR REPLACE FUNCTION tally.require_keys(v tally.derived_view, s tally.source)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    query   text := coalesce(tally.query_of(s.expand) || E'\n', format('SELECT %s FROM changed', tally.column_list(s.columns)));
    changed text := format('WITH changed AS (SELECT * FROM unnest(%s) AS c(%s))',
        (SELECT string_agg(format('NULL::%s[]', tally.type_of(s.relation, c)), ', ' ORDER BY i) FROM unnest(s.columns) WITH ORDINALITY u(c, i)),
        tally.column_list(s.columns));
    wanted  text := (SELECT string_agg(format('%I %s', c, tally.type_of(v.definition, c)), ', ' ORDER BY i) FROM unnest(v.key) WITH ORDINALITY u(c, i));
BEGIN
    BEGIN
        EXECUTE format('%s SELECT FROM (%s) AS e LIMIT 0', changed, query);
    EXCEPTION WHEN syntax_error_or_access_rule_violation OR feature_not_supported OR cannot_coerce OR invalid_text_representation THEN
        PERFORM tally.fail('TL010', format('expand of %s for %s does not work: %s.', s.relation, tally.part(v), SQLERRM));
    END;
    EXECUTE format('%s (SELECT * FROM (%s) AS e) UNION ALL (SELECT %s WHERE false) LIMIT 0', changed, query,
        (SELECT string_agg(format('(NULL::%s[])[1]', tally.type_of(v.definition, c)), ', ' ORDER BY i) FROM unnest(v.key) WITH ORDINALITY u(c, i)));
    IF s.expand IS NULL AND EXISTS (SELECT FROM generate_subscripts(v.key, 1) i WHERE NOT tally.fits(s.relation, s.columns[i], v.definition, v.key[i])) THEN
        RAISE datatype_mismatch;  -- a value may be too large for the key, and the write would fail
    END IF;
EXCEPTION WHEN syntax_error OR datatype_mismatch OR cannot_coerce THEN
    PERFORM tally.fail('TL010', format(CASE WHEN s.expand IS NULL THEN 'Column %2$s of %1$s cannot be the key of %3$s, which is (%4$s); give expand.'
        ELSE 'expand of %1$s must return the key of %3$s, which is (%4$s), and nothing else.' END,
        s.relation, tally.column_list(s.columns), tally.part(v), wanted));
END
$$;

-- tally.fits: whether every value of one column fits into another: they have one type, or PostgreSQL casts it implicitly.
CREATE OR REPLACE FUNCTION tally.fits(relation regclass, col name, target regclass, target_col name)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.type = t.type OR s.category = 'S' AND t.category = 'S'
        OR EXISTS (SELECT FROM pg_cast c WHERE c.castsource = s.type AND c.casttarget = t.type AND c.castcontext = 'i')
    FROM (SELECT tally.base_type(a.atttypid) AS type, y.typcategory AS category FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid WHERE a.attrelid = relation AND a.attname = col) s,
         (SELECT tally.base_type(a.atttypid) AS type, y.typcategory AS category FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid WHERE a.attrelid = target AND a.attname = target_col) t
$$;
