-- What a definition reads, and how its parts are connected: the tree of a view as scopes, instances and conditions.
-- The *shape* of a definition, as jsonb:
--   scopes      query levels, nullable sides of outer joins, sublinks, arms of set operations. kind: query, nullable, sublink, single
--               (an aggregate without GROUP BY, which always has one row); up: itself and the scopes around it, the innermost
--               first; m: the arms of set operations that it is in; barrier: for a level whose rows depend on each other not only
--               by joins (a window, DISTINCT ON, LIMIT), the values by which the rows are partitioned
--   instances   references of tables: relation, scope, lost (the reason why no way leads from it)
--   conditions  that joined rows fulfil: scope, q (SQL over two instances, i and j), v, m, e (for an equality: both sides)
--   filters     conditions on one table: scope, i, q, v, m
--   passing     the arms of each set operation whose rows are in its result (not the right arms of EXCEPT)
--   forced      sides of outer joins that have a row wherever a condition outside of them holds: scope, by (the condition's scope), m
--   notes       why something could not be used, for the reason that explain gives: scope, text

-- tally.read_definition: the shape of a view.
--   Called by tally.derive
CREATE OR REPLACE FUNCTION tally.read_definition(definition regclass)
RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET jit = off AS $$
DECLARE
    st   jsonb := '{"scopes": [], "instances": [], "conditions": [], "filters": [], "passing": {}, "notes": [], "next": 0}';
    cols jsonb;
BEGIN
    SELECT * INTO st, cols FROM tally.open_scope(st, NULL, 'query', '{}');
    SELECT * INTO st, cols FROM tally.read_query(st, tally.view_tree(definition), '[]', 0);
    RETURN st || jsonb_build_object('forced', tally.forced_sides(st)) || jsonb_build_object('columns', (
        SELECT jsonb_object_agg(a.attname, coalesce(cols -> a.attnum::text, '[]')) FROM pg_attribute a WHERE a.attrelid = definition AND a.attnum > 0 AND NOT a.attisdropped));
END
$$;

-- tally.forced_sides: the sides of outer joins that a condition outside of them compares. The condition can hold only if they have a row. That of a
-- full join need not hold, even if one side has a row.
CREATE OR REPLACE FUNCTION tally.forced_sides(st jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object('scope', u, 'by', c -> 'scope', 'm', c -> 'm')), '[]')
        FROM jsonb_array_elements(st -> 'conditions') c, jsonb_array_elements(c -> 's') i, jsonb_array_elements(st -> 'scopes' -> (st -> 'instances' -> CASE jsonb_typeof(i) WHEN 'number' THEN i::integer END ->> 'scope')::integer -> 'up') u
        WHERE st -> 'scopes' -> u::integer ->> 'kind' = 'nullable' AND NOT st -> 'scopes' -> (c ->> 'scope')::integer -> 'up' @> u AND NOT (c ->> 'full')::boolean);
END
$$;

-- tally.open_scope: a scope within another.
CREATE OR REPLACE FUNCTION tally.open_scope(INOUT st jsonb, parent integer, kind text, arm jsonb, OUT scope jsonb)
LANGUAGE plpgsql AS $$
DECLARE
    around jsonb := CASE WHEN parent IS NULL THEN '{"up": [], "m": {}}' ELSE st -> 'scopes' -> parent END;
BEGIN
    scope := to_jsonb(jsonb_array_length(st -> 'scopes'));
    st := jsonb_insert(st, '{scopes,-1}', jsonb_build_object('kind', kind, 'up', jsonb_build_array(scope) || (around -> 'up'), 'm', around -> 'm' || arm), true);
END
$$;

-- tally.next_number: an unused number.
CREATE OR REPLACE FUNCTION tally.next_number(INOUT st jsonb, OUT n integer)
LANGUAGE plpgsql AS $$
BEGIN
    n := (st ->> 'next')::integer;
    st := jsonb_set(st, '{next}', to_jsonb(n + 1));
END
$$;

-- tally.read_query: read a query level and everything below it.
--   Parameters env: the levels around it, which its columns may refer to; scope: the scope of its rows
--   Returns    cols: the values of its output columns, by number
CREATE OR REPLACE FUNCTION tally.read_query(INOUT st jsonb, query jsonb, env jsonb, scope integer, OUT cols jsonb)
LANGUAGE plpgsql AS $$
DECLARE
    n      integer;
    target record;
    rte    record;
    level  jsonb := '{"rt": {}}';
    groups jsonb;
    after  jsonb;
