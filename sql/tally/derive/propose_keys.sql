-- tally.propose_keys: the columns of a view that can be its key, the best first.
--   Returns    key; singly: whether the view is known to have one row per key
--   Notes      Candidates are the columns of GROUP BY (also of the only subquery or CTE that the view reads) or DISTINCT ON, and primary keys of its tables that are output columns (tally.row_keys). The best one
--              can be reached cheaply from every table; then those with one row per key come first, then those that come first in the view.
CREATE OR REPLACE FUNCTION tally.propose_keys(definition regclass)
RETURNS TABLE (key name[], singly boolean) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET jit = off AS $$
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
RETURNS TABLE (key name[], singly boolean, n bigint) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    tree    jsonb := tally.view_tree(definition);
    grouped name[] := (SELECT array_agg(a.attname ORDER BY a.attnum) FROM tally.node_items(tree, 'targetList') t JOIN pg_attribute a ON a.attrelid = definition AND a.attnum = (t.item -> 'resno' ->> 0)::integer
                       WHERE t.item -> 'ressortgroupref' ->> 0 IN (SELECT g.item -> 'tleSortGroupRef' ->> 0 FROM tally.node_items(tree, CASE WHEN tally.node(tree, 'groupClause') IS NOT NULL THEN 'groupClause' ELSE 'distinctClause' END) g));
BEGIN
    IF tally.node(tree, 'groupClause') IS NOT NULL OR tree -> 'hasDistinctOn' ->> 0 = 'true' OR tally.node(tree, 'distinctClause') IS NOT NULL THEN
        RETURN QUERY SELECT grouped, tally.node(tree, 'groupingSets') IS NULL AND cardinality(grouped) = jsonb_array_length(tree -> CASE WHEN tally.node(tree, 'groupClause') IS NOT NULL THEN 'groupClause' ELSE 'distinctClause' END -> 0), 0::bigint;
        -- a GROUP BY of a primary key and columns that depend on it: only the primary key
    ELSIF tree -> 'hasAggs' ->> 0 = 'true' THEN
        RETURN QUERY SELECT ARRAY[k.k::name], true, 0::bigint FROM jsonb_object_keys(shape -> 'columns') k(k) WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(shape -> 'columns' -> k.k) v WHERE v -> 'v' <> '{}') AND shape -> 'columns' -> k.k <> '[]' LIMIT 1;
        RETURN;
    END IF;
    RETURN QUERY SELECT array_agg(a.attname ORDER BY a.attnum), true, 0::bigint FROM pg_attribute a WHERE a.attrelid = definition AND a.attnum = ANY (tally.group_columns(tree, '[]')) HAVING count(*) > 0;
    RETURN QUERY
    WITH pk AS (
        SELECT (i ->> 'id')::integer AS instance, k.attnums FROM jsonb_array_elements(shape -> 'instances') i CROSS JOIN LATERAL tally.row_keys((i ->> 'relation')::oid) k
    ), out AS (
        SELECT a.attname, a.attnum, v FROM pg_attribute a, jsonb_array_elements(shape -> 'columns' -> a.attname) v WHERE a.attrelid = definition AND a.attnum > 0 AND NOT a.attisdropped
    ), kind AS (   -- constants that tell the arms of a set operation apart; apart: each arm has another one
        SELECT coalesce(array_agg(o.attname ORDER BY o.attnum), '{}') AS columns, coalesce(bool_or(o.arms = o.kinds), false) AS apart, max(o.arms) AS arms FROM (
            SELECT out.attname, out.attnum, count(*) AS arms, count(DISTINCT v ->> 'q') AS kinds FROM out GROUP BY 1, 2 HAVING bool_and(v -> 'v' = '{}' AND v ->> 'q' NOT LIKE 'NULL%') AND count(DISTINCT v ->> 'q') > 1) o
    ), held AS (
        SELECT pk.instance, (SELECT array_agg(m.attname ORDER BY m.attnum) FROM unnest(pk.attnums) k CROSS JOIN LATERAL (
                SELECT out.attname, out.attnum FROM out WHERE out.v -> 'col' = jsonb_build_array(pk.instance, k) ORDER BY out.attnum LIMIT 1) m) AS columns, cardinality(pk.attnums) AS wanted
        FROM pk WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(shape -> 'scopes' -> (shape -> 'instances' -> pk.instance ->> 'scope')::integer -> 'up') u WHERE shape -> 'scopes' -> u::integer ->> 'kind' <> 'query')
    )
    SELECT DISTINCT kind.columns || h.columns, NOT tally.returns_sets(definition) AND CASE WHEN shape -> 'passing' = '{}' THEN tally.determines(ARRAY[h.instance], shape) AND tally.node(tree, 'groupingSets') IS NULL
           ELSE kind.apart AND (SELECT count(*) = kind.arms AND tally.determines(array_agg(o.instance), shape) FROM held o WHERE o.columns = h.columns AND cardinality(o.columns) = o.wanted) END, h.instance::bigint + 1
    FROM held h, kind WHERE cardinality(h.columns) = h.wanted;
