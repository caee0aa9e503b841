-- What an expression of a definition is computed from: SQL over columns of the tables below it.
-- A *value* is one possible form of an expression, as jsonb:
--   q  its SQL; a table's alias stands in it as \x01<instance>\x02
--   v  {instance: [attribute numbers]}
--   t  its type; col: [instance, attribute number] if it is a plain column
--   m  the choices under which the expression has this form: {choice: number}; for example an arm of a set operation
--   s  instances, and functions in FROM, whose NULLs make it NULL (b: NULL or false)
--   r  it stands for values that are equal but not identical (GROUP BY, DISTINCT), so it may only be compared for equality
--   l  equal by that nondeterministic collation, so it may only be compared by it
--   f  functions in FROM that it reads: {name: {sql, scope}}
--   x  it may raise an error for some values (a text that is cast to a number), so it is evaluated only for rows that the view evaluates it for
-- An expression has an array of values. The array is empty if the expression cannot be computed from columns alone (an aggregate).

-- tally.resolve: the values of an expression.
--   Parameters env: the meaning of the range tables of the query levels, the innermost first
--   Called by  tally.read_query, tally.read_condition
CREATE OR REPLACE FUNCTION tally.resolve(env jsonb, n jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN CASE n ->> '_'
        WHEN 'VAR' THEN tally.resolve_var(env, n)
        WHEN 'CONST' THEN tally.resolve_const(n)
        WHEN 'PARAM' THEN CASE WHEN n -> 'paramkind' ->> 0 = '2' THEN coalesce(env -> 0 -> 'params' -> (n -> 'paramid' ->> 0), '[]') ELSE '[]' END
        WHEN 'RELABELTYPE' THEN tally.resolve_relabel(env, n)
        WHEN 'ARRAYCOERCEEXPR' THEN CASE WHEN tally.node(n, 'elemexpr') ->> '_' = 'RELABELTYPE' THEN tally.resolve_relabel(env, n) ELSE '[]' END
        WHEN 'COLLATEEXPR' THEN tally.resolve_call(env, jsonb_build_array(tally.node(n, 'arg')), format('(%%s COLLATE %s)', tally.collation_name((n -> 'collOid' ->> 0)::oid)), NULL, true)
        WHEN 'COERCEVIAIO' THEN tally.resolve_io(env, n)
        WHEN 'FUNCEXPR' THEN tally.resolve_function(env, n)
        WHEN 'OPEXPR' THEN tally.resolve_operator(env, n)
        WHEN 'DISTINCTEXPR' THEN tally.resolve_operator(env, n)
        WHEN 'SCALARARRAYOPEXPR' THEN tally.resolve_operator(env, n)
        WHEN 'ARRAYEXPR' THEN tally.resolve_array(env, n)
        WHEN 'ARRAY' THEN tally.resolve_array(env, n)  -- before version 16
        WHEN 'NULLTEST' THEN tally.resolve_null_test(env, n)
        WHEN 'BOOLEXPR' THEN tally.resolve_bool(env, n)
        WHEN 'COALESCEEXPR' THEN tally.resolve_coalesce(env, n)
        ELSE '[]'::jsonb END;
END
$$;

-- tally.levels_up: an environment without its n innermost levels.
CREATE OR REPLACE FUNCTION tally.levels_up(env jsonb, n integer)
RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (
        SELECT CASE WHEN n = 0 THEN env ELSE (SELECT coalesce(jsonb_agg(e ORDER BY i), '[]') FROM jsonb_array_elements(env) WITH ORDINALITY u(e, i) WHERE i > n) END);
END
$$;

-- tally.resolve_var: the values of a column of a table, a subquery, a join's alias, a group, or a function in FROM.
CREATE OR REPLACE FUNCTION tally.resolve_var(env jsonb, n jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    up    integer := (n -> 'varlevelsup' ->> 0)::integer;
    att   integer := (n -> 'varattno' ->> 0)::integer;
    entry jsonb := env -> up -> 'rt' -> (n -> 'varno' ->> 0);
BEGIN
    IF att <= 0 OR entry IS NULL THEN
        RETURN '[]';
    ELSIF entry ? 't' THEN
        RETURN jsonb_build_array(jsonb_build_object(
            'q', E'\x01' || (entry ->> 't') || E'\x02.' || (SELECT quote_ident(a.attname) FROM pg_attribute a WHERE a.attrelid = (entry ->> 'r')::oid AND a.attnum = att),
            'v', jsonb_build_object(entry ->> 't', jsonb_build_array(att)), 't', (n -> 'vartype' ->> 0)::bigint,
            'col', jsonb_build_array((entry ->> 't')::integer, att), 'm', '{}'::jsonb, 's', jsonb_build_array((entry ->> 't')::integer), 'f', '{}'::jsonb));
    ELSIF entry ? 'j' THEN
        RETURN tally.resolve(tally.levels_up(env, up), entry -> 'j' -> att - 1);
    ELSIF entry ? 'f' THEN
        RETURN tally.resolve_of_function(entry, att, (n -> 'vartype' ->> 0)::bigint);
    END IF;
    RETURN coalesce(entry -> 'cols' -> att::text, '[]');
END
$$;

-- tally.resolve_of_function: the values of a column that a function in FROM returns.
CREATE OR REPLACE FUNCTION tally.resolve_of_function(entry jsonb, att integer, type bigint)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_agg(a - 'col' - 'r' - 'array' || jsonb_build_object('q', format('%I.%I', entry ->> 'f', entry -> 'names' ->> att - 1), 't', type, 's', a -> 's' || (entry -> 'f'),
                'f', a -> 'f' || jsonb_build_object(entry ->> 'f', jsonb_build_object('scope', entry -> 'scope', 'sql', a ->> 'q', 'array', a -> 'array')))), '[]')
        FROM jsonb_array_elements(entry -> 'values') a
        WHERE entry -> 'names' ->> att - 1 IS NOT NULL);
