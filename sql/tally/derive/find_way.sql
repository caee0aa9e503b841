-- The way from a changed row to keys: the conditions of the definition that join it with the tables that hold the key.
-- Nodes of the search are instance * 8 + copy. If rows of a level depend on each other (a window, LIMIT: a *barrier*), a changed row
-- of copy 0 leads to its neighbours, which are further copies of the same tables, and from them to their keys. For copy 0 only
-- conditions inside the barrier hold.

-- tally.find_way: the shortest way.
--   Parameters st: a shape; start: an instance; jumps: scopes with a barrier to leave by way of neighbours, the innermost
--              first; fixed: the choices made; targets: a value for each column of the key
--   Returns    joins (node, q, cols: columns of the node that are compared for equality, eq: nothing else is compared), targets (q, f,
--              node), watch (columns of start, by number), uses (nodes); NULL: there is no way
--   Called by  tally.derive_ways
CREATE OR REPLACE FUNCTION tally.find_way(st jsonb, start integer, jumps integer[], fixed jsonb, targets jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    edges  jsonb := CASE WHEN jumps = '{}' AND fixed = st -> 'instances' -> start -> 'm' THEN st -> 'edges' -> (st -> 'instances' -> start ->> 'scope') END;
    home   integer := start * 8 + tally.copy_of(st, start, 0, jumps);
    tree   integer[] := ARRAY[home];
    joins  jsonb := '[]';
    ends   jsonb := '[]';
    t      jsonb;
    goals  jsonb;   -- where a target's value can be read: node, q, v
    path   jsonb;
    e      jsonb;
BEGIN
    IF edges IS NULL THEN
        edges := tally.way_edges(st, start, jumps, fixed);
        edges := edges || tally.class_edges(edges);
    END IF;
    FOR t IN SELECT x FROM jsonb_array_elements(targets) WITH ORDINALITY u(x, i) ORDER BY i LOOP
        IF t -> 'v' = '{}' THEN
            ends := ends || jsonb_build_array(t || '{"constant": true}');
            CONTINUE;
        END IF;
        goals := tally.way_goals(st, edges, start, jumps, fixed, t);
        path := tally.search_way(edges, tree, goals);
        IF path IS NULL THEN
            RETURN NULL;
        END IF;
        FOR e IN SELECT x FROM jsonb_array_elements(path -> 'edges') WITH ORDINALITY u(x, i) ORDER BY i LOOP
            tree := tree || (e ->> 'b')::integer;
            joins := joins || jsonb_build_array(e);
        END LOOP;
        ends := ends || jsonb_build_array(path -> 'goal');
    END LOOP;
    RETURN jsonb_build_object('joins', joins, 'targets', ends, 'home', home, 'uses', to_jsonb(tree[2:]), 'watch', (
        SELECT coalesce(jsonb_agg(DISTINCT c), '[]') FROM (
            SELECT jsonb_array_elements(j -> 'v' -> home::text) FROM jsonb_array_elements(joins) j
            UNION SELECT jsonb_array_elements(g -> 'v' -> home::text) FROM jsonb_array_elements(ends) g) x(c)));
END
$$;

-- tally.copy_of: the copy of an instance that is meant when it is used together with a given copy. Outside of a barrier there is only one.
CREATE OR REPLACE FUNCTION tally.copy_of(st jsonb, instance integer, copy integer, jumps integer[])
RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (
        SELECT CASE WHEN jumps = '{}' THEN 0 ELSE (
            SELECT greatest(copy, coalesce(min(k) - 1, cardinality(jumps)))
            FROM generate_subscripts(jumps, 1) k
            WHERE st -> 'scopes' -> (st -> 'instances' -> instance ->> 'scope')::integer -> 'up' @> to_jsonb(jumps[k])) END);
END
$$;

-- tally.at_node: a text over instances, turned into one over nodes, for one copy.
CREATE OR REPLACE FUNCTION tally.at_node(q text, instance integer, node integer)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT replace(q, E'\x01' || instance || E'\x02', E'\x01n' || node || E'\x02')
$$;

-- tally.usable_scopes: the scopes whose conditions hold for a row of a scope and the rows joined with it: the scopes around it (up to
-- one), subqueries joined in them, and sides of outer joins that are known to have a row, by a condition or a choice.
CREATE OR REPLACE FUNCTION tally.usable_scopes(st jsonb, scope integer, upto integer, fixed jsonb)
RETURNS integer[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    around integer[] := ARRAY(SELECT u::integer FROM jsonb_array_elements(st -> 'scopes' -> scope -> 'up') WITH ORDINALITY x(u, i)
                              WHERE upto IS NULL OR st -> 'scopes' -> u::integer -> 'up' @> to_jsonb(upto) ORDER BY i);
    open_  integer[] := around || ARRAY(SELECT (substr(f.key, 2))::integer FROM jsonb_each(fixed) f WHERE f.key ~ '^n\d' AND f.value = '0');
    more   integer[];
BEGIN
    LOOP
        SELECT array_agg(s.i) INTO more FROM jsonb_array_elements(st -> 'scopes') WITH ORDINALITY u(s, n), LATERAL (SELECT n::integer - 1) s(i)
        WHERE s.i <> ALL (around) AND (u.s -> 'up' -> 1)::integer = ANY (around)
          AND (upto IS NULL OR u.s -> 'up' @> to_jsonb(upto))
          AND (u.s ->> 'kind' = 'query' OR u.s ->> 'kind' = 'nullable' AND (s.i = ANY (open_) OR EXISTS (
                SELECT FROM jsonb_array_elements(st -> 'forced') f
                WHERE (f ->> 'scope')::integer = s.i AND (f ->> 'by')::integer = ANY (around) AND f -> 'm' <@ (fixed || (st -> 'scopes' -> scope -> 'm')))));
        EXIT WHEN more IS NULL;
        around := around || more;
    END LOOP;
    RETURN around;
END
$$;

-- tally.way_edges: the steps that a way may take, in both directions: conditions, and from one copy to the next by the values that a barrier partitions rows by.
CREATE OR REPLACE FUNCTION tally.way_edges(st jsonb, start integer, jumps integer[], fixed jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        WITH level AS MATERIALIZED (
            SELECT l AS copy, x.made, l = cardinality(jumps) AS last, tally.usable_scopes(st, CASE l WHEN 0 THEN (st -> 'instances' -> start ->> 'scope')::integer ELSE jumps[l] END, jumps[l + 1], x.made) AS scopes
            FROM generate_series(0, cardinality(jumps)) l
            CROSS JOIN LATERAL (SELECT CASE WHEN l = cardinality(jumps) THEN fixed WHEN l = 0 THEN st -> 'instances' -> start -> 'm' ELSE st -> 'scopes' -> jumps[l] -> 'm' END) x(made)
        ), shut AS MATERIALIZED (   -- nullable sides that have no row, by a choice made
            SELECT to_jsonb((substr(f.key, 2))::integer) AS scope FROM jsonb_each(fixed) f
            WHERE f.key ~ '^n\d' AND f.value = '1'
              AND NOT (jumps = '{}' AND st -> 'scopes' -> (st -> 'instances' -> start ->> 'scope')::integer -> 'up' @> substr(f.key, 2)::jsonb)
        ), usable AS (
            SELECT c, tally.copy_of(st, (c ->> 'i')::integer, l.copy, jumps) + (c ->> 'i')::integer * 8 AS a, tally.copy_of(st, (c ->> 'j')::integer, l.copy, jumps) + (c ->> 'j')::integer * 8 AS b, n,
                   CASE WHEN l.last THEN c -> 'm' ELSE '{}' END AS m,
                   CASE WHEN (c ->> 'x')::boolean THEN tally.own_conditions(st, l.scopes, (c ->> 'i')::integer, l.made || (c -> 'm')) END AS gi, CASE WHEN (c ->> 'x')::boolean THEN tally.own_conditions(st, l.scopes, (c ->> 'j')::integer, l.made || (c -> 'm')) END AS gj
            FROM jsonb_array_elements(st -> 'conditions') WITH ORDINALITY AS u(c, n) JOIN level l ON (c ->> 'scope')::integer = ANY (l.scopes)
            WHERE CASE WHEN l.last THEN tally.agree(c -> 'm', l.made) ELSE c -> 'm' <@ l.made END AND NOT (l.last AND EXISTS (
                SELECT FROM shut WHERE st -> 'scopes' -> (st -> 'instances' -> (c ->> 'i')::integer ->> 'scope')::integer -> 'up' @> shut.scope
                                    OR st -> 'scopes' -> (st -> 'instances' -> (c ->> 'j')::integer ->> 'scope')::integer -> 'up' @> shut.scope))
        ), guarded AS (
            SELECT u.*, concat(tally.at_node(gi ->> 'q', (c ->> 'i')::integer, a) || ' AND ', tally.at_node(gj ->> 'q', (c ->> 'j')::integer, b) || ' AND ') AS before,
                   jsonb_strip_nulls(jsonb_build_object(a::text, tally.at_node(gi ->> 'q', (c ->> 'i')::integer, a), b::text, tally.at_node(gj ->> 'q', (c ->> 'j')::integer, b))) AS g
            FROM usable u
        ), edge AS (
            SELECT DISTINCT a, b, n, before || tally.at_node(tally.at_node(coalesce(c -> 'to' -> (c ->> 'j') ->> 'q', c ->> 'q'), (c ->> 'i')::integer, a), (c ->> 'j')::integer, b) AS q,
                   jsonb_build_object(a::text, tally.merged_columns(c -> 'v', coalesce(gi -> 'v', '{}')) -> (c ->> 'i'), b::text, tally.merged_columns(c -> 'v', coalesce(gj -> 'v', '{}')) -> (c ->> 'j')) AS v, m, g,
                   CASE WHEN coalesce((c -> 'e' ->> 'eq')::boolean, false) AND c -> 'e' -> 'fi' = '{}' AND c -> 'e' -> 'fj' = '{}' THEN
                       CASE WHEN c -> 'e' -> 'i' = c -> 'i' THEN jsonb_build_object('op', c -> 'e' -> 'op', 'l', c -> 'e' -> 'l', 'qa', tally.at_node(c -> 'e' ->> 'qi', (c ->> 'i')::integer, a), 'ta', c -> 'e' -> 'ti', 'ca', c -> 'e' -> 'ci',
                                                        'qb', tally.at_node(c -> 'e' ->> 'qj', (c ->> 'j')::integer, b), 'tb', c -> 'e' -> 'tj', 'cb', c -> 'e' -> 'cj')
                            ELSE jsonb_build_object('op', c -> 'e' -> 'op', 'l', c -> 'e' -> 'l', 'qa', tally.at_node(c -> 'e' ->> 'qj', (c ->> 'i')::integer, a), 'ta', c -> 'e' -> 'tj', 'ca', c -> 'e' -> 'cj',
                                                        'qb', tally.at_node(c -> 'e' ->> 'qi', (c ->> 'j')::integer, b), 'tb', c -> 'e' -> 'ti', 'cb', c -> 'e' -> 'ci') END
                        WHEN c -> 'to' <> 'null' THEN jsonb_build_object('in', true, 'cb', c -> 'to' -> (c ->> 'j') -> 'col', 'mb', c -> 'to' -> (c ->> 'j') -> 'am', 'ca', c -> 'to' -> (c ->> 'i') -> 'col', 'ma', c -> 'to' -> (c ->> 'i') -> 'am',
                            'back', before || tally.at_node(tally.at_node(c -> 'to' -> (c ->> 'i') ->> 'q', (c ->> 'i')::integer, a), (c ->> 'j')::integer, b)) END AS e
            FROM guarded
            UNION ALL
            SELECT (p.i * 8 + k - 1), (p.i * 8 + k), 1000 + k, string_agg(tally.sql_alike((p.v ->> 't')::oid, tally.at_node(p.v ->> 'q', p.i, p.i * 8 + k - 1), tally.at_node(p.v ->> 'q', p.i, p.i * 8 + k)), ' AND ' ORDER BY p.v ->> 'q'),
                   jsonb_build_object((p.i * 8 + k - 1)::text, jsonb_agg(c), (p.i * 8 + k)::text, jsonb_agg(c)), '{}', '{}', jsonb_build_object('part', true, 'cb', max(c::integer), 'ca', max(c::integer))
            FROM generate_subscripts(jumps, 1) k
            CROSS JOIN LATERAL (SELECT v, (SELECT o::integer FROM jsonb_object_keys(v -> 'v') o) AS i FROM jsonb_array_elements(st -> 'scopes' -> jumps[k] -> 'barrier') v
                                WHERE (SELECT count(*) FROM jsonb_object_keys(v -> 'v')) = 1 AND v -> 'f' = '{}' AND tally.agree(v -> 'm', fixed)) p
            CROSS JOIN LATERAL jsonb_array_elements(p.v -> 'v' -> p.i::text) c
            WHERE st -> 'scopes' -> (st -> 'instances' -> p.i ->> 'scope')::integer -> 'up' @> to_jsonb(jumps[k])
            GROUP BY p.i, k
        )
        SELECT coalesce(jsonb_agg(jsonb_build_object('a', x.a, 'b', x.b, 'q', x.q, 'v', x.v, 'm', x.m, 'g', x.g, 'e', x.e) ORDER BY x.e IS NULL, x.n, x.a, x.b), '[]') FROM (
            SELECT a, b, n, q, v, m, g, e FROM edge
            UNION ALL
            SELECT b, a, n, coalesce(e ->> 'back', q), v, m, g, e - '{qa,qb,ta,tb,ca,cb,back}'::text[] || CASE WHEN e ? 'in' THEN jsonb_build_object('cb', e -> 'ca', 'mb', e -> 'ma', 'ca', e -> 'cb', 'ma', e -> 'mb') ELSE '{}' END || jsonb_build_object('qa', e -> 'qb', 'qb', e -> 'qa', 'ta', e -> 'tb', 'tb', e -> 'ta', 'ca', e -> 'cb', 'cb', e -> 'ca') FROM edge WHERE NOT coalesce((e ->> 'part')::boolean, false)) x);
END
$$;

-- tally.class_edges: steps between columns that are equal because both equal a third, by the same collation.
CREATE OR REPLACE FUNCTION tally.class_edges(edges jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        WITH RECURSIVE link AS MATERIALIZED (
            SELECT DISTINCT (x ->> 'a')::integer AS a, x -> 'e' ->> 'qa' AS qa, x -> 'e' -> 'ta' AS ta, x -> 'e' -> 'ca' AS ca, (x ->> 'b')::integer AS b, x -> 'e' ->> 'qb' AS qb, x -> 'e' -> 'tb' AS tb, x -> 'e' -> 'cb' AS cb,
                   x -> 'e' ->> 'op' AS op, x -> 'e' -> 'l' AS l, x -> 'v' AS v, x -> 'm' AS m, x -> 'g' AS g
            FROM jsonb_array_elements(edges) x WHERE x -> 'e' ? 'op'
        ), reach AS (
            SELECT a, qa, ta, ca, b, qb, tb, cb, v -> a::text AS va, v -> b::text AS vb, m, g, op, l, 1 AS n, ta = tb AS same FROM link
            UNION ALL
            SELECT r.a, r.qa, r.ta, r.ca, l.b, l.qb, l.tb, l.cb, r.va, l.v -> l.b::text, r.m || l.m, r.g || l.g, r.op, r.l, r.n + 1, r.same AND l.ta = l.tb
            FROM reach r JOIN link l ON l.a = r.b AND l.qa = r.qb AND l.b <> r.a AND l.l IS NOT DISTINCT FROM r.l
            WHERE r.n < 4 AND l.op = r.op AND (r.m = '{}' OR l.m = '{}' OR tally.agree(r.m, l.m))
        )
        SELECT coalesce(jsonb_agg(jsonb_build_object('a', a, 'b', b, 'q', concat(g ->> a::text || ' AND ', g ->> b::text || ' AND ', format('(%s %s %s)', qa, replace(op, '%%', '%'), qb)), 'm', m, 'g', g, 'v', jsonb_build_object(a::text, va, b::text, vb),
                   'e', jsonb_build_object('op', op, 'qa', qa, 'ta', ta, 'ca', ca, 'qb', qb, 'tb', tb, 'cb', cb)) ORDER BY n, a, b, qa, qb), '[]')
        FROM (SELECT DISTINCT ON (a, b, qa, qb, m) * FROM reach WHERE n > 1 AND same AND a <> b ORDER BY a, b, qa, qb, m, n) x
        WHERE (SELECT count(*) FROM link) < 400);
END
$$;

-- tally.way_goals: where a target's value can be read: in its own column, or in one that equals it and has its type.
DROP FUNCTION IF EXISTS tally.way_goals(jsonb, jsonb, integer[], jsonb);  -- it knew no filters
CREATE OR REPLACE FUNCTION tally.way_goals(st jsonb, edges jsonb, start integer, jumps integer[], fixed jsonb, target jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        WITH own AS (
            SELECT i * 8 + tally.copy_of(st, i, cardinality(jumps), jumps) AS node, i, tally.merged_columns(target -> 'v', coalesce(g -> 'v', '{}')) -> i::text AS cols, g ->> 'q' AS g
            FROM (SELECT k::integer FROM jsonb_object_keys(target -> 'v') k) x(i)
            CROSS JOIN LATERAL (SELECT CASE WHEN coalesce((target ->> 'x')::boolean, false)
                THEN tally.own_conditions(st, tally.usable_scopes(st, coalesce(jumps[cardinality(jumps)], (st -> 'instances' -> start ->> 'scope')::integer), NULL, fixed), i, fixed || (target -> 'm')) END) y(g))
        SELECT jsonb_agg(g ORDER BY g -> 'n') FROM (
            SELECT jsonb_build_object('n', 0, 'node', own.node, 'q', tally.at_node(target ->> 'q', own.i, own.node), 'v', jsonb_build_object(own.node::text, own.cols), 'g', tally.at_node(own.g, own.i, own.node), 'col', target -> 'col' -> 1,
                'f', (SELECT coalesce(jsonb_object_agg(f.key, tally.at_node(f.value ->> 'sql', own.i, own.node)), '{}') FROM jsonb_each(target -> 'f') f)) AS g
            FROM own
            UNION
            SELECT jsonb_build_object('n', 1, 'node', x -> 'b', 'q', x -> 'e' -> 'qb', 'v', jsonb_build_object(x ->> 'b', x -> 'v' -> (x ->> 'b')), 'g', x -> 'g' -> (x ->> 'b'), 'col', x -> 'e' -> 'cb', 'f', '{}'::jsonb, 'equal', true, 'm', x -> 'm')
            FROM own, jsonb_array_elements(edges) x
            WHERE target -> 'f' = '{}' AND (x ->> 'a')::integer = own.node AND x -> 'e' ->> 'qa' = tally.at_node(target ->> 'q', own.i, own.node)
              AND x -> 'e' -> 'ta' = target -> 't' AND x -> 'e' -> 'tb' = target -> 't') y);
END
$$;

-- tally.own_conditions: the conditions on one instance that hold wherever its rows matter: q, v; NULL: there is none.
CREATE OR REPLACE FUNCTION tally.own_conditions(st jsonb, scopes integer[], instance integer, made jsonb)
RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    WITH usable AS (
        SELECT f, n FROM jsonb_array_elements(st -> 'filters') WITH ORDINALITY u(f, n)
        WHERE (f ->> 'i')::integer = instance AND (f ->> 'scope')::integer = ANY (scopes) AND f -> 'm' <@ made
    )
    SELECT jsonb_build_object('q', (SELECT string_agg(f ->> 'q', ' AND ' ORDER BY n) FROM usable),
        'v', jsonb_build_object(instance::text, (SELECT jsonb_agg(DISTINCT c) FROM usable, jsonb_array_elements(f -> 'v' -> instance::text) c))) WHERE EXISTS (SELECT FROM usable)
$$;

-- tally.common_edges: the steps from the instances of a scope. All instances of a scope share them, so they are computed once, by scope.
CREATE OR REPLACE FUNCTION tally.common_edges(st jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_object_agg(e.scope, e.edges || tally.class_edges(e.edges)), '{}') FROM (
            SELECT i ->> 'scope' AS scope, tally.way_edges(st, min((i ->> 'id')::integer), '{}', (jsonb_agg(i -> 'm')) -> 0) AS edges
            FROM jsonb_array_elements(st -> 'instances') i WHERE i ->> 'lost' IS NULL GROUP BY i ->> 'scope' HAVING count(*) > 1 OFFSET 0) e);
END
$$;

-- tally.search_way: the shortest path from any of these nodes to any goal. Of equally short paths it prefers equalities.
CREATE OR REPLACE FUNCTION tally.search_way(edges jsonb, tree integer[], goals jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    paths jsonb := (SELECT jsonb_object_agg(t, '[]'::jsonb) FROM unnest(tree) t);   -- for each node, the edges that led to it
    here  integer[] := tree;
    fresh jsonb;
    goal  jsonb;
BEGIN
    LOOP
        SELECT g INTO goal FROM unnest(here) WITH ORDINALITY h(node, i) JOIN LATERAL jsonb_array_elements(goals) g ON (g ->> 'node')::integer = h.node
        ORDER BY h.i, (g ->> 'n')::integer LIMIT 1;
        IF FOUND THEN
            RETURN jsonb_build_object('goal', goal, 'edges', paths -> (goal ->> 'node'));
        END IF;
        SELECT jsonb_object_agg(b, paths -> (x ->> 'a') || jsonb_build_array(x) ORDER BY n), array_agg(b::integer ORDER BY n) INTO fresh, here FROM (
            SELECT DISTINCT ON (x ->> 'b') x ->> 'b' AS b, x, n FROM jsonb_array_elements(edges) WITH ORDINALITY u(x, n)
            WHERE (x ->> 'a')::integer = ANY (here) AND NOT paths ? (x ->> 'b') ORDER BY x ->> 'b', n) y;
        IF fresh IS NULL THEN
            RETURN NULL;
        END IF;
        paths := paths || fresh;
    END LOOP;
END
$$;