BEGIN
    SELECT * INTO st, n FROM tally.next_number(st);
    level := level || jsonb_build_object('id', n, 'rtable', query -> 'rtable' -> 0, 'ctes', (
        SELECT coalesce(jsonb_object_agg(c.item -> 'ctename' ->> 0, c.item), '{}') FROM tally.node_items(query, 'cteList') c));
    IF tally.node(query, 'setOperations') IS NOT NULL THEN
        SELECT * INTO st, cols FROM tally.read_set_operation(st, query, jsonb_build_array(level) || env, scope);
        RETURN;
    END IF;
    FOR rte IN SELECT r.item, r.i FROM tally.node_items(query, 'rtable') r WHERE r.item -> 'rtekind' ->> 0 IN ('2', '9') LOOP
        level := jsonb_set(level, ARRAY['rt', rte.i::text], jsonb_build_object('j', rte.item -> CASE rte.item -> 'rtekind' ->> 0 WHEN '2' THEN 'joinaliasvars' ELSE 'groupexprs' END -> 0));
    END LOOP;
    env := jsonb_build_array(level) || env;
    SELECT * INTO st, env FROM tally.read_from(st, env, tally.node(query, 'jointree'), scope);
    st := tally.read_elsewhere(st, query, env, scope);
    cols := '{}';
    groups := tally.group_values(st, env, query);
    -- With ROLLUP or other grouping sets, what is grouped may be NULL where a subquery is evaluated, whatever its table holds.
    after := CASE WHEN tally.node(query, 'groupingSets') IS NULL THEN env ELSE jsonb_set(env, '{0,rt}', '{}') END;
    FOR target IN SELECT t.item, t.item -> 'resno' ->> 0 AS resno FROM tally.node_items(query, 'targetList') t LOOP
        st := tally.read_sublinks(st, after, tally.node(target.item, 'expr'), scope, false);
        cols := cols || jsonb_build_object(target.resno, tally.grouped(query, groups, target.item, n, tally.resolve(env, tally.node(target.item, 'expr')), tally.loose_collation(tally.collation_of(tally.node(target.item, 'expr')))));
    END LOOP;
    st := tally.read_sublinks(st, after, tally.node(query, 'havingQual'), scope, true);
    st := tally.read_barrier(st, query, cols, scope);
END
$$;

-- tally.read_elsewhere: the subqueries of a level that stand neither in FROM, WHERE and HAVING nor in its output: what PostgreSQL 18 groups
-- by, the bounds of windows, LIMIT and OFFSET.
CREATE OR REPLACE FUNCTION tally.read_elsewhere(st jsonb, query jsonb, env jsonb, scope integer)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT r.item -> 'groupexprs' AS n FROM tally.node_items(query, 'rtable') r WHERE r.item -> 'rtekind' ->> 0 = '9'
                UNION ALL SELECT query -> f FROM unnest('{windowClause,limitCount,limitOffset}'::text[]) f LOOP
        st := tally.read_sublinks(st, env, part.n, scope, false);
    END LOOP;
    RETURN st;
END
$$;

-- tally.grouped: the values of an output column, if rows are grouped by it. Then the value stands for all equal ones, and with ROLLUP or
-- other grouping sets it may be NULL.
--   Parameters groups: of tally.group_values; target: the column; level: the number of the query
DROP FUNCTION IF EXISTS tally.grouped(jsonb, text, integer, jsonb);          -- it knew no collations
DROP FUNCTION IF EXISTS tally.grouped(jsonb, text, integer, jsonb, bigint);  -- nor what is computed from a group's value
CREATE OR REPLACE FUNCTION tally.grouped(query jsonb, groups jsonb, target jsonb, level integer, vals jsonb, loose bigint)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    ref     text := target -> 'ressortgroupref' ->> 0;
    grouped boolean := groups -> 'refs' ? ref;
BEGIN
    IF tally.node(query, 'groupClause') IS NULL AND tally.node(query, 'distinctClause') IS NULL THEN
        RETURN vals;
    END IF;
    IF NOT grouped AND groups -> 'images' <> '[]' AND NOT tally.keeps_equality(tally.node(target, 'expr')) THEN
        SELECT coalesce(jsonb_agg(v), '[]') INTO vals FROM jsonb_array_elements(vals) v WHERE NOT EXISTS (
            SELECT FROM jsonb_array_elements(groups -> 'images') g
            WHERE v ->> 'q' <> g ->> 'q' AND CASE WHEN g -> 'col' <> 'null' THEN v -> 'v' -> (g -> 'col' ->> 0) @> (g -> 'col' -> 1) ELSE strpos(v ->> 'q', g ->> 'q') > 0 END);
    END IF;
    SELECT coalesce(jsonb_agg(CASE WHEN tally.equal_is_same((v ->> 't')::oid) THEN v ELSE v || '{"r": true}' || tally.loosely(loose) END), '[]') INTO vals FROM jsonb_array_elements(vals) v;
    IF tally.node(query, 'groupingSets') IS NOT NULL AND grouped THEN
        SELECT coalesce(jsonb_agg(v || jsonb_build_object('m', v -> 'm' || jsonb_build_object(format('g%s_%s', level, ref), 0)) ORDER BY 1), '[]')
            || jsonb_build_array(jsonb_build_object('q', 'NULL', 'v', '{}'::jsonb, 'm', jsonb_build_object(format('g%s_%s', level, ref), 1), 's', '[]'::jsonb, 'f', '{}'::jsonb,
                                                    't', vals -> 0 -> 't'))
        INTO vals FROM jsonb_array_elements(vals) v;
    ELSIF tally.node(query, 'groupingSets') IS NOT NULL THEN  -- of grouped columns, which are NULL in some of the sets
        SELECT coalesce(jsonb_agg(v), '[]') INTO vals FROM jsonb_array_elements(vals) v WHERE v -> 'v' = '{}' AND v -> 'f' = '{}';
    END IF;
    RETURN vals;
