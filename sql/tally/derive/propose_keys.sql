-- tally.propose_keys: the columns of a view that can be its key, the best first.
--   Returns    key; singly: whether the view is known to have one row per key
--   Notes      Candidates are the columns of GROUP BY or DISTINCT ON, and primary keys of its tables that are output columns. The best one
--              can be reached cheaply from every table; then those with one row per key come first, then those that come first in the view.
CREATE OR REPLACE FUNCTION tally.propose_keys(definition regclass)
RETURNS TABLE (key name[], singly boolean) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    shape jsonb := tally.read_definition(definition);
BEGIN
    RETURN QUERY
    SELECT c.key, c.singly FROM (
        SELECT DISTINCT ON (x.key) x.key, x.singly, x.n, min(x.key) OVER () <> max(x.key) OVER () AS several
        FROM tally.possible_keys(definition, shape) x WHERE cardinality(x.key) > 0 ORDER BY x.key, x.singly DESC, x.n) c
    CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE d.reach = 'every key') AS every, count(*) FILTER (WHERE d.reach = 'wider') AS wider FROM tally.derive(definition, c.key, definition::text) d WHERE c.several) d   -- one candidate needs no comparison
    ORDER BY d.every, NOT c.singly, d.wider, c.n, c.key LIMIT 5;
END
$$;

-- tally.possible_keys: the candidates for propose_keys.
CREATE OR REPLACE FUNCTION tally.possible_keys(definition regclass, shape jsonb)
RETURNS TABLE (key name[], singly boolean, n bigint) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tree    jsonb := tally.view_tree(definition);
    grouped name[] := (SELECT array_agg(a.attname ORDER BY a.attnum) FROM tally.node_items(tree, 'targetList') t JOIN pg_attribute a ON a.attrelid = definition AND a.attnum = (t.item -> 'resno' ->> 0)::integer
                       WHERE t.item -> 'ressortgroupref' ->> 0 IN (SELECT g.item -> 'tleSortGroupRef' ->> 0 FROM tally.node_items(tree, CASE WHEN tally.node(tree, 'groupClause') IS NOT NULL THEN 'groupClause' ELSE 'distinctClause' END) g));
BEGIN
    IF tally.node(tree, 'groupClause') IS NOT NULL OR tree -> 'hasDistinctOn' ->> 0 = 'true' OR tally.node(tree, 'distinctClause') IS NOT NULL THEN
        RETURN QUERY SELECT grouped, cardinality(grouped) = jsonb_array_length(tree -> CASE WHEN tally.node(tree, 'groupClause') IS NOT NULL THEN 'groupClause' ELSE 'distinctClause' END -> 0), 0::bigint;
        -- a GROUP BY of a primary key and columns that depend on it: only the primary key
    ELSIF tree -> 'hasAggs' ->> 0 = 'true' THEN
        RETURN QUERY SELECT ARRAY[k.k::name], true, 0::bigint FROM jsonb_object_keys(shape -> 'columns') k(k) WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(shape -> 'columns' -> k.k) v WHERE v -> 'v' <> '{}') AND shape -> 'columns' -> k.k <> '[]' LIMIT 1;
        RETURN;
    END IF;
    RETURN QUERY
    WITH pk AS (
        SELECT (i ->> 'id')::integer AS instance, x.indkey::smallint[] AS attnums FROM jsonb_array_elements(shape -> 'instances') i JOIN pg_index x ON x.indrelid = (i ->> 'relation')::oid AND x.indisprimary
    ), out AS (
        SELECT a.attname, a.attnum, v FROM pg_attribute a, jsonb_array_elements(shape -> 'columns' -> a.attname) v WHERE a.attrelid = definition AND a.attnum > 0 AND NOT a.attisdropped
    ), kind AS (   -- constants that tell the arms of a set operation apart
        SELECT coalesce(array_agg(o.attname ORDER BY o.attnum), '{}') AS columns FROM (
            SELECT out.attname, out.attnum FROM out GROUP BY 1, 2 HAVING bool_and(v -> 'v' = '{}' AND v ->> 'q' NOT LIKE 'NULL%') AND count(DISTINCT v ->> 'q') > 1) o
    ), held AS (
        SELECT pk.instance, (SELECT array_agg(m.attname ORDER BY m.attnum) FROM unnest(pk.attnums) k CROSS JOIN LATERAL (
                SELECT out.attname, out.attnum FROM out WHERE out.v -> 'col' = jsonb_build_array(pk.instance, k) ORDER BY out.attnum LIMIT 1) m) AS columns, cardinality(pk.attnums) AS wanted
        FROM pk WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(shape -> 'scopes' -> (shape -> 'instances' -> pk.instance ->> 'scope')::integer -> 'up') u WHERE shape -> 'scopes' -> u::integer ->> 'kind' <> 'query')
    )
    SELECT DISTINCT kind.columns || h.columns, CASE WHEN shape -> 'passing' = '{}' THEN tally.determines(h.instance, shape) AND tally.node(tree, 'groupingSets') IS NULL
           ELSE cardinality(kind.columns) > 0 END, h.instance::bigint + 1
    FROM held h, kind WHERE cardinality(h.columns) = h.wanted;
END
$$;

-- tally.determines: whether a row of one table of a view has at most one partner in every other one, by unique indexes.
CREATE OR REPLACE FUNCTION tally.determines(instance integer, shape jsonb)
RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known integer[] := ARRAY[instance];
    more  integer[];
    outer_ integer[] := ARRAY(SELECT (i ->> 'id')::integer FROM jsonb_array_elements(shape -> 'instances') i
        WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(shape -> 'scopes' -> (i ->> 'scope')::integer -> 'up') u WHERE shape -> 'scopes' -> u::integer ->> 'kind' IN ('sublink', 'single')));
BEGIN
    LOOP
        SELECT array_agg(i) INTO more FROM unnest(outer_) i WHERE i <> ALL (known) AND EXISTS (
            SELECT FROM pg_index x WHERE x.indrelid = (shape -> 'instances' -> i ->> 'relation')::oid AND x.indisunique AND x.indpred IS NULL AND x.indexprs IS NULL
            AND NOT EXISTS (SELECT FROM unnest(x.indkey[0:x.indnkeyatts - 1]) k WHERE NOT EXISTS (
                SELECT FROM jsonb_array_elements(shape -> 'conditions') c WHERE (c -> 'e' ->> 'eq')::boolean
                AND ((c -> 'e' ->> 'i')::integer = i AND (c -> 'e' ->> 'ci')::integer = k AND (c -> 'e' ->> 'j')::integer = ANY (known)
                  OR (c -> 'e' ->> 'j')::integer = i AND (c -> 'e' ->> 'cj')::integer = k AND (c -> 'e' ->> 'i')::integer = ANY (known)))));
        EXIT WHEN more IS NULL;
        known := known || more;
    END LOOP;
    RETURN outer_ <@ known;
END
$$;