END
$$;

-- tally.function_number: the place of a function in FROM by its name (f1, f2 …): one may take arguments from those before it.
CREATE OR REPLACE FUNCTION tally.function_number(f text)
RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT substr(f, 2)::integer $$;

-- tally.is_sorted: whether a type, that of a domain, or that of an array's elements has an operator class of its own, so it may compare other values as
-- equal than the type that it is cast to.
CREATE OR REPLACE FUNCTION tally.is_sorted(type oid)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM pg_type t JOIN pg_opclass o ON o.opcintype = CASE WHEN t.typsubscript = 'array_subscript_handler'::regproc THEN tally.base_type(t.typelem) ELSE t.oid END
                   WHERE t.oid = tally.base_type(type) AND o.opcdefault AND o.opcmethod = 403)
$$;

-- tally.is_sorted_as: whether a type without an operator class of its own, or an array of such a type, is compared as the type that it is cast to: varchar
-- as text, but not as character, which ignores trailing blanks.
CREATE OR REPLACE FUNCTION tally.is_sorted_as(type oid, wanted oid)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT NOT tally.is_sorted(type) AND NOT EXISTS (
        SELECT FROM pg_type t, pg_type w WHERE t.oid = tally.base_type(type) AND w.oid = tally.base_type(wanted)
        AND tally.default_opclass(CASE WHEN t.typsubscript = 'array_subscript_handler'::regproc THEN t.typelem ELSE t.oid END)
            <> tally.default_opclass(CASE WHEN w.typsubscript = 'array_subscript_handler'::regproc THEN w.typelem ELSE w.oid END))
$$;