END
$$;

-- tally.group_values: what a query groups by.
--   Returns    refs: of the columns; images: the values of those whose equal values may differ (1.0 and 1.00). An expression over such a value is that of
--              one row of the group, whichever comes first, and a changed row does not tell it; unless the group has only one row of the table
CREATE OR REPLACE FUNCTION tally.group_values(st jsonb, env jsonb, query jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    refs jsonb := (SELECT coalesce(jsonb_agg(g.item -> 'tleSortGroupRef' ->> 0), '[]') FROM tally.node_items(query, 'groupClause') g);
    vals jsonb;
BEGIN
    SELECT coalesce(jsonb_agg(v || jsonb_build_object('same', tally.has_one_image(st, v, tally.loose_collation(tally.collation_of(tally.node(t.item, 'expr')))))), '[]') INTO vals
    FROM tally.node_items(query, 'targetList') t CROSS JOIN LATERAL jsonb_array_elements(tally.resolve(env, tally.node(t.item, 'expr'))) v
    WHERE refs ? (t.item -> 'ressortgroupref' ->> 0) AND v -> 'v' <> '{}';
    RETURN jsonb_build_object('refs', refs, 'images', (
        SELECT coalesce(jsonb_agg(v), '[]') FROM jsonb_array_elements(vals) v
        WHERE NOT (v ->> 'same')::boolean AND NOT EXISTS (
            SELECT FROM jsonb_array_elements(st -> 'instances') i JOIN pg_index x ON x.indrelid = (i ->> 'relation')::oid AND x.indisprimary
            WHERE v -> 'v' = jsonb_build_object(i ->> 'id', v -> 'v' -> (i ->> 'id'))
              AND NOT EXISTS (SELECT FROM unnest(x.indkey::smallint[]) k WHERE NOT vals @> jsonb_build_array(jsonb_build_object('same', true, 'col', jsonb_build_array(i -> 'id', k)))))));
END
$$;

-- tally.keeps_equality: whether an expression is equal for equal values, although they may differ: arithmetic on numbers, lower(citext).
CREATE OR REPLACE FUNCTION tally.keeps_equality(n jsonb)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT NOT EXISTS (
        SELECT FROM jsonb_path_query(n, 'strict $.** ? (exists (@._))') x(x)
        LEFT JOIN pg_proc p ON p.oid::text = coalesce(x -> 'funcid', x -> 'opfuncid') ->> 0 AND p.pronamespace = 'pg_catalog'::regnamespace
        WHERE CASE x ->> '_'
            WHEN 'VAR' THEN false WHEN 'CONST' THEN false WHEN 'COALESCEEXPR' THEN false
            WHEN 'OPEXPR' THEN p.oid IS NULL OR (x -> 'opresulttype' ->> 0)::oid <> ALL ('{int2,int4,int8,numeric,float4,float8,bool}'::regtype[])
            WHEN 'FUNCEXPR' THEN p.oid IS NULL OR p.proname NOT IN ('abs', 'round', 'trunc', 'ceil', 'ceiling', 'floor', 'sign', 'mod', 'int2', 'int4', 'int8', 'numeric', 'float4', 'float8')
                AND NOT (p.proname = 'lower' AND NOT x ? 'inputcollid' AND x -> 'args' -> 0 -> 0 ->> '_' = 'RELABELTYPE')
            WHEN 'RELABELTYPE' THEN tally.base_type(tally.node_type(tally.node(x, 'arg'))) <> (x -> 'resulttype' ->> 0)::oid AND NOT EXISTS (
                SELECT FROM jsonb_path_query(n, 'strict $.** ? (@._ == "FUNCEXPR")') f JOIN pg_proc l ON l.oid::text = f -> 'funcid' ->> 0 AND l.proname = 'lower' WHERE f -> 'args' -> 0 -> 0 = x)
            ELSE true END)
$$;

-- tally.collation_of: the collation of an expression. An inner node's is not looked for.
CREATE OR REPLACE FUNCTION tally.collation_of(n jsonb)
RETURNS oid LANGUAGE sql IMMUTABLE AS $$
    SELECT (coalesce(n -> 'varcollid', n -> 'collOid', n -> 'funccollid', n -> 'opcollid', n -> 'resultcollid', n -> 'coalescecollid', n -> 'minmaxcollid', n -> 'casecollid', n -> 'constcollid') ->> 0)::oid
$$;

-- tally.loose_collation: a collation if it is nondeterministic: other strings may be equal by it.
CREATE OR REPLACE FUNCTION tally.loose_collation(coll oid)
RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT c.oid::bigint FROM pg_collation c WHERE c.oid = coll AND NOT c.collisdeterministic $$;

-- tally.loosely: what to add to a value that stands for those that are equal by a collation.
CREATE OR REPLACE FUNCTION tally.loosely(coll bigint)
RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN coll IS NULL THEN '{}' ELSE jsonb_build_object('l', coll) END $$;

-- tally.equal_is_same: whether equal values of a type are identical, so that the value of a group is the value in each of its rows.
CREATE OR REPLACE FUNCTION tally.equal_is_same(type oid)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT t.typtype = 'e' OR t.oid IN ('bool'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'oid'::regtype, 'date'::regtype, 'timestamp'::regtype,
                                            'timestamptz'::regtype, 'time'::regtype, 'uuid'::regtype, 'bytea'::regtype)
        FROM pg_type t WHERE t.oid = type);
