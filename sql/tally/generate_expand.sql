-- tally.generate_expand: the function that turns logged values of a source into keys.
--   Makes     <projection>_expand_<n>(one array per watched column) RETURNS TABLE (key columns); its body is parsed
--             here, once, with the caller's search_path, and inlined into what calls it
--   Raises    TL010
--   Called by tally.watch
CREATE OR REPLACE FUNCTION tally.generate_expand(v tally.derived_view, n integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s    tally.source;
    name text := tally.part(v, '_expand_' || n);
BEGIN
    SELECT * INTO s FROM tally.source WHERE projection_id = v.id AND ordinal = n;
    BEGIN
        -- as many columns as the key has: more would be dropped in silence below
        EXECUTE format('WITH changed AS (SELECT * FROM unnest(%s) AS c(%s)) (SELECT * FROM (%s) AS e) UNION ALL (SELECT %s WHERE false) LIMIT 0',
            (SELECT string_agg(format('NULL::%s[]', tally.type_of(s.relation, c)), ', ' ORDER BY i) FROM unnest(s.columns) WITH ORDINALITY u(c, i)),
            tally.column_list(s.columns), rtrim(s.expand, E'; \n\t'),
            (SELECT string_agg('NULL', ', ') FROM unnest(v.key)));
        EXECUTE format('CREATE FUNCTION %s(%s) RETURNS TABLE (%s) LANGUAGE sql STABLE BEGIN ATOMIC '
                    || 'WITH changed AS (SELECT * FROM unnest(%s) AS c(%s)) SELECT %s FROM (%s) AS e(%s); END',
            name,
            (SELECT string_agg(tally.type_of(s.relation, c) || '[]', ', ' ORDER BY i) FROM unnest(s.columns) WITH ORDINALITY u(c, i)),
            (SELECT string_agg(format('%I %s', c, tally.type_of(v.definition, c)), ', ' ORDER BY i)
             FROM unnest(v.key) WITH ORDINALITY u(c, i)),
            (SELECT string_agg('$' || i, ', ' ORDER BY i) FROM generate_series(1, cardinality(s.columns)) i),
            tally.column_list(s.columns),
            (SELECT string_agg(format('e.%I::%s', c, tally.type_of(v.definition, c)), ', ' ORDER BY i)
             FROM unnest(v.key) WITH ORDINALITY u(c, i)),
            rtrim(s.expand, E'; \n\t'), tally.column_list(v.key));
    EXCEPTION WHEN syntax_error_or_access_rule_violation OR feature_not_supported OR cannot_coerce OR invalid_text_representation THEN
        PERFORM tally.fail('TL010', format('expand of %s for %s does not work: %s.', s.relation, tally.part(v), SQLERRM));
    END;
    EXECUTE format('COMMENT ON FUNCTION %s IS %L', name,
        format('%s: from changed rows of %s to the keys they touch', tally.part(v), s.relation));
END
$$;
