-- tally.read_condition: read a condition on joined rows (a WHERE, an ON), and the subqueries in it.
--   Parameters scopes: those in which it holds; for a full join, the scope of each side; truth: rows for which it is NULL are dropped
--   Returns    the shape with the condition. Parts that cannot be used are left out, which can only add keys
--   Called by  tally.read_from
CREATE OR REPLACE FUNCTION tally.read_condition(st jsonb, env jsonb, n jsonb, scopes integer[], truth boolean)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    part   jsonb;
    tables integer;
    s      integer;
BEGIN
    IF n IS NULL THEN
        RETURN st;
    ELSIF n ->> '_' = 'BOOLEXPR' AND n -> 'boolop' ->> 0 = 'and' THEN
        FOR part IN SELECT a.item FROM tally.node_items(n, 'args') a ORDER BY a.i LOOP
            st := tally.read_condition(st, env, part, scopes, truth);
        END LOOP;
        RETURN st;
    END IF;
    FOR part, tables IN SELECT v, (SELECT count(*) FROM jsonb_object_keys(v -> 'v')) FROM jsonb_array_elements(tally.resolve(env, n)) v LOOP
        IF tables = 2 THEN
            FOREACH s IN ARRAY scopes LOOP
                st := tally.add_condition(st, part, s, CASE WHEN n ->> '_' = 'OPEXPR' THEN tally.equality(env, n, part) END, tally.membership(st, env, n, part), cardinality(scopes) > 1);
            END LOOP;
        -- In a full join, a row that does not fulfil it is in the result, too.
        ELSIF tables = 1 AND cardinality(scopes) = 1 AND part -> 'f' = '{}' AND NOT coalesce((part ->> 'x')::boolean, false) THEN
            st := tally.add_filter(st, part, scopes[1]);
        END IF;
    END LOOP;
    RETURN tally.read_sublinks(st, env, n, scopes[1], truth);
END
$$;

-- tally.add_filter: store a condition on one instance. Ways need it only where an expression may raise an error for other rows.
CREATE OR REPLACE FUNCTION tally.add_filter(st jsonb, c jsonb, scope integer)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    i        integer := (SELECT k FROM jsonb_object_keys(c -> 'v') k);
    relation oid := (st -> 'instances' -> i ->> 'relation')::oid;
BEGIN
    IF NOT tally.holds_for(st, c, scope, i) OR tally.not_scalar(relation::regclass, ARRAY(SELECT a.attname FROM pg_attribute a JOIN jsonb_array_elements(c -> 'v' -> i::text) n(n) ON a.attnum = n.n::integer WHERE a.attrelid = relation), true) IS NOT NULL THEN
        RETURN st;  -- its columns cannot be watched
    END IF;
    RETURN jsonb_insert(st, '{filters,-1}', jsonb_build_object('scope', scope, 'i', i, 'q', c -> 'q', 'v', c -> 'v', 'm', (st -> 'scopes' -> scope -> 'm') || (st -> 'instances' -> i -> 'm') || (c -> 'm')), true);
END
$$;

-- tally.holds_for: whether a condition cannot hold for a row of an instance that an outer join has filled with NULLs.
CREATE OR REPLACE FUNCTION tally.holds_for(st jsonb, c jsonb, scope integer, instance integer)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN c -> 's' @> to_jsonb(instance) OR NOT EXISTS (
        SELECT FROM jsonb_array_elements(st -> 'scopes' -> (st -> 'instances' -> instance ->> 'scope')::integer -> 'up') u
        WHERE st -> 'scopes' -> u::integer ->> 'kind' <> 'query' AND NOT st -> 'scopes' -> scope -> 'up' @> u);
END
$$;

-- tally.add_condition: store a condition on two instances, unless it could hold for a row that an outer join has filled with NULLs.
--   Parameters of_full: it is that of a full join, so a side may have a row for which it does not hold
DROP FUNCTION IF EXISTS tally.add_condition(jsonb, jsonb, integer, jsonb, jsonb);  -- it did not know of full joins
CREATE OR REPLACE FUNCTION tally.add_condition(st jsonb, c jsonb, scope integer, sides jsonb, steps jsonb, of_full boolean)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    two integer[] := ARRAY(SELECT k::integer FROM jsonb_object_keys(c -> 'v') k ORDER BY 1);
    i   integer;