END
$$;

-- tally.has_one_image: whether values that equal this one are the same bytes, so that every function of them is equal, too.
CREATE OR REPLACE FUNCTION tally.has_one_image(st jsonb, v jsonb, loose bigint)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT loose IS NULL AND (tally.equal_is_same(e.oid)
        OR e.oid IN ('text'::regtype, 'varchar'::regtype, 'name'::regtype, '"char"'::regtype, 'inet'::regtype, 'cidr'::regtype, 'macaddr'::regtype, 'bit'::regtype, 'varbit'::regtype,
                     'int4range'::regtype, 'int8range'::regtype, 'daterange'::regtype, 'tsrange'::regtype, 'tstzrange'::regtype)
        OR e.oid = 'bpchar'::regtype AND (SELECT a.atttypmod > 0 FROM pg_attribute a WHERE a.attrelid = (st -> 'instances' -> (v -> 'col' ->> 0)::integer ->> 'relation')::oid AND a.attnum = (v -> 'col' ->> 1)::integer) IS TRUE)
    FROM pg_type t JOIN pg_type e ON e.oid = CASE WHEN t.typsubscript = 'array_subscript_handler'::regproc THEN tally.base_type(t.typelem) ELSE t.oid END
    WHERE t.oid = tally.base_type((v ->> 't')::oid)
$$;

-- tally.read_set_operation: read a UNION, INTERSECT or EXCEPT: each arm gets its own scope.
CREATE OR REPLACE FUNCTION tally.read_set_operation(INOUT st jsonb, query jsonb, env jsonb, scope integer, OUT cols jsonb)
LANGUAGE plpgsql AS $$
DECLARE
    choice text;
    n      integer;
    arm    record;
    below  jsonb;
    inner_ jsonb;
    types  jsonb := tally.node(query, 'setOperations') -> 'colTypes' -> 0;
    colls  jsonb := tally.node(query, 'setOperations') -> 'colCollations' -> 0;
    passing jsonb := '[]';
BEGIN
    SELECT * INTO st, n FROM tally.next_number(st);
    choice := 'u' || n;
    cols := '{}';
    FOR arm IN SELECT a.rtindex, a.passes_ AS passes, row_number() OVER () - 1 AS i FROM tally.set_arms(tally.node(query, 'setOperations'), true) a LOOP
        IF arm.passes THEN
            passing := passing || to_jsonb(arm.i);
        END IF;
        below := tally.node(query -> 'rtable' -> 0 -> arm.rtindex - 1, 'subquery');
        SELECT * INTO st, inner_ FROM tally.open_scope(st, scope, tally.scope_kind(below), jsonb_build_object(choice, arm.i));
        SELECT * INTO st, inner_ FROM tally.read_query(st, below, env, inner_::integer);
        SELECT coalesce(jsonb_object_agg(key, coalesce(cols -> key, '[]') || tally.of_arm(value, choice, arm.i::integer, (types ->> key::integer)::oid, tally.collation_of((
                SELECT tally.node(t.item, 'expr') FROM tally.node_items(below, 'targetList') t WHERE t.item -> 'resno' ->> 0 = key)), (colls ->> key::integer)::oid)), '{}') INTO cols
        FROM jsonb_each(inner_) WHERE key::integer < jsonb_array_length(types);
    END LOOP;
    st := jsonb_set(st, ARRAY['passing', choice], passing);
    st := tally.read_elsewhere(st, query, env, scope);
    st := tally.read_barrier(st, query, cols, scope);