-- tally.resolve_relabel: a cast that changes no bytes. If the cast is from a type without an operator class of its own (varchar), or from a domain to
-- the type that it is of, it does not change comparisons either, and a column still counts as that column.
CREATE OR REPLACE FUNCTION tally.resolve_relabel(env jsonb, n jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    wanted oid := (n -> 'resulttype' ->> 0)::oid;
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(CASE
            WHEN tally.base_type((a ->> 't')::oid) = wanted OR tally.is_sorted_as((a ->> 't')::oid, wanted) THEN a || jsonb_build_object('t', wanted::bigint)
            ELSE a - 'col' || jsonb_build_object('t', wanted::bigint, 'q', format('(%s)::%s', a ->> 'q', tally.type_name(wanted))) END), '[]')
        FROM jsonb_array_elements(tally.resolve(env, tally.node(n, 'arg'))) a
        WHERE NOT (coalesce((a ->> 'r')::boolean, false) AND tally.base_type((a ->> 't')::oid) <> ALL (ARRAY[wanted, 'text'::regtype])  -- equal citext values are other texts
                   AND tally.is_sorted((a ->> 't')::oid)));
END
$$;

-- tally.resolve_io: a cast by way of text, if both its output and its input function are immutable.
CREATE OR REPLACE FUNCTION tally.resolve_io(env jsonb, n jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    wanted oid := (n -> 'resulttype' ->> 0)::oid;
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(CASE WHEN (SELECT t.typcategory = 'S' FROM pg_type t WHERE t.oid = wanted) THEN a ELSE a || '{"x": true}' END), '[]')
        FROM jsonb_array_elements(tally.resolve_call(env, jsonb_build_array(tally.node(n, 'arg')), '(%s)::' || replace(tally.type_name(wanted), '%', '%%'), wanted, true, true)) a
        WHERE (SELECT p.provolatile = 'i' FROM pg_type t JOIN pg_proc p ON p.oid = t.typinput WHERE t.oid = wanted)
          AND (SELECT p.provolatile = 'i' FROM pg_type t JOIN pg_proc p ON p.oid = t.typoutput WHERE t.oid = (a ->> 'from')::oid));
END
$$;