BEGIN
    FOREACH i IN ARRAY two LOOP
        IF NOT tally.holds_for(st, c, scope, i) THEN
            RETURN st;
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM jsonb_each(c -> 'f') f, jsonb_array_elements(st -> 'scopes' -> (f.value ->> 'scope')::integer -> 'up') u
               WHERE st -> 'scopes' -> u::integer ->> 'kind' <> 'query' AND NOT st -> 'scopes' -> scope -> 'up' @> u AND NOT c -> 's' @> to_jsonb(f.key)) THEN
        RETURN st;
    END IF;
    -- By a nondeterministic collation other strings are equal, which only columns of that collation take for equal elsewhere.
    IF sides ->> 'l' IS NOT NULL AND NOT (tally.is_of_collation(st, sides -> 'i', sides -> 'ci', sides -> 'l') AND tally.is_of_collation(st, sides -> 'j', sides -> 'cj', sides -> 'l')) THEN
        sides := sides || '{"eq": false}';
    END IF;
    IF c -> 'f' <> '{}' AND sides IS NULL THEN  -- with a function in FROM, only a condition that is NULL for a NULL
        RETURN st;
    END IF;
    RETURN jsonb_insert(st, '{conditions,-1}', jsonb_build_object('scope', scope, 'i', two[1], 'j', two[2], 'v', c -> 'v', 's', c -> 's', 'f', c -> 'f', 'x', coalesce(c -> 'x', 'false'), 'e', sides,
        'to', CASE WHEN c -> 'f' = '{}' THEN steps ELSE tally.membership_of_function(st, c, sides) END,
        'q', CASE WHEN c -> 'f' = '{}' THEN c ->> 'q' ELSE format('EXISTS (SELECT FROM %s WHERE %s)',
            (SELECT string_agg(f.value ->> 'sql', ', ' ORDER BY tally.function_number(f.key)) FROM jsonb_each(c -> 'f') f), c ->> 'q') END,
        'm', (st -> 'scopes' -> scope -> 'm') || (st -> 'instances' -> two[1] -> 'm') || (st -> 'instances' -> two[2] -> 'm') || (c -> 'm'), 'full', of_full), true);
END
$$;