END
$$;

-- tally.of_arm: the values of a column of an arm, as the set operation returns them: in its type, and valid if this arm is chosen.
--   Parameters own, coll: the collation of the arm's column and that of the result
DROP FUNCTION IF EXISTS tally.of_arm(jsonb, text, integer, oid);  -- it knew no collations
DROP FUNCTION IF EXISTS tally.of_arm(jsonb, text, integer, oid, bigint);  -- only nondeterministic ones
CREATE OR REPLACE FUNCTION tally.of_arm(vals jsonb, choice text, arm integer, type oid, own oid, coll oid)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_agg(v || jsonb_build_object('m', v -> 'm' || jsonb_build_object(choice, arm))
                || CASE WHEN tally.equal_is_same(type) THEN '{}'::jsonb ELSE '{"r": true}' || tally.loosely(tally.loose_collation(coll)) END
                || CASE WHEN (v ->> 't')::oid = type THEN '{}' ELSE jsonb_build_object('t', type::bigint, 'q', format('(%s)::%s', v ->> 'q', tally.type_name(type)), 'col', NULL) END), '[]')
        FROM (SELECT tally.collated(a, own, coll) FROM jsonb_array_elements(vals) a) x(v));
END
$$;

-- tally.set_arms: the queries of a set operation, and whether their rows are in the result (the right arms of EXCEPT are not).
CREATE OR REPLACE FUNCTION tally.set_arms(n jsonb, passes boolean)
RETURNS TABLE (rtindex integer, passes_ boolean) LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF n ->> '_' = 'RANGETBLREF' THEN
        RETURN QUERY SELECT (n -> 'rtindex' ->> 0)::integer, passes;
    ELSE
        RETURN QUERY SELECT * FROM tally.set_arms(tally.node(n, 'larg'), passes);
        RETURN QUERY SELECT * FROM tally.set_arms(tally.node(n, 'rarg'), passes AND n -> 'op' ->> 0 <> '3');
    END IF;
END
$$;

-- tally.scope_kind: the kind of a subquery's scope. An aggregate or HAVING without GROUP BY returns a row even if there is none below.
CREATE OR REPLACE FUNCTION tally.scope_kind(query jsonb)
RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT CASE WHEN (query -> 'hasAggs' ->> 0 = 'true' OR tally.node(query, 'havingQual') IS NOT NULL) AND (tally.node(query, 'groupClause') IS NULL OR tally.node(query, 'groupingSets') IS NOT NULL)
                      OR tally.node(query, 'groupingSets') IS NOT NULL THEN 'single' ELSE 'query' END);
END
$$;

-- tally.read_barrier: for a level whose rows depend on each other, store the values by which they are partitioned.
CREATE OR REPLACE FUNCTION tally.read_barrier(st jsonb, query jsonb, cols jsonb, scope integer)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    parts text[];   -- for each window, and for DISTINCT ON: the numbers of its columns
    kind  text := CASE WHEN query -> 'hasWindowFuncs' ->> 0 = 'true' THEN 'a window' WHEN query -> 'hasDistinctOn' ->> 0 = 'true' THEN 'DISTINCT ON' END;
    refs  jsonb := (SELECT coalesce(jsonb_object_agg(t.item -> 'ressortgroupref' ->> 0, t.item -> 'resno' ->> 0), '{}') FROM tally.node_items(query, 'targetList') t
                    WHERE t.item -> 'ressortgroupref' ->> 0 <> '0');
    vals  jsonb;
