-- tally.explain_view: as tally.explain, with the name of any view as text, for programs.
--   Parameters view: a derived view or any view; key: as of tally.explain
--   Returns    the rows of tally.explain
--   Raises     TL001 (no such view), TL003, TL004, TL006, TL018
--   Used by    ./countersink explain
CREATE OR REPLACE FUNCTION tally.explain_view(view text, key text[] DEFAULT NULL)
RETURNS TABLE (source regclass, columns name[], expand text, reach text, reason text, index text, keys_per_row numeric, key_columns name[], declared text)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM tally.explain_in(view, key, pg_catalog.current_setting('search_path'));
END
$$;
COMMENT ON FUNCTION tally.explain_view(text, text[]) IS 'what has to be watched to keep a view, and how it leads to keys: by its name as text';

-- tally.explain: the same. A literal with a key means this one, and so the caller needs no USAGE on the view's schema, as without a key.
CREATE OR REPLACE FUNCTION tally.explain(name text, key text[])
RETURNS TABLE (source regclass, columns name[], expand text, reach text, reason text, index text, keys_per_row numeric, key_columns name[], declared text)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM tally.explain_in(name, key, pg_catalog.current_setting('search_path'));
END
$$;
COMMENT ON FUNCTION tally.explain(text, text[]) IS 'what has to be watched to keep a view by a key, and how it leads to keys';

-- tally.explain_in: the same, whatever the caller's search_path (path), by which an undeclared view is found.
CREATE OR REPLACE FUNCTION tally.explain_in(view text, key text[], path text)
RETURNS TABLE (source regclass, columns name[], expand text, reach text, reason text, index text, keys_per_row numeric, key_columns name[], declared text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    found_ regclass := tally.view_named(view, path);
BEGIN
    IF key IS NULL THEN
        RETURN QUERY SELECT * FROM tally.explain_named(view, path);
    ELSE
        RETURN QUERY SELECT * FROM tally.explain(found_, key);
    END IF;
END
$$;

-- tally.view_named: the definition of a declared view; otherwise the relation that the name leads to with a search_path.
--   Raises    TL001, TL003
CREATE OR REPLACE FUNCTION tally.view_named(view text, path text)
RETURNS regclass LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    relation regclass;
BEGIN
    relation := tally.relation_named(view, path);  -- raises if it is no name
    relation := coalesce((SELECT d.definition FROM tally.declared_as(view) d), relation);
    IF relation IS NULL THEN
        PERFORM tally.fail('TL001', format('There is no view %s.', coalesce('"' || view || '"', 'NULL')));
    END IF;
    RETURN relation;
END
$$;

-- tally.keep_statements: the statements that keep a view as tally.explain proposes, or that add what a kept view still lacks.
--   Parameters as of tally.explain_view
--   Returns    statements, in order: missing indexes; then tally.keep for a view that is not declared, or tally.watch for tables that a
--              declared one reads without watching them
--   Raises     as tally.explain_view
--   Used by    ./countersink explain
CREATE OR REPLACE FUNCTION tally.keep_statements(view text, key text[] DEFAULT NULL)
RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM tally.keep_statements_in(view, key, pg_catalog.current_setting('search_path'));
END
$$;
COMMENT ON FUNCTION tally.keep_statements(text, text[]) IS 'the statements with which a view would be kept as tally.explain says';

-- tally.keep_statements_in: the same, whatever the caller's search_path (path), by which an undeclared view is found.
CREATE OR REPLACE FUNCTION tally.keep_statements_in(view text, key text[], path text)
RETURNS SETOF text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    definition regclass := tally.view_named(view, path);
    declared   text     := (SELECT d.stored FROM tally.declared_as(view) d);
    indexes    text[];
    unwatched  regclass[];
    every      boolean;
BEGIN
    SELECT array_agg(DISTINCT i ORDER BY i) FILTER (WHERE i LIKE 'CREATE INDEX%'), array_agg(DISTINCT e.source) FILTER (WHERE e.declared = 'not watched'), bool_or(e.reach = 'every key')
    INTO indexes, unwatched, every
    FROM (SELECT x.*, first_value(x.key_columns) OVER (ORDER BY x.n) AS best FROM tally.explain_in(view, key, path) WITH ORDINALITY
              x(source, columns, expand, reach, reason, index, keys_per_row, key_columns, declared, n)) e
    LEFT JOIN LATERAL string_to_table(e.index, E'\n') i ON true WHERE e.key_columns = e.best;
    RETURN QUERY SELECT i || ';' FROM unnest(indexes) i;
    IF declared IS NULL THEN
        RETURN NEXT format('SELECT * FROM tally.keep(%L, %L%s%s);', tally.name_for(definition), definition, ', ' || quote_literal(key), CASE WHEN every THEN ', allow_every_key => true' END);
    ELSE
        RETURN QUERY SELECT format('SELECT tally.watch(%L, %L);', declared, u) FROM unnest(unwatched) u ORDER BY u::text COLLATE "C";
    END IF;
END
$$;

-- tally.name_for: a free name for the table that keeps a view: the view's name without _def, or with _kept.
CREATE OR REPLACE FUNCTION tally.name_for(definition regclass)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('%I.%I', s.nspname, n.name)
    FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace CROSS JOIN LATERAL (VALUES (1, regexp_replace(c.relname, '_def$', '')), (2, tally.cut_name(c.relname, 35) || '_kept')) n(place, name)
    WHERE c.oid = definition AND (n.place = 2 OR n.name <> c.relname AND octet_length(n.name) <= 40
        AND NOT EXISTS (SELECT FROM pg_class o WHERE o.relnamespace = c.relnamespace AND o.relname = n.name))
    ORDER BY n.place LIMIT 1
$$;