-- tally.is_of_collation: whether a column, by its instance and number, has a collation.
CREATE OR REPLACE FUNCTION tally.is_of_collation(st jsonb, instance jsonb, col jsonb, coll jsonb)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = (st -> 'instances' -> instance::integer ->> 'relation')::oid
                   AND a.attnum = CASE jsonb_typeof(col) WHEN 'number' THEN col::integer END AND a.attcollation = (coll #>> '{}')::oid)
$$;

-- tally.equality: both sides of a condition whose operator compares for equality: their instances, SQL and types. eq: it is the equality by which
-- keys of the type are compared, and not one of another operator family (*= of rows, or one of the user's).
CREATE OR REPLACE FUNCTION tally.equality(env jsonb, n jsonb, c jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object('op', tally.operator_name(o.oid), 'eq', o.oprcanmerge AND EXISTS (SELECT FROM pg_amop m JOIN pg_opclass k ON k.opcfamily = m.amopfamily WHERE m.amopopr = o.oid AND m.amopmethod = 403 AND k.oid = tally.default_opclass(o.oprleft)), 'l', tally.loose_collation((n -> 'inputcollid' ->> 0)::oid),
            'i', (SELECT k::integer FROM jsonb_object_keys(a -> 'v') k), 'qi', a ->> 'q', 'ti', a -> 't', 'ci', a -> 'col' -> 1, 'fi', a -> 'f',
            'j', (SELECT k::integer FROM jsonb_object_keys(b -> 'v') k), 'qj', b ->> 'q', 'tj', b -> 't', 'cj', b -> 'col' -> 1, 'fj', b -> 'f')
        FROM pg_operator o, jsonb_array_elements(tally.resolve(env, n -> 'args' -> 0 -> 0)) a, jsonb_array_elements(tally.resolve(env, n -> 'args' -> 0 -> 1)) b
        WHERE o.oid = (n -> 'opno' ->> 0)::oid AND format('(%s %s %s)', a ->> 'q', replace(tally.operator_name(o.oid), '%%', '%'), b ->> 'q') = c ->> 'q'
          AND (SELECT count(*) FROM jsonb_object_keys(a -> 'v')) = 1 AND (SELECT count(*) FROM jsonb_object_keys(b -> 'v')) = 1
          AND (SELECT p.proisstrict FROM pg_proc p WHERE p.oid = o.oprcode)
        LIMIT 1);
END
$$;

-- tally.read_sublinks: read the subqueries in an expression.
--   Parameters truth: only whether the expression is true matters, so an IN depends on equal rows alone; NULL: it is under NOT
CREATE OR REPLACE FUNCTION tally.read_sublinks(st jsonb, env jsonb, n jsonb, scope integer, truth boolean)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    part record;
BEGIN
    IF n IS NULL OR strpos(n::text, '"SUBLINK"') = 0 THEN
        RETURN st;
    ELSIF jsonb_typeof(n) = 'array' THEN
        FOR part IN SELECT e FROM jsonb_array_elements(n) WITH ORDINALITY u(e, i) ORDER BY i LOOP
            st := tally.read_sublinks(st, env, part.e, scope, truth);
        END LOOP;
    ELSIF n ->> '_' = 'SUBLINK' THEN
        st := tally.read_sublink(st, env, n, scope, truth);
    ELSIF jsonb_typeof(n) = 'object' THEN
        FOR part IN SELECT key, value FROM jsonb_each(n) ORDER BY key LOOP
            st := tally.read_sublinks(st, env, part.value, scope, CASE n ->> '_'
                WHEN 'BOOLEXPR' THEN CASE n -> 'boolop' ->> 0 WHEN 'not' THEN NULL ELSE truth END WHEN 'CASEWHEN' THEN part.key = 'expr' WHEN 'CASEEXPR' THEN part.key = 'args'
                WHEN 'AGGREF' THEN part.key = 'aggfilter' ELSE false END);
        END LOOP;
    END IF;
    RETURN st;
END
$$;

-- tally.read_sublink: read one subquery in an expression: EXISTS, IN, a scalar or an array.
CREATE OR REPLACE FUNCTION tally.read_sublink(st jsonb, env jsonb, n jsonb, scope integer, truth boolean)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    test jsonb := tally.node(n, 'testexpr');
    own  jsonb;
    cols jsonb;
BEGIN
    SELECT * INTO st, own FROM tally.open_scope(st, scope, 'sublink', '{}');
    SELECT * INTO st, cols FROM tally.read_query(st, tally.node(n, 'subselect'), env, own::integer);
    IF test IS NULL THEN
        RETURN st;
    END IF;
    IF n -> 'subLinkType' ->> 0 = '2' AND coalesce(truth, false) AND NOT st -> 'scopes' -> own::integer ? 'barrier' THEN
        st := tally.read_condition(st, jsonb_set(env, '{0,params}', cols), test, ARRAY[own::integer], true);
    ELSE
        st := jsonb_insert(st, '{notes,-1}', jsonb_build_object('scope', own, 'kind', CASE WHEN n -> 'subLinkType' ->> 0 <> '2' THEN 'ALL' WHEN truth IS NULL THEN 'NOT IN' ELSE 'IN' END,
            'columns', (SELECT coalesce(jsonb_agg(v -> 0), '[]') FROM jsonb_each(cols) e(k, v)),
            'left', CASE test ->> '_' WHEN 'OPEXPR' THEN tally.resolve(env, test -> 'args' -> 0 -> 0) ELSE '[]' END), true);
    END IF;
    RETURN tally.read_sublinks(st, env, test, scope, false);
END
$$;