BEGIN
    IF tally.node(query, 'limitCount') IS NOT NULL OR tally.node(query, 'limitOffset') IS NOT NULL THEN
        RETURN jsonb_set(st, ARRAY['scopes', scope::text], st -> 'scopes' -> scope || '{"barrier": [], "by": "LIMIT"}');
    ELSIF kind IS NULL THEN
        RETURN st;
    END IF;
    SELECT array_agg(c.ref) INTO parts FROM (
        SELECT p.ref FROM (
            SELECT w.i, s.item -> 'tleSortGroupRef' ->> 0 AS ref FROM tally.node_items(query, 'windowClause') w, tally.node_items(w.item, 'partitionClause') s
            WHERE query -> 'hasWindowFuncs' ->> 0 = 'true'
            UNION ALL
            SELECT 0, s.item -> 'tleSortGroupRef' ->> 0 FROM tally.node_items(query, 'distinctClause') s WHERE query -> 'hasDistinctOn' ->> 0 = 'true') p
        GROUP BY p.ref
        HAVING count(DISTINCT p.i) = (SELECT count(*) FROM tally.node_items(query, 'windowClause') WHERE query -> 'hasWindowFuncs' ->> 0 = 'true')
                                   + (query -> 'hasDistinctOn' ->> 0 = 'true')::integer) c;
    SELECT coalesce(jsonb_agg(cols -> (refs ->> r) -> 0 || jsonb_build_object('column', refs ->> r)), '[]') INTO vals FROM unnest(parts) r
    WHERE jsonb_array_length(cols -> (refs ->> r)) = 1;
    RETURN jsonb_set(st, ARRAY['scopes', scope::text], st -> 'scopes' -> scope || jsonb_build_object('barrier', vals, 'by', kind));
END
$$;

-- tally.read_from: read a FROM list, a join or a member of one, with the conditions of its WHERE or ON.
CREATE OR REPLACE FUNCTION tally.read_from(INOUT st jsonb, INOUT env jsonb, n jsonb, scope integer)
LANGUAGE plpgsql AS $$
DECLARE
    member record;
    lefts  jsonb := to_jsonb(scope);
    rights jsonb := to_jsonb(scope);
    type   text := n -> 'jointype' ->> 0;
BEGIN
    IF n ->> '_' = 'RANGETBLREF' THEN
        SELECT * INTO st, env FROM tally.read_member(st, env, n -> 'rtindex' ->> 0, scope);
    ELSIF n ->> '_' = 'FROMEXPR' THEN
        FOR member IN SELECT f.item FROM tally.node_items(n, 'fromlist') f ORDER BY f.i LOOP
            SELECT * INTO st, env FROM tally.read_from(st, env, member.item, scope);
        END LOOP;
        st := tally.read_condition(st, env, tally.node(n, 'quals'), ARRAY[scope], true);
    ELSIF n ->> '_' = 'JOINEXPR' THEN
        IF type IN ('2', '3') THEN
            SELECT * INTO st, lefts FROM tally.open_scope(st, scope, 'nullable', '{}');
        END IF;
        IF type IN ('1', '2') THEN
            SELECT * INTO st, rights FROM tally.open_scope(st, scope, 'nullable', '{}');
        END IF;
        SELECT * INTO st, env FROM tally.read_from(st, env, tally.node(n, 'larg'), lefts::integer);
        SELECT * INTO st, env FROM tally.read_from(st, env, tally.node(n, 'rarg'), rights::integer);
        st := tally.read_condition(st, env, tally.node(n, 'quals'), CASE type
            WHEN '0' THEN ARRAY[scope] WHEN '1' THEN ARRAY[rights::integer] WHEN '3' THEN ARRAY[lefts::integer] ELSE ARRAY[lefts::integer, rights::integer] END, true);
    END IF;
END
$$;

-- tally.read_member: read a member of FROM: a table, a view, a subquery, a CTE, a function.
CREATE OR REPLACE FUNCTION tally.read_member(INOUT st jsonb, INOUT env jsonb, idx text, scope integer)
LANGUAGE plpgsql AS $$
DECLARE
    rte   jsonb := env -> 0 -> 'rtable' -> idx::integer - 1;
    rel   oid := CASE rte -> 'rtekind' ->> 0 WHEN '0' THEN (rte -> 'relid' ->> 0)::oid END;
    below jsonb := CASE WHEN rte -> 'rtekind' ->> 0 = '1' THEN tally.node(rte, 'subquery') END;
    outer_ jsonb := env;
    up    integer;
    entry jsonb := '{}';
    inner_ jsonb;
BEGIN
    IF rel IS NOT NULL AND (SELECT c.relkind FROM pg_class c WHERE c.oid = rel) = 'v' THEN
        below := tally.view_tree(rel);
        outer_ := '[]';
    ELSIF rel IS NOT NULL THEN
        SELECT * INTO st, entry FROM tally.add_instance(st, rel, scope, NULL);
    ELSIF rte -> 'rtekind' ->> 0 = '6' THEN
        up := (rte -> 'ctelevelsup' ->> 0)::integer;
        inner_ := env -> up -> 'ctes' -> (rte -> 'ctename' ->> 0);
        IF inner_ IS NULL OR inner_ -> 'cterecursive' ->> 0 = 'true' THEN
            st := tally.read_recursion(st, env, inner_, scope);
        ELSE
            below := tally.node(inner_, 'ctequery');
            outer_ := tally.levels_up(env, up);
        END IF;
    ELSIF rte -> 'rtekind' ->> 0 = '3' THEN
        SELECT * INTO st, entry FROM tally.read_function(st, env, rte, scope);
        st := tally.read_sublinks(st, env, rte -> 'functions', scope, false);
    ELSIF rte -> 'rtekind' ->> 0 IN ('4', '5') THEN
        st := tally.read_sublinks(st, env, rte -> CASE rte -> 'rtekind' ->> 0 WHEN '4' THEN 'tablefunc' ELSE 'values_lists' END, scope, false);
    END IF;
    st := tally.read_sublinks(st, env, rte -> 'tablesample', scope, false);
    IF below IS NOT NULL THEN
        SELECT * INTO st, inner_ FROM tally.open_scope(st, scope, tally.scope_kind(below), '{}');
        SELECT * INTO st, inner_ FROM tally.read_query(st, below, outer_, inner_::integer);
        entry := jsonb_build_object('cols', tally.or_null(st, inner_, scope));
    END IF;
    env := jsonb_set(env, ARRAY['0', 'rt', idx], entry);