END
$$;

-- tally.group_columns: the numbers of the output columns that tell the rows of a query apart, because it groups by them, or the only subquery, CTE or
-- view that it reads does; NULL: there are none.
--   Parameters ctes: those of the queries around it
CREATE OR REPLACE FUNCTION tally.group_columns(tree jsonb, ctes jsonb)
RETURNS integer[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    groups  jsonb := tree -> 'groupClause' -> 0;
    members jsonb := coalesce(tally.node(tree, 'jointree') -> 'fromlist' -> 0, '[]');
    member  jsonb;
    below   integer[];
    made    integer[];
BEGIN
    IF tree IS NULL OR tally.node(tree, 'setOperations') IS NOT NULL OR tally.node(tree, 'groupingSets') IS NOT NULL OR tree -> 'hasTargetSRFs' ->> 0 = 'true' THEN
        RETURN NULL;
    ELSIF tally.node(tree, 'groupClause') IS NOT NULL THEN
        made := ARRAY(SELECT (t.item -> 'resno' ->> 0)::integer FROM tally.node_items(tree, 'targetList') t
                      WHERE t.item -> 'resname' ->> 0 IS NOT NULL AND t.item -> 'ressortgroupref' ->> 0 IN (SELECT g -> 'tleSortGroupRef' ->> 0 FROM jsonb_array_elements(groups) g));
        RETURN CASE WHEN cardinality(made) = jsonb_array_length(groups) THEN made END;
    ELSIF tree -> 'hasAggs' ->> 0 = 'true' OR jsonb_array_length(members) <> 1 OR members -> 0 ->> '_' <> 'RANGETBLREF' THEN
        RETURN NULL;
    END IF;
    ctes := (SELECT coalesce(jsonb_agg(c.item ORDER BY c.i), '[]') FROM tally.node_items(tree, 'cteList') c) || ctes;
    member := tree -> 'rtable' -> 0 -> (members -> 0 -> 'rtindex' ->> 0)::integer - 1;
    below := CASE member -> 'rtekind' ->> 0
        WHEN '0' THEN tally.group_columns(tally.view_tree((member -> 'relid' ->> 0)::oid), '[]')
        WHEN '1' THEN tally.group_columns(tally.node(member, 'subquery'), ctes)
        WHEN '6' THEN tally.group_columns((SELECT tally.node(c, 'ctequery') FROM jsonb_array_elements(ctes) WITH ORDINALITY u(c, i) WHERE c -> 'ctename' = member -> 'ctename' AND c -> 'cterecursive' ->> 0 = 'false' ORDER BY i LIMIT 1), ctes) END;
    made := ARRAY(SELECT min((t.item -> 'resno' ->> 0)::integer) FROM unnest(below) b JOIN tally.node_items(tree, 'targetList') t ON t.item -> 'resname' ->> 0 IS NOT NULL AND tally.node(t.item, 'expr') ->> '_' = 'VAR'
                  AND tally.node(t.item, 'expr') -> 'varlevelsup' ->> 0 = '0' AND tally.node(t.item, 'expr') -> 'varno' ->> 0 = members -> 0 -> 'rtindex' ->> 0 AND (tally.node(t.item, 'expr') -> 'varattno' ->> 0)::integer = b GROUP BY b);
    RETURN CASE WHEN cardinality(made) = cardinality(below) THEN made END;
END
$$;

-- tally.row_keys: the columns that identify a row of a table: its primary key. Without one, those of each unique index in which rows with NULLs
-- cannot be equal, as in that of a projection. Of a rollup, which has no unique index, its groups.
CREATE OR REPLACE FUNCTION tally.row_keys(relation oid)
RETURNS TABLE (attnums smallint[]) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT (x.indkey::smallint[])[0:x.indnkeyatts - 1] FROM pg_index x
    WHERE x.indrelid = relation AND x.indisunique AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL
      AND (x.indisprimary OR NOT EXISTS (SELECT FROM pg_index p WHERE p.indrelid = relation AND p.indisprimary)
           AND (x.indnullsnotdistinct OR NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = relation AND NOT a.attnotnull AND a.attnum = ANY ((x.indkey::smallint[])[0:x.indnkeyatts - 1]))))
    UNION ALL
    SELECT (SELECT array_agg(a.attnum ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = ANY (d.group_by))
    FROM tally.made m JOIN tally.derived_view d ON d.id = m.view_id WHERE m.relation = row_keys.relation AND m.suffix = '' AND d.kind = 'rollup' AND d.group_by <> '{}'
$$;

-- tally.no_key: an error for a view of which no key can be proposed.
--   Raises     TL018
CREATE OR REPLACE FUNCTION tally.no_key(definition regclass)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tree  jsonb := tally.view_tree(definition);
    names text := (SELECT string_agg(format('%s of %s', n.cols, n.source), ', ') FROM (
        SELECT r.source, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS cols FROM tally.tables_read(definition) WITH ORDINALITY r(source, i)
        CROSS JOIN LATERAL (SELECT k.attnums FROM tally.row_keys(r.source) k LIMIT 1) k JOIN pg_attribute a ON a.attrelid = r.source AND a.attnum = ANY (k.attnums)
        GROUP BY r.source, r.i ORDER BY r.i LIMIT 3) n);
BEGIN
    IF tree -> 'hasAggs' ->> 0 = 'true' AND tally.node(tree, 'groupClause') IS NULL THEN
        PERFORM tally.fail('TL018', format('%s is one row of aggregates, and no column of it is known to stay the same, so it has no key.', definition),
            'Add a constant to its columns, 1 AS id: that is its key then, and each change evaluates the whole view.');
    END IF;
    PERFORM tally.fail('TL018', format('%s has no primary key and no GROUP BY column that could be its key.', definition),
        CASE WHEN names IS NULL THEN 'Give its table a primary key and add that to its columns' ELSE format('Add the key of a table to its columns (%s)', names) END || ', or name those of its columns by which its rows are to be merged: key => ''{…}'', and in keep identity => ''{…}'' if several rows have one key.');
END
$$;

-- tally.determines: whether a row of one of these tables of a view has at most one partner in every other table, by unique indexes.
DROP FUNCTION IF EXISTS tally.determines(integer, jsonb);  -- it took one table
CREATE OR REPLACE FUNCTION tally.determines(instances integer[], shape jsonb)
RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    known integer[] := instances;
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

-- tally.returns_sets: whether a view, or one below it, has a set-returning function in FROM or among its columns, VALUES of several rows or a recursion: they may
-- return several rows for one of a table.
CREATE OR REPLACE FUNCTION tally.returns_sets(definition regclass)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT EXISTS (SELECT FROM tally.views_under(definition) u CROSS JOIN LATERAL tally.tree_nodes(tally.view_tree(u)) n
                   WHERE (n.node ->> '_' = 'RANGETBLENTRY' AND n.node -> 'rtekind' ->> 0 IN ('3', '4')
                          OR n.node ->> '_' = 'RANGETBLENTRY' AND n.node -> 'rtekind' ->> 0 = '5' AND jsonb_array_length(n.node -> 'values_lists' -> 0) > 1
                          OR n.node ->> '_' = 'QUERY' AND (n.node -> 'hasTargetSRFs' ->> 0 = 'true' OR n.node -> 'hasRecursive' ->> 0 = 'true'))
                     AND 'subselect' <> ALL (n.path))
$$;

-- tally.repeats_keys: whether a view is of a shape that returns several rows for a primary key of its tables, or for a group: a set operation, GROUPING SETS,
-- a set-returning function, a GROUP BY of something that is no column of it.
CREATE OR REPLACE FUNCTION tally.repeats_keys(definition regclass)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT tally.returns_sets(definition) OR EXISTS (
        SELECT FROM (SELECT tally.view_tree(definition) AS tree) t, tally.node_items(t.tree, 'groupClause') g
        WHERE NOT EXISTS (SELECT FROM tally.node_items(t.tree, 'targetList') i JOIN pg_attribute a ON a.attrelid = definition AND a.attnum = (i.item -> 'resno' ->> 0)::integer
                          WHERE i.item -> 'ressortgroupref' ->> 0 = g.item -> 'tleSortGroupRef' ->> 0)) OR EXISTS (
        SELECT FROM tally.views_under(definition) u CROSS JOIN LATERAL tally.tree_nodes(tally.view_tree(u)) n
        WHERE n.node ->> '_' = 'QUERY' AND 'subselect' <> ALL (n.path) AND (n.node -> 'setOperations' -> 0 <> 'null' OR n.node -> 'groupingSets' -> 0 <> 'null'))
$$;

-- tally.columns_with_order: the columns of a relation that can be part of an identity.
CREATE OR REPLACE FUNCTION tally.columns_with_order(relation regclass)
RETURNS text[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
    WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND NOT EXISTS (SELECT FROM tally.unordered_part(a.atttypid) p(type) WHERE p.type IS NOT NULL)
$$;