-- tally.resolve_function: a call of an immutable function.
CREATE OR REPLACE FUNCTION tally.resolve_function(env jsonb, n jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    p     pg_proc;
    args  jsonb := CASE jsonb_typeof(n -> 'args' -> 0) WHEN 'array' THEN n -> 'args' -> 0 ELSE '[]' END;
    cast_ boolean := n -> 'funcformat' ->> 0 IN ('1', '2');
    form  text;
BEGIN
    SELECT * INTO p FROM pg_proc f WHERE f.oid = (n -> 'funcid' ->> 0)::oid;
    IF p.provolatile <> 'i' OR p.proretset AND NOT n ? 'in_from' OR n -> 'funcvariadic' ->> 0 = 'true' OR jsonb_array_length(args) = 0 THEN
        RETURN '[]';
    END IF;
    form := CASE WHEN cast_ THEN format('(%s)::', CASE p.pronamespace WHEN 'pg_catalog'::regnamespace THEN '%s' ELSE tally.argument_form(args -> 0, tally.namesakes(p, 0)) END) || tally.cast_name((n -> 'funcresulttype' ->> 0)::oid, args)
                 ELSE format('%s(%s)', replace(tally.function_name(p.oid), '%', '%%'), (
                     SELECT string_agg(tally.argument_form(a, tally.namesakes(p, i::integer - 1)), ', ' ORDER BY i) FROM jsonb_array_elements(args) WITH ORDINALITY u(a, i))) END;
    RETURN (SELECT coalesce(jsonb_agg(CASE WHEN tally.may_raise(p) THEN v || '{"x": true}' ELSE v END), '[]')
        FROM jsonb_array_elements(tally.resolve_call(env, CASE WHEN cast_ THEN jsonb_build_array(args -> 0) ELSE args END, form, (n -> 'funcresulttype' ->> 0)::oid, p.proisstrict, true)) v);
END
$$;

-- tally.namesakes: the types that other functions of the same schema and name take as their argument number i (from 0).
CREATE OR REPLACE FUNCTION tally.namesakes(p pg_proc, i integer)
RETURNS oid[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT f.proargtypes[i] FROM pg_proc f WHERE f.proname = p.proname AND f.pronamespace = p.pronamespace AND f.oid <> p.oid AND f.pronargs > i)
$$;

-- tally.argument_form: the placeholder of an argument, with a cast if another function or operator of that name takes the type that the argument has
-- before a cast that changes no bytes (varchar, cidr, a domain), or below its domain: an expand gets values of the type below.
CREATE OR REPLACE FUNCTION tally.argument_form(arg jsonb, others oid[])
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted oid := tally.node_type(arg);
    given  oid := CASE arg ->> '_' WHEN 'RELABELTYPE' THEN tally.node_type(tally.node(arg, 'arg')) ELSE wanted END;
BEGIN
    IF others = '{}' OR wanted = 0 OR given <> wanted AND tally.base_type(given) = given AND NOT tally.is_sorted_as(given, wanted)  -- which has its cast already
        OR NOT (ARRAY[given, tally.base_type(given)] && array_remove(others, wanted)) THEN
        RETURN '%s';
    END IF;
    RETURN '(%s)::' || replace(tally.type_name(wanted), '%', '%%');
END
$$;

-- tally.may_raise: whether a function may raise an error for values that the view keeps from it by other conditions: one of the user's, one that returns
-- sets, one that takes JSON of a certain kind, one that reads a text, a cast to a smaller number, a range of two bounds, or one not defined for all numbers.
CREATE OR REPLACE FUNCTION tally.may_raise(p pg_proc)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p.pronamespace <> 'pg_catalog'::regnamespace OR p.proretset AND p.proname NOT IN ('unnest', 'generate_series')
        OR p.proargtypes[0] IN ('json'::regtype, 'jsonb'::regtype) AND p.prorettype IN ('bool'::regtype, 'int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype, 'float4'::regtype, 'float8'::regtype)
        OR p.proname IN ('int2', 'int4', 'int8') AND p.proargtypes[0] IN ('int4'::regtype, 'int8'::regtype, 'numeric'::regtype, 'float4'::regtype, 'float8'::regtype)
           AND NOT (p.proname = 'int8' AND p.proargtypes[0] = 'int4'::regtype)
        OR p.proname IN ('float4', 'numeric') AND p.proargtypes[0] IN ('float8'::regtype, 'numeric'::regtype) OR p.proname IN ('int4range', 'int8range', 'numrange', 'tsrange', 'tstzrange', 'daterange') AND p.pronargs > 1
        OR p.proname IN ('to_number', 'decode', 'make_date', 'make_time', 'make_timestamp', 'chr', 'ln', 'log', 'log10', 'sqrt', 'power', 'pow', 'exp', 'div', 'mod', 'split_part', 'width_bucket', 'get_byte', 'get_bit', 'factorial')
        OR p.proname IN ('substr', 'substring') AND p.pronargs = 3
$$;

-- tally.resolve_operator: an operator, IS DISTINCT FROM, = ANY (array).
CREATE OR REPLACE FUNCTION tally.resolve_operator(env jsonb, n jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    o      pg_operator;
    p      pg_proc;
    args   jsonb := n -> 'args' -> 0;
    simple boolean;
    form   text;
    forms  text[];
BEGIN
    SELECT * INTO o FROM pg_operator x WHERE x.oid = (n -> 'opno' ->> 0)::oid;
    SELECT * INTO p FROM pg_proc f WHERE f.oid = o.oprcode;
    IF p.provolatile <> 'i' THEN
        RETURN '[]';
    END IF;
    simple := EXISTS (SELECT FROM pg_amop m WHERE m.amopopr = o.oid AND m.amopmethod IN (403, 405));
    forms := ARRAY(SELECT tally.argument_form(a, tally.namesakes_of_operator(o, jsonb_array_length(args) - i::integer)) FROM jsonb_array_elements(args) WITH ORDINALITY u(a, i) WHERE n ->> '_' <> 'SCALARARRAYOPEXPR' ORDER BY i);
    form := CASE n ->> '_' WHEN 'DISTINCTEXPR' THEN CASE o.oprnamespace WHEN 'pg_catalog'::regnamespace THEN '(%s IS DISTINCT FROM %s)'
                     ELSE format('((%%1$s %s %%2$s) IS NOT TRUE AND (%%1$s IS NOT NULL OR %%2$s IS NOT NULL))', tally.operator_name(o.oid)) END   -- whose = would not be found
                 WHEN 'SCALARARRAYOPEXPR' THEN format('(%%s %s %s (%%s))', tally.operator_name(o.oid), CASE n -> 'useOr' ->> 0 WHEN 'true' THEN 'ANY' ELSE 'ALL' END)
                 ELSE CASE jsonb_array_length(args) WHEN 1 THEN format('(%s %s)', tally.operator_name(o.oid), forms[1]) ELSE format('(%s %s %s)', forms[1], tally.operator_name(o.oid), forms[2]) END END;
    RETURN (SELECT coalesce(jsonb_agg(CASE WHEN n ->> '_' = 'SCALARARRAYOPEXPR' THEN v || '{"b": true}'  -- of an empty array, false
                                           WHEN o.oprname IN ('/', '%', '^') AND o.oprnamespace = 'pg_catalog'::regnamespace THEN v || '{"x": true}' ELSE v END), '[]')
        FROM jsonb_array_elements(tally.resolve_call(env, args, form, o.oprresult,
            CASE n ->> '_' WHEN 'DISTINCTEXPR' THEN false WHEN 'SCALARARRAYOPEXPR' THEN p.proisstrict AND n -> 'useOr' ->> 0 = 'true' ELSE p.proisstrict END, NOT simple,
            by_collation => coalesce((n -> 'inputcollid' ->> 0)::bigint, 0))) v
        WHERE (SELECT count(DISTINCT c) FROM regexp_matches(v ->> 'q', ' COLLATE ((?:\w+|"[^"]*")\.(?:\w+|"[^"]*"))', 'g') c) < 2);  -- of its sides, each has its own
END
$$;

-- tally.namesakes_of_operator: the types that other operators of the same schema and name take on their right (0) or left (1) side.
CREATE OR REPLACE FUNCTION tally.namesakes_of_operator(o pg_operator, side integer)
RETURNS oid[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT ARRAY(SELECT CASE side WHEN 0 THEN x.oprright ELSE x.oprleft END FROM pg_operator x WHERE x.oprname = o.oprname AND x.oprnamespace = o.oprnamespace AND x.oid <> o.oid)
$$;

-- tally.resolve_array: ARRAY[...] of single values.
CREATE OR REPLACE FUNCTION tally.resolve_array(env jsonb, n jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    items jsonb := n -> 'elements' -> 0;
    type  oid := (n -> 'array_typeid' ->> 0)::oid;
BEGIN
    IF n -> 'multidims' ->> 0 <> 'false' OR jsonb_typeof(items) IS DISTINCT FROM 'array' THEN
        RETURN '[]';
    END IF;
    RETURN tally.resolve_call(env, items, format('(ARRAY[%s])::%s', array_to_string(array_fill('%s'::text, ARRAY[jsonb_array_length(items)]), ', '), replace(tally.type_name(type), '%', '%%')), type, false);
END
$$;

-- tally.resolve_null_test: IS NULL, IS NOT NULL.
CREATE OR REPLACE FUNCTION tally.resolve_null_test(env jsonb, n jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    positive boolean := n -> 'nulltesttype' ->> 0 = '1';
BEGIN
    IF n -> 'argisrow' ->> 0 = 'true' THEN
        RETURN '[]';
    END IF;
    RETURN (SELECT coalesce(jsonb_agg(a || '{"b": true}'), '[]') FROM jsonb_array_elements(
        tally.resolve_call(env, jsonb_build_array(tally.node(n, 'arg')), CASE WHEN positive THEN '(%s IS NOT NULL)' ELSE '(%s IS NULL)' END, 16, positive, false)) a);
END
$$;

-- tally.resolve_bool: AND, OR, NOT.
CREATE OR REPLACE FUNCTION tally.resolve_bool(env jsonb, n jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    op   text := n -> 'boolop' ->> 0;
    args jsonb := n -> 'args' -> 0;
BEGIN
    IF op = 'not' THEN
        RETURN tally.resolve_call(env, args, '(NOT %s)', 16, true, false);
    END IF;
    RETURN (SELECT coalesce(jsonb_agg(c - 'ss' || jsonb_build_object('b', true, 's', CASE op WHEN 'and' THEN c -> 's' ELSE tally.common(c -> 'ss') END)), '[]')
        FROM jsonb_array_elements(tally.resolve_call(env, args,
            '(' || array_to_string(array_fill('%s'::text, ARRAY[jsonb_array_length(args)]), CASE op WHEN 'and' THEN ' AND ' ELSE ' OR ' END) || ')', 16, true, false, true)) c);
END
$$;

-- tally.resolve_coalesce: one value for each argument, because any may be the result. If all belong to one table, it is one ordinary expression.
CREATE OR REPLACE FUNCTION tally.resolve_coalesce(env jsonb, n jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    args   jsonb := n -> 'args' -> 0;
    whole  jsonb := tally.resolve_call(env, args, format('COALESCE(%s)', array_to_string(array_fill('%s'::text, ARRAY[jsonb_array_length(args)]), ', ')),
                                       (n -> 'coalescetype' ->> 0)::oid, false, true);
    choice text := format('c%s_%s_%s', jsonb_array_length(args), env -> 0 ->> 'id', left(md5(n::text), 8));
    each_  jsonb;
BEGIN
    IF jsonb_array_length(whole) > 0 AND NOT EXISTS (SELECT FROM jsonb_array_elements(whole) a WHERE (SELECT count(*) FROM jsonb_object_keys(a -> 'v')) > 1) THEN
        RETURN whole;
    END IF;
    IF EXISTS (SELECT FROM jsonb_array_elements(args) a WHERE tally.resolve(env, a) = '[]') THEN
        RETURN '[]';
    END IF;
    SELECT jsonb_agg(tally.collated(v, tally.collation_of(a), (n -> 'coalescecollid' ->> 0)::oid) || jsonb_build_object('m', v -> 'm' || jsonb_build_object(choice, i - 1))) INTO each_
    FROM jsonb_array_elements(args) WITH ORDINALITY u(a, i), jsonb_array_elements(tally.resolve(env, a)) v;
    RETURN each_;
END
$$;

-- tally.collated: a value that stands among others (of COALESCE, of the arms of a set operation) whose collation is another one than its own.
CREATE OR REPLACE FUNCTION tally.collated(v jsonb, own oid, coll oid)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN CASE WHEN coalesce(coll, 0) = 0 OR coll = coalesce(own, 100) THEN v ELSE v || jsonb_build_object('q', format('(%s COLLATE %s)', v ->> 'q', replace(tally.collation_name(coll), '%%', '%')), 'col', NULL) END;
END
$$;

-- tally.resolve_call: an expression with arguments: a value for each combination of its arguments' values.
--   Parameters form: SQL with %s for each argument; strict: NULL for a NULL; images: it may tell equal values apart
--              (so no argument may stand for other values); several: keep, for each argument, what makes it NULL; by_collation: it compares by
DROP FUNCTION IF EXISTS tally.resolve_call(jsonb, jsonb, text, oid, boolean, boolean, boolean);  -- it knew no collations
CREATE OR REPLACE FUNCTION tally.resolve_call(env jsonb, args jsonb, form text, type oid, strict boolean, images boolean DEFAULT true, several boolean DEFAULT false, by_collation bigint DEFAULT NULL)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    made  jsonb := '[{"qs": [], "v": {}, "m": {}, "s": [], "ss": [], "f": {}}]';
    arg   jsonb;
BEGIN
    FOR arg IN SELECT a FROM jsonb_array_elements(args) WITH ORDINALITY u(a, i) ORDER BY i LOOP
        SELECT coalesce(jsonb_agg(jsonb_build_object(
                'qs', c -> 'qs' || jsonb_build_array(a ->> 'q'), 'v', tally.merged_columns(c -> 'v', a -> 'v'), 'm', c -> 'm' || (a -> 'm'), 'f', c -> 'f' || (a -> 'f'),
                's', c -> 's' || CASE WHEN strict AND (several OR NOT coalesce((a ->> 'b')::boolean, false)) THEN a -> 's' ELSE '[]' END,
                'ss', c -> 'ss' || jsonb_build_array(a -> 's'), 'x', coalesce(c -> 'x', 'false')::boolean OR coalesce(a -> 'x', 'false')::boolean, 'r', coalesce(c -> 'r', 'false')::boolean OR coalesce(a -> 'r', 'false')::boolean,
                't', coalesce(type::bigint, (a ->> 't')::bigint), 'from', a -> 't')), '[]')
        INTO made
        FROM jsonb_array_elements(made) c, jsonb_array_elements(tally.resolve(env, arg)) a
        WHERE NOT (images AND coalesce(a -> 'r', 'false')::boolean) AND NOT (by_collation IS NOT NULL AND coalesce((a ->> 'l')::bigint, by_collation) <> by_collation)
          AND tally.agree(c -> 'm', a -> 'm');
    END LOOP;
    IF jsonb_array_length(made) > 64 THEN
        RETURN '[]';
    END IF;
    RETURN (SELECT coalesce(jsonb_agg(CASE WHEN several THEN c - 'qs' ELSE c - 'qs' - 'ss' END
            || jsonb_build_object('q', format(form, VARIADIC ARRAY(SELECT jsonb_array_elements_text(c -> 'qs'))))), '[]') FROM jsonb_array_elements(made) c);
END
$$;

-- tally.agree: whether two sets of choices are compatible.
CREATE OR REPLACE FUNCTION tally.agree(a jsonb, b jsonb)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (
        SELECT a = '{}' OR b = '{}' OR NOT EXISTS (SELECT FROM jsonb_each(a) e WHERE b ? e.key AND b -> e.key <> e.value));
END
$$;

-- tally.merged_columns: the columns of each instance in a or b. A UNION ALL of functions would start parallel workers on version 15.
CREATE OR REPLACE FUNCTION tally.merged_columns(a jsonb, b jsonb)
RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN a = '{}' THEN b WHEN b = '{}' THEN a ELSE (
        SELECT jsonb_object_agg(key, (
            SELECT jsonb_agg(DISTINCT c) FROM jsonb_array_elements(coalesce(a -> key, '[]') || coalesce(b -> key, '[]')) c))
        FROM jsonb_object_keys(a || b) AS key) END;
END
$$;

-- tally.common: the elements that all arrays of an array have.
CREATE OR REPLACE FUNCTION tally.common(arrays jsonb)
RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_agg(e), '[]') FROM (
            SELECT DISTINCT e FROM jsonb_array_elements(arrays -> 0) e WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(arrays) a WHERE NOT a @> jsonb_build_array(e))) x);
END
$$;

-- tally.type_name, function_name, operator_name, collation_name: a name as SQL, without the schema if that is pg_catalog. Without a length it is
-- bpchar, for a cast to character would cut the value.
CREATE OR REPLACE FUNCTION tally.type_name(type oid, typmod integer DEFAULT NULL)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog AS 'SELECT format_type(type, coalesce(typmod, -1))';

CREATE OR REPLACE FUNCTION tally.function_name(function oid)
RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT CASE n.nspname WHEN 'pg_catalog' THEN '' ELSE quote_ident(n.nspname) || '.' END || quote_ident(p.proname)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = function);
END
$$;

CREATE OR REPLACE FUNCTION tally.operator_name(operator oid)
RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT replace(CASE n.nspname WHEN 'pg_catalog' THEN o.oprname ELSE format('OPERATOR(%I.%s)', n.nspname, o.oprname) END, '%', '%%')
        FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid = operator);
END
$$;

CREATE OR REPLACE FUNCTION tally.collation_name(coll oid)
RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT replace(format('%I.%I', n.nspname, c.collname), '%', '%%') FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = coll);
END
$$;

-- tally.resolve_const: a constant.
CREATE OR REPLACE FUNCTION tally.resolve_const(n jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    type oid := (n -> 'consttype' ->> 0)::oid;
    sql  text := CASE WHEN n -> 'constisnull' ->> 0 = 'true' THEN 'NULL::' || tally.null_type(type) ELSE tally.constant(type, n, false) END;
BEGIN
    RETURN CASE WHEN sql IS NULL THEN '[]' ELSE jsonb_build_array(jsonb_build_object('q', sql, 'v', '{}'::jsonb, 't', type::bigint, 'm', '{}'::jsonb, 's', '[]'::jsonb, 'f', '{}'::jsonb)) END;
END
$$;

-- tally.constant: a constant's value as SQL, or without quotes and cast (bare); NULL if the bytes of its type cannot be read here.
CREATE OR REPLACE FUNCTION tally.constant(type oid, n jsonb, bare boolean)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET datestyle = 'ISO' AS $$
DECLARE
    bytes integer[] := ARRAY(SELECT b::integer & 255 FROM jsonb_array_elements_text(n -> 'constvalue' -> 1) WITH ORDINALITY u(b, i) ORDER BY i);
    t     pg_type;
    whole bigint;
    raw   bytea;
    value text;
BEGIN
    SELECT * INTO t FROM pg_type x WHERE x.oid = type;
    raw := decode(coalesce((SELECT string_agg(lpad(to_hex(b), 2, '0'), '' ORDER BY i) FROM unnest(bytes) WITH ORDINALITY u(b, i)), ''), 'hex');
    IF t.typbyval THEN
        whole := ('x' || (SELECT string_agg(lpad(to_hex(b), 2, '0'), '' ORDER BY i DESC) FROM unnest(bytes) WITH ORDINALITY u(b, i)))::bit(64)::bigint;
    END IF;
    value := CASE
        WHEN t.typtype = 'e' THEN (SELECT e.enumlabel FROM pg_enum e WHERE e.oid = (whole & 4294967295)::oid)
        WHEN type = 'bool'::regtype THEN CASE whole & 255 WHEN 0 THEN 'false' ELSE 'true' END
        WHEN type IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) THEN whole::text
        WHEN type = 'oid'::regtype THEN (whole & 4294967295)::text
        WHEN type = 'date'::regtype THEN (date '2000-01-01' + whole::integer)::text
        WHEN type = 'timestamp'::regtype THEN (timestamp '2000-01-01' + whole * interval '1 microsecond')::text
        WHEN type = 'timestamptz'::regtype THEN regexp_replace((timestamp '2000-01-01' + whole * interval '1 microsecond')::text, '( BC)?$', '+00\1')
        WHEN type = 'uuid'::regtype THEN encode(raw, 'hex')
        WHEN type IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'json'::regtype) THEN convert_from(substr(raw, 5), getdatabaseencoding()) END;
    RETURN CASE WHEN bare OR value IS NULL THEN value ELSE quote_literal(value) || '::' || tally.type_name(type) END;
EXCEPTION WHEN datetime_field_overflow OR invalid_datetime_format OR numeric_value_out_of_range THEN  -- infinity, for example
    RETURN NULL;
END
$$;

-- tally.cast_name: the type that a cast function returns, with the modifier if the function gets one.
CREATE OR REPLACE FUNCTION tally.cast_name(type oid, args jsonb)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT replace(tally.type_name(type, CASE WHEN jsonb_array_length(args) > 1 AND args -> 1 ->> '_' = 'CONST'
        THEN (tally.constant((args -> 1 -> 'consttype' ->> 0)::oid, args -> 1, true))::integer END), '%', '%%')
$$;