END
$$;

-- tally.scopes_of: the scopes of the tables and functions that a value is read from.
CREATE OR REPLACE FUNCTION tally.scopes_of(st jsonb, v jsonb)
RETURNS SETOF integer LANGUAGE sql IMMUTABLE AS $$
    SELECT (st -> 'instances' -> i::integer ->> 'scope')::integer FROM jsonb_object_keys(v -> 'v') i
    UNION
    SELECT (f.value ->> 'scope')::integer FROM jsonb_each(v -> 'f') f
$$;

-- tally.is_null_without: whether a value is NULL if a nullable side has no row: its columns from there make it NULL.
CREATE OR REPLACE FUNCTION tally.is_null_without(st jsonb, v jsonb, side integer)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT NOT coalesce((v ->> 'b')::boolean, false) AND EXISTS (
        SELECT FROM jsonb_array_elements(v -> 's') i
        CROSS JOIN LATERAL (SELECT CASE jsonb_typeof(i) WHEN 'number' THEN st -> 'instances' -> i::integer ->> 'scope' ELSE v -> 'f' -> (i #>> '{}') ->> 'scope' END) s(scope)
        WHERE st -> 'scopes' -> s.scope::integer -> 'up' @> to_jsonb(side))
$$;

-- tally.or_null: the columns of a subquery. If it is on the nullable side of an outer join, they may also be NULL: a constant, a value from outside of it,
-- COALESCE. Of columns that are NULL whenever the tables they come from have no row, that is known by the tables.
CREATE OR REPLACE FUNCTION tally.or_null(st jsonb, cols jsonb, scope integer)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    sides text[] := ARRAY(SELECT u #>> '{}' FROM jsonb_array_elements(st -> 'scopes' -> scope -> 'up') u WHERE st -> 'scopes' -> (u #>> '{}')::integer ->> 'kind' = 'nullable');
BEGIN
    IF sides = '{}' OR jsonb_typeof(cols) IS DISTINCT FROM 'object' THEN
        RETURN cols;
    END IF;
    RETURN (
        SELECT coalesce(jsonb_object_agg(c.key, (
            SELECT coalesce(jsonb_agg(w.v ORDER BY a.n, w.i), '[]') FROM jsonb_array_elements(c.value) WITH ORDINALITY a(v, n)
            CROSS JOIN LATERAL (SELECT ARRAY(SELECT x FROM unnest(sides) x WHERE a.v ->> 'q' NOT LIKE 'NULL%' AND NOT a.v -> 'm' ? ('n' || x) AND NOT tally.is_null_without(st, a.v, x::integer)) AS asked) k
            CROSS JOIN LATERAL (
                SELECT 0 AS i, a.v || jsonb_build_object('m', a.v -> 'm' || (SELECT coalesce(jsonb_object_agg('n' || x, 0), '{}') FROM unnest(k.asked) x)) AS v
                UNION ALL
                SELECT u.i, jsonb_build_object('q', 'NULL::' || tally.type_name((a.v ->> 't')::oid), 'v', '{}'::jsonb, 't', a.v -> 't', 'f', '{}'::jsonb, 'm', a.v -> 'm' || jsonb_build_object('n' || u.x, 1))
                FROM unnest(k.asked) WITH ORDINALITY u(x, i)) w)), '{}')
        FROM jsonb_each(cols) c);
END
$$;

-- tally.add_instance: store a reference to a table.
CREATE OR REPLACE FUNCTION tally.add_instance(INOUT st jsonb, relation oid, scope integer, lost text, OUT entry jsonb)
LANGUAGE plpgsql AS $$
BEGIN
    entry := jsonb_build_object('t', jsonb_array_length(st -> 'instances'), 'r', relation::bigint);
    st := jsonb_insert(st, '{instances,-1}', jsonb_build_object('id', entry -> 't', 'relation', relation::bigint, 'scope', scope, 'm', st -> 'scopes' -> scope -> 'm', 'lost', lost), true);
END
$$;

-- tally.read_recursion: store every table under a recursive query. No way leads from them to the key.
DROP FUNCTION IF EXISTS tally.read_recursion(jsonb, jsonb, integer);  -- it did not look into the other CTEs that the query reads
CREATE OR REPLACE FUNCTION tally.read_recursion(st jsonb, env jsonb, cte jsonb, scope integer)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    rel oid;
BEGIN
    FOR rel IN SELECT DISTINCT t.oid FROM tally.ctes_read(env, cte) c, jsonb_path_query(c, 'strict $.** ? (@._ == "RANGETBLENTRY" && @.rtekind[0] == "0").relid[0]') r,
               LATERAL (SELECT tally.tables_in((r #>> '{}')::oid)) t(oid) LOOP
        SELECT (a).st INTO st FROM tally.add_instance(st, rel, scope, 'recursion') a;
    END LOOP;
    RETURN st;
END
$$;

-- tally.ctes_read: a CTE and all those that it reads, also through others. Of several with one name, all.
CREATE OR REPLACE FUNCTION tally.ctes_read(env jsonb, cte jsonb)
RETURNS SETOF jsonb LANGUAGE sql STABLE AS $$
    WITH RECURSIVE read(cte) AS (
        SELECT ctes_read.cte WHERE ctes_read.cte IS NOT NULL
        UNION
        SELECT e.value FROM read r CROSS JOIN LATERAL jsonb_path_query(r.cte, 'strict $.** ? (@._ == "RANGETBLENTRY" && @.rtekind[0] == "6").ctename[0]') n
        CROSS JOIN LATERAL jsonb_array_elements(ctes_read.env) l CROSS JOIN LATERAL jsonb_each(l -> 'ctes') e WHERE e.key = n #>> '{}'
    )
    SELECT r.cte FROM read r
$$;

-- tally.tables_in: a table, or the tables that a view reads.
CREATE OR REPLACE FUNCTION tally.tables_in(relation oid)
RETURNS SETOF oid LANGUAGE sql STABLE AS $$
    SELECT relation WHERE (SELECT c.relkind <> 'v' FROM pg_class c WHERE c.oid = relation)
    UNION ALL
    SELECT t::oid FROM tally.tables_read(relation) t WHERE (SELECT c.relkind = 'v' FROM pg_class c WHERE c.oid = relation)
$$;

-- tally.read_function: read a function in FROM whose arguments are columns of one table. Its results then belong to that table's rows.
CREATE OR REPLACE FUNCTION tally.read_function(INOUT st jsonb, env jsonb, rte jsonb, scope integer, OUT entry jsonb)
LANGUAGE plpgsql AS $$
DECLARE
    functions jsonb := rte -> 'functions' -> 0;
    call      jsonb := tally.node(functions -> 0, 'funcexpr');
    names     jsonb := rte -> 'eref' -> 0 -> 'colnames' -> 0;
    n         integer;
    alias     text;
    vals      jsonb;
BEGIN
    entry := '{}';
    IF jsonb_array_length(functions) <> 1 OR tally.node(functions -> 0, 'funccolnames') IS NOT NULL OR call ->> '_' <> 'FUNCEXPR' THEN
        RETURN;
    END IF;
    SELECT * INTO st, n FROM tally.next_number(st);
    alias := 'f' || n;
    SELECT jsonb_agg(v || jsonb_build_object('q', format('%s%s AS %I(%s)', v ->> 'q', CASE rte -> 'funcordinality' ->> 0 WHEN 'true' THEN ' WITH ORDINALITY' ELSE '' END,
            alias, (SELECT string_agg(quote_ident(c), ', ' ORDER BY i) FROM jsonb_array_elements_text(names) WITH ORDINALITY u(c, i))),
        'array', CASE WHEN (call -> 'funcid' ->> 0)::oid = 'unnest(anyarray)'::regprocedure THEN (
            SELECT a || jsonb_build_object('first', format('%I.%I', alias, names ->> 0)) FROM jsonb_array_elements(tally.resolve(env, call -> 'args' -> 0 -> 0)) a
            WHERE format('unnest(%s)', a ->> 'q') = v ->> 'q' LIMIT 1) END))
    INTO vals FROM jsonb_array_elements(tally.resolve(env, call || '{"in_from": true}')) v WHERE NOT v ? 'r' OR v -> 'r' = 'false';
    IF vals IS NOT NULL THEN
        entry := jsonb_build_object('f', alias, 'values', vals, 'names', names, 'scope', scope);
    END IF;
END
$$;
