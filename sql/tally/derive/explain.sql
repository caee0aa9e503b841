-- tally.explain: what has to be watched to keep a view, declared or not, and how its sources lead to keys.
--   Parameters definition: any view; key: its key columns. Without it, every possible key is explained, the best first
--   Returns    a row per source: source; columns to watch; expand: SQL that leads from changed rows to keys. It can be run (it then takes
--              all rows of the source), or passed to tally.watch; reach: exact, wider (also finds keys that did not change), every key,
--              or cannot be watched; reason; index: those used, or the CREATE INDEX that is missing, also to evaluate a key; keys_per_row: how many keys a
--              changed row leads to, from statistics; key; declared: how it is declared by hand (only in tally.explain(name)), or NULL
--   Raises     TL004, TL006
--   Used by    any role that may read the catalog; statistics of tables that it may not read are missing
CREATE OR REPLACE FUNCTION tally.explain(definition regclass, key text[] DEFAULT NULL)
RETURNS TABLE (source regclass, columns name[], expand text, reach text, reason text, index text, keys_per_row numeric, key_columns name[], declared text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    k name[];
BEGIN
    IF (SELECT c.relkind FROM pg_class c WHERE c.oid = definition) IS DISTINCT FROM 'v' THEN
        PERFORM tally.no_view(definition);
    END IF;
    IF key IS NOT NULL THEN
        PERFORM tally.require_list(key, 'key');
        PERFORM tally.require_columns(definition, explain.key);
        RETURN QUERY SELECT * FROM tally.explain_key(definition, explain.key::name[], definition::text, NULL);
        RETURN;
    END IF;
    FOR k IN SELECT p.key FROM tally.propose_keys(definition) p LOOP
        RETURN QUERY SELECT * FROM tally.explain_key(definition, k, definition::text, NULL);
    END LOOP;
    IF NOT FOUND THEN
        PERFORM tally.no_key(definition);
    END IF;
END
$$;
COMMENT ON FUNCTION tally.explain(regclass, text[]) IS 'what has to be watched to keep a view, and how it leads to keys: on any view';

-- tally.no_view: an error for a relation that is no view.
--   Raises     TL004, TL018
CREATE OR REPLACE FUNCTION tally.no_view(relation regclass)
RETURNS void LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    kind "char" := (SELECT c.relkind FROM pg_class c WHERE c.oid = relation);
BEGIN
    IF kind IS NULL THEN
        PERFORM tally.fail('TL018', 'No view was named whose rows are to be kept.', 'Name an ordinary view: CREATE VIEW … AS SELECT ….');
    END IF;
    PERFORM tally.fail('TL004', format('%s is not a view, so there is nothing to derive.', relation), CASE kind
        WHEN 'm' THEN format('Write its query as an ordinary view, CREATE VIEW … AS …, and keep that. Or let it be refreshed: SELECT tally.create_snapshot(%L); SELECT tally.activate(%1$L).', relation)
        WHEN 'i' THEN 'Name an ordinary view.' WHEN 'S' THEN 'Name an ordinary view.' WHEN 'c' THEN 'Name an ordinary view.'
        ELSE format('Write a view over it: CREATE VIEW … AS SELECT … FROM %s.', relation) END);
END
$$;

-- tally.compared: how a source is declared, compared with what is derived, and which keys the declaration may miss.
CREATE OR REPLACE FUNCTION tally.compared(projection integer, source regclass, columns name[], expand text)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT CASE WHEN projection IS NULL THEN NULL
        ELSE coalesce((SELECT CASE WHEN s.columns IS NULL THEN 'assumed static'
                                   WHEN s.derived THEN 'derived'
                                   WHEN s.columns = compared.columns AND s.expand IS NOT DISTINCT FROM compared.expand THEN 'by hand, the same'
                                   ELSE format('by hand: {%s}%s%s', array_to_string(s.columns, ','), coalesce(E'\n' || s.expand, ''), coalesce(E'\n' || s.doubt, '')) END
                       FROM tally.source s WHERE s.projection_id = projection AND s.relation = source),
                      CASE WHEN tally.is_source(projection, source) THEN 'assumed static' ELSE 'not watched' END) END
$$;

-- tally.explain_key: the same for one key.
--   Parameters stored: where the rows of a kept view are stored; projection: its number, to compare with its declaration
CREATE OR REPLACE FUNCTION tally.explain_key(definition regclass, key name[], stored text, projection integer)
RETURNS TABLE (source regclass, columns name[], expand text, reach text, reason text, index text, keys_per_row numeric, key_columns name[], declared text)
LANGUAGE sql SET jit = off AS $$
    WITH derived AS MATERIALIZED (SELECT * FROM tally.derive(definition, key, stored)),
    size AS MATERIALIZED (SELECT tally.estimated_rows(definition) AS keys),
    step AS MATERIALIZED (SELECT d.source AS of_source, s.* FROM derived d CROSS JOIN LATERAL tally.way_steps(d.ways, d.shape) s),
    per_way AS (SELECT of_source, way, CASE WHEN bool_and(rows IS NOT NULL) THEN exp(sum(ln(greatest(rows, 0.001)))) END AS keys FROM step GROUP BY 1, 2),
    looked AS (SELECT of_source, count(*) AS ways, CASE WHEN bool_and(keys IS NOT NULL) THEN sum(keys) END AS keys FROM per_way GROUP BY 1)
    SELECT d.source, d.columns,
           format('WITH changed AS (SELECT %s FROM %s)%s%s', tally.column_list(d.columns), d.source, E'\n', coalesce(d.expand, format('SELECT %s FROM changed', tally.column_list(d.columns)))),
           CASE WHEN c.relkind IN ('r', 'p') THEN d.reach ELSE 'cannot be watched' END,
           concat_ws(' ', tally.reason(d.source, key, d.reach, d.why, d.ways, d.shape),
               CASE WHEN c.relkind NOT IN ('r', 'p') THEN 'It is no ordinary table, so triggers cannot watch it: vouch for it with tally.assume_static, or read its tables.' END,
               tally.reason_of_cost(key, d.shape), (SELECT format('Beware: a row that leads to %s.%s = %s leads to about %s keys, %s %% of all.', s.relation, s.col, s.value, round(s.common::numeric), round((100 * s.common / size.keys)::numeric))
                FROM step s WHERE s.of_source = d.source AND s.common >= size.keys * 0.1 AND s.common >= 100 AND size.keys > 0 ORDER BY s.common DESC LIMIT 1)),
           (SELECT string_agg(DISTINCT i.index, E'\n') FROM (
                SELECT coalesce(s.index::text, s.missing) AS index FROM step s WHERE s.of_source = d.source UNION ALL SELECT k.missing FROM tally.key_lookups(d.ways, d.shape) k) i),
           CASE WHEN d.reach = 'every key' THEN round(size.keys::numeric) WHEN d.why = 'unread' THEN 0 WHEN l.of_source IS NULL THEN jsonb_array_length(d.ways)
                ELSE round((l.keys + jsonb_array_length(d.ways) - l.ways)::numeric, 1) END,
           key, tally.compared(projection, d.source, d.columns, d.expand)
    FROM derived d JOIN pg_class c ON c.oid = d.source LEFT JOIN looked l ON l.of_source = d.source CROSS JOIN size ORDER BY d.source::text COLLATE "C"
$$;

-- tally.explain: the same by name. A declared view is compared with its declaration by hand.
--   Raises    TL001, TL004
CREATE OR REPLACE FUNCTION tally.explain(name text)
RETURNS TABLE (source regclass, columns name[], expand text, reach text, reason text, index text, keys_per_row numeric, key_columns name[], declared text)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM tally.explain_named(tally.called(name, pg_catalog.current_schemas(true)), pg_catalog.current_setting('search_path'));
END
$$;
COMMENT ON FUNCTION tally.explain(text) IS 'the same of a declared view, beside what was declared by hand';

-- tally.explain_named: the same, whatever the caller's search_path (path), by which an undeclared view is found.
CREATE OR REPLACE FUNCTION tally.explain_named(name text, path text)
RETURNS TABLE (source regclass, columns name[], expand text, reach text, reason text, index text, keys_per_row numeric, key_columns name[], declared text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v record;
BEGIN
    SELECT * INTO v FROM tally.declared_as(name);
    IF v.definition IS NULL THEN
        RETURN QUERY SELECT * FROM tally.explain(tally.view_named(name, path), NULL::text[]);
    ELSE
        RETURN QUERY SELECT * FROM tally.explain_key(v.definition, v.key, v.stored, v.id);
    END IF;
END
$$;

-- tally.declared_as: the projection that a name stands for: that projection itself, or the one under a rollup of that name. Also found by a new name
-- that no merge has followed yet.
CREATE OR REPLACE FUNCTION tally.declared_as(name text, OUT id integer, OUT definition regclass, OUT key name[], OUT stored text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    parts text[];
    views integer[];
BEGIN
    BEGIN
        parts := parse_ident(name);
    EXCEPTION WHEN invalid_parameter_value THEN
        PERFORM tally.fail('TL003', format('"%s" is not a name.', name));
    END;
    views := CASE cardinality(parts) WHEN 1 THEN tally.views_named(NULL, parts[1]) WHEN 2 THEN tally.views_named(parts[1], parts[2]) END;
    IF cardinality(views) > 1 THEN
        PERFORM tally.lookup(name);  -- raises TL001
    END IF;
    SELECT p.id, p.definition, p.key, tally.part(p) INTO id, definition, key, stored
    FROM unnest(views) u(view_id)
    JOIN tally.derived_view d ON d.id = u.view_id
    JOIN tally.derived_view p ON p.id = coalesce(d.root_id, d.id)
    WHERE p.kind = 'projection' ORDER BY d.id LIMIT 1;
END
$$;
