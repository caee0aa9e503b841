-- tally.functions_called: the functions that one node of a tree calls.
--   Returns    function; called_as: the same, but the aggregate for the functions that implement an aggregate
CREATE OR REPLACE FUNCTION tally.functions_called(node jsonb)
RETURNS TABLE (function oid, called_as oid) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    WITH called AS (
        SELECT (node -> f ->> 0)::oid AS oid FROM unnest('{funcid,opfuncid,aggfnoid,winfnoid,startInRangeFunc,endInRangeFunc}'::text[]) f WHERE node ? f
        UNION
        SELECT o.oprcode FROM unnest('{opno,eqop,sortop}'::text[]) f JOIN pg_operator o ON o.oid = (node -> f ->> 0)::oid WHERE node ? f
        UNION
        SELECT o.oprcode FROM jsonb_array_elements_text(CASE jsonb_typeof(node -> 'opnos' -> 0) WHEN 'array' THEN node -> 'opnos' -> 0 ELSE '[]' END) e
        JOIN pg_operator o ON e <> 'o' AND o.oid::text = e
    )
    SELECT c.oid, c.oid FROM called c WHERE c.oid <> 0
    UNION
    SELECT m, c.oid FROM called c JOIN pg_aggregate a ON a.aggfnoid = c.oid CROSS JOIN unnest(ARRAY[a.aggtransfn, a.aggfinalfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::oid[]) m WHERE m <> 0
$$;

-- tally.tables_of_function: the tables that a function reads although it is marked immutable, itself or by functions that it calls, if the catalog knows
-- them (BEGIN ATOMIC).
CREATE OR REPLACE FUNCTION tally.tables_of_function(function oid)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    WITH RECURSIVE called(oid) AS (
        SELECT function
        UNION
        SELECT d.refobjid FROM called f JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_proc'::regclass
    )
    SELECT 'the table ' || string_agg(DISTINCT d.refobjid::regclass::text, ', ')
    FROM called f JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class c ON c.oid = d.refobjid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
$$;

-- tally.writes_any: the setting that a function in C depends on if it takes values of any type: it may print them as text, as hstore(record) does.
CREATE OR REPLACE FUNCTION tally.writes_any(p pg_proc, tree jsonb, node jsonb, path text[], levels text[])
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT min(tally.text_setting(v, 'text'))
    FROM jsonb_array_elements(CASE jsonb_typeof(node -> 'args' -> 0) WHEN 'array' THEN node -> 'args' -> 0 ELSE '[]' END) WITH ORDINALITY a(item, n)
    JOIN pg_type t ON t.oid = p.proargtypes[(a.n - 1)::integer] AND t.typtype = 'p'
    CROSS JOIN LATERAL tally.value_types(tree, a.item, path || ARRAY['args', '0', (a.n - 1)::text], levels) v
    WHERE p.prolang = (SELECT l.oid FROM pg_language l WHERE l.lanname = 'c')
$$;

-- tally.unstable_calls: the functions that one node calls, and what each depends on; NULL: on its arguments alone.
CREATE OR REPLACE FUNCTION tally.unstable_calls(tree jsonb, node jsonb, path text[], levels text[])
RETURNS TABLE (signature text, why text) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT tally.signature_of(f.called_as), CASE
        WHEN p.provolatile = 'v' THEN CASE WHEN p.proname IN ('clock_timestamp', 'timeofday') THEN 'the clock' ELSE 'chance, a sequence or a table: it is volatile' END
        WHEN p.provolatile = 'i' THEN coalesce(tally.tables_of_function(p.oid), CASE WHEN p.pronamespace <> 'pg_catalog'::regnamespace THEN tally.writes_any(p, tree, node, path, levels) END)
        WHEN p.pronamespace = 'pg_catalog'::regnamespace THEN tally.call_trouble(tally.signature_of(p.oid), tree, node, path, levels)
        ELSE 'a table or a setting: it is only stable' END
    FROM tally.functions_called(node) f JOIN pg_proc p ON p.oid = f.function
$$;

-- tally.domains_under: a domain and the domains that it is based on.
CREATE OR REPLACE FUNCTION tally.domains_under(type oid)
RETURNS SETOF oid LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    WITH RECURSIVE d(oid) AS (
        SELECT domains_under.type UNION SELECT t.typbasetype FROM d JOIN pg_type t ON t.oid = d.oid AND t.typtype = 'd')
    SELECT d.oid FROM d JOIN pg_type t ON t.oid = d.oid AND t.typtype = 'd'
$$;

-- tally.unstable_casts: the functions that a node calls without naming them: those that write values as text or read them (a cast by way of
-- text), those for XML, and those in the checks of a domain.
CREATE OR REPLACE FUNCTION tally.unstable_casts(tree jsonb, node jsonb, path text[], levels text[])
RETURNS TABLE (signature text, why text) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    d record;
BEGIN
    IF node ->> '_' = 'COERCEVIAIO' THEN
        RETURN QUERY SELECT tally.signature_of(t.typoutput), tally.text_setting(t.oid, 'text')
                     FROM tally.value_types(tree, node -> 'arg' -> 0, path || '{arg,0}'::text[], levels) v JOIN pg_type t ON t.oid = v;
        RETURN QUERY SELECT tally.signature_of(t.typinput), tally.text_setting(t.oid, 'input') FROM pg_type t WHERE t.oid = tally.node_type(node);
    ELSIF node ->> '_' = 'XMLEXPR' THEN
        RETURN QUERY SELECT 'XML of ' || t.oid::regtype, CASE WHEN t.oid = 'bytea'::regtype THEN 'the setting xmlbinary' ELSE tally.text_setting(t.oid, 'json') END
                     FROM unnest('{named_args,args}'::text[]) f CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(node -> f -> 0) WHEN 'array' THEN node -> f -> 0 ELSE '[]' END) a
                     JOIN pg_type t ON t.oid = tally.node_type(a);
    ELSIF node ->> '_' IN ('JSONEXPR', 'JSONCONSTRUCTOREXPR') THEN
        RETURN QUERY SELECT 'JSON of ' || t.oid::regtype, tally.text_setting(t.oid, CASE node ->> '_' WHEN 'JSONEXPR' THEN 'input' ELSE 'json' END)
                     FROM (SELECT (node #>> '{returning,0,typid,0}')::oid AS type WHERE node ->> '_' = 'JSONEXPR'
                           UNION SELECT v FROM jsonb_array_elements(CASE jsonb_typeof(node -> 'args' -> 0) WHEN 'array' THEN node -> 'args' -> 0 ELSE '[]' END) WITH ORDINALITY a(item, n)
                           CROSS JOIN LATERAL tally.value_types(tree, a.item, path || ARRAY['args', '0', (a.n - 1)::text], levels) v) x(type)
                     JOIN pg_type t ON t.oid = x.type;
    ELSIF node ->> '_' = 'TABLEFUNC' THEN
        RETURN QUERY SELECT 'a column of ' || t.oid::regtype, tally.text_setting(t.oid, 'input')
                     FROM jsonb_array_elements_text(CASE jsonb_typeof(node -> 'coltypes' -> 0) WHEN 'array' THEN node -> 'coltypes' -> 0 ELSE '[]' END) e JOIN pg_type t ON t.oid::text = e;
    ELSIF node ->> '_' = 'COERCETODOMAIN' THEN
        FOR d IN SELECT c.conbin::text AS body FROM tally.domains_under(tally.node_type(node)) u JOIN pg_constraint c ON c.contypid = u AND c.conbin IS NOT NULL LOOP
            RETURN QUERY SELECT x.signature, x.why FROM tally.tree_nodes(tally.read_tree(d.body)) n
                         CROSS JOIN LATERAL tally.unstable_calls(tally.read_tree(d.body), n.node, n.path, n.levels) x;
        END LOOP;
    END IF;
END
$$;

-- tally.is_zero: whether an expression is the constant 0, as in OFFSET 0.
CREATE OR REPLACE FUNCTION tally.is_zero(node jsonb)
RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT coalesce(tally.constant_bytes(CASE node ->> '_' WHEN 'FUNCEXPR' THEN node -> 'args' -> 0 -> 0 ELSE node END) = '{0,0,0,0,0,0,0,0}', false)
$$;

-- tally.takes_any: whether a query returns an arbitrary part of its rows: it has LIMIT or OFFSET but no ORDER BY. This does not matter in
-- EXISTS, for the single row of an aggregate, and for OFFSET 0.
CREATE OR REPLACE FUNCTION tally.takes_any(tree jsonb, node jsonb, path text[])
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT node ->> '_' = 'QUERY' AND node -> 'sortClause' -> 0 = 'null'
       AND (node -> 'limitCount' -> 0 <> 'null' AND node #> '{limitCount,0,constisnull,0}' IS DISTINCT FROM '"true"'
            OR node -> 'limitOffset' -> 0 <> 'null' AND NOT tally.is_zero(node -> 'limitOffset' -> 0))
       AND NOT (node -> 'hasAggs' ->> 0 = 'true' AND node -> 'groupClause' -> 0 = 'null' AND node -> 'groupingSets' -> 0 = 'null')
       AND NOT coalesce(tree #> path[:cardinality(path) - 2] @> '{"_":"SUBLINK","subLinkType":["0"]}', false)
$$;

-- tally.is_fed_in_order: whether the order in which a query finds its rows does not depend on where they are stored: it reads no table itself, or only
-- one subquery with ORDER BY. If it groups, that order is lost.
CREATE OR REPLACE FUNCTION tally.is_fed_in_order(query jsonb)
RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT coalesce(bool_and(r -> 'rtekind' ->> 0 IN ('3', '4', '5', '8'))  -- functions, XMLTABLE, VALUES, nothing
        OR count(*) = 1 AND bool_and(r -> 'rtekind' ->> 0 = '1' AND r #> '{subquery,0,sortClause,0}' <> 'null')
           AND query -> 'groupClause' -> 0 = 'null' AND query -> 'groupingSets' -> 0 = 'null', true)
    FROM jsonb_array_elements(CASE jsonb_typeof(query -> 'rtable' -> 0) WHEN 'array' THEN query -> 'rtable' -> 0 ELSE '[]' END) r WHERE r -> 'rtekind' ->> 0 <> '9'  -- 18: what it groups by
$$;

-- tally.sorts: whether an ORDER BY sorts by anything but constants.
--   Parameters clause: the ORDER BY; entries: the expressions that it refers to
CREATE OR REPLACE FUNCTION tally.sorts(clause jsonb, entries jsonb)
RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT EXISTS (SELECT FROM jsonb_array_elements(CASE jsonb_typeof(clause) WHEN 'array' THEN clause ELSE '[]' END) s
        JOIN jsonb_array_elements(CASE jsonb_typeof(entries) WHEN 'array' THEN entries ELSE '[]' END) t ON t -> 'ressortgroupref' ->> 0 = s -> 'tleSortGroupRef' ->> 0
        WHERE t #>> '{expr,0,_}' <> 'CONST')
$$;

-- tally.adds_floats: whether an aggregate adds floats. The last digits of its result depend on the order of the rows.
CREATE OR REPLACE FUNCTION tally.adds_floats(p pg_proc)
RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT p.prokind = 'a' AND p.proargtypes[0] IN ('float4'::regtype, 'float8'::regtype) AND p.proname ~ '^(sum|avg|stddev|stddev_pop|stddev_samp|variance|var_pop|var_samp|corr|covar_pop|covar_samp|regr_.*)$'
       AND p.proname <> 'regr_count'
$$;

-- tally.unordered_call: the function that one node calls, if its result depends on the order of the rows and the definition gives none: array_agg
-- and its like, sums of floats, row_number and its like, a window by ROWS, and ARRAY(SELECT …). NULL: it does not.
CREATE OR REPLACE FUNCTION tally.unordered_call(tree jsonb, node jsonb, levels text[])
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    query    jsonb;
    called   pg_proc;
    over_    jsonb;
    frame    integer;
    gathers  boolean;
BEGIN
    IF node ->> '_' = 'SUBLINK' THEN
        query := node -> 'subselect' -> 0;
        RETURN CASE WHEN node -> 'subLinkType' ->> 0 = '6' AND NOT tally.sorts(query -> 'sortClause' -> 0, query -> 'targetList' -> 0) AND query -> 'hasAggs' ->> 0 = 'false'
                     AND NOT tally.is_fed_in_order(query) THEN 'ARRAY(SELECT …)' END;
    END IF;
    query := tree #> (levels[1 + coalesce((node -> 'agglevelsup' ->> 0)::integer, 0)])::text[];
    SELECT p.* INTO called FROM pg_proc p WHERE p.oid = coalesce(node -> 'aggfnoid' ->> 0, node -> 'winfnoid' ->> 0)::oid AND p.pronamespace = 'pg_catalog'::regnamespace;
    gathers := called.proname ~ '^(array_agg|string_agg|xmlagg|any_value|jsonb?_agg(_strict)?|json_object_agg(_unique)?(_strict)?|jsonb_object_agg(_strict)?)$' OR tally.adds_floats(called);
    IF node ->> '_' = 'AGGREF' THEN
        RETURN CASE WHEN gathers AND NOT tally.sorts(node -> 'aggorder' -> 0, node -> 'args' -> 0) AND node -> 'aggdistinct' -> 0 = 'null' AND NOT tally.is_fed_in_order(query)
                    THEN tally.signature_of(called.oid) END;
    END IF;
    SELECT w, (w -> 'frameOptions' ->> 0)::integer INTO over_, frame FROM jsonb_array_elements(query -> 'windowClause' -> 0) w WHERE w -> 'winref' ->> 0 = node -> 'winref' ->> 0;
    gathers := gathers OR called.proname IN ('row_number', 'ntile', 'lag', 'lead', 'first_value', 'last_value', 'nth_value')
            OR called.prokind = 'a' AND frame & 4 > 0 AND frame & 288 <> 288;  -- by ROWS, and not from the first to the last
    RETURN CASE WHEN gathers AND NOT tally.sorts(over_ -> 'orderClause' -> 0, query -> 'targetList' -> 0)
                 AND NOT (tally.is_fed_in_order(query) AND over_ -> 'partitionClause' -> 0 = 'null') THEN tally.signature_of(called.oid) END;
END
$$;

-- tally.unstable_parts: the parts of a tree whose result may change although no table changes.
--   Parameters tree: as tally.read_tree returns it; allowed: signatures of functions that the owner vouches for
--   Returns    part: the function, or a description; why: what it depends on; form: how to write it instead, if there is a way
CREATE OR REPLACE FUNCTION tally.unstable_parts(tree jsonb, allowed text[])
RETURNS TABLE (part text, why text, form text) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    WITH n AS MATERIALIZED (SELECT * FROM tally.tree_nodes(tree)),
    trouble(part, why, form) AS (
        SELECT c.signature, c.why, NULL FROM n CROSS JOIN LATERAL tally.unstable_calls(tree, n.node, n.path, n.levels) c
        WHERE c.why IS NOT NULL AND c.signature <> ALL (allowed)
        UNION ALL
        SELECT x.signature, x.why, NULL FROM n CROSS JOIN LATERAL tally.unstable_casts(tree, n.node, n.path, n.levels) x
        WHERE x.why IS NOT NULL AND x.signature <> ALL (allowed)
        UNION ALL
        SELECT 'CURRENT_DATE, CURRENT_TIME, CURRENT_USER or the like', 'the clock or the session', NULL FROM n WHERE n.node ->> '_' = 'SQLVALUEFUNCTION'
        UNION ALL
        SELECT 'nextval', 'a sequence', NULL FROM n WHERE n.node ->> '_' = 'NEXTVALUEEXPR'
        UNION ALL
        SELECT 'a sample (TABLESAMPLE)', 'chance', 'Choose rows by a hash of a column: hashint4(id) % 10 = 0.' FROM n WHERE n.node ->> '_' = 'TABLESAMPLECLAUSE'
        UNION ALL
        SELECT 'the system column ' || CASE n.node -> 'varattno' ->> 0 WHEN '-1' THEN 'ctid' WHEN '-2' THEN 'xmin' WHEN '-3' THEN 'cmin' WHEN '-4' THEN 'xmax' WHEN '-5' THEN 'cmax' ELSE 'tableoid' END,
               'where a row is stored', 'Use a column that holds it.' FROM n WHERE n.node ->> '_' = 'VAR' AND n.node -> 'varattno' ->> 0 ~ '^-'
        UNION ALL
        SELECT 'LIMIT without ORDER BY', 'the order in which rows are found', 'Add ORDER BY over columns that make it unique.' FROM n WHERE tally.takes_any(tree, n.node, n.path)
        UNION ALL
        SELECT 'DISTINCT ON without ORDER BY', 'the order in which rows are found', 'Add ORDER BY over columns that make it unique.' FROM n
        WHERE n.node ->> '_' = 'QUERY' AND n.node -> 'hasDistinctOn' ->> 0 = 'true' AND n.node -> 'sortClause' -> 0 = 'null'
        UNION ALL
        SELECT u || ' without ORDER BY', 'the order in which rows are found', CASE WHEN u LIKE 'ARRAY%' THEN 'Add ORDER BY to it, over columns that make it unique.'
            WHEN u ~ '^[a-z_]+\((real|double precision)' THEN format('Cast its arguments to numeric, %1$s(x::numeric), or add ORDER BY to them, %1$s(x ORDER BY x).', split_part(u, '(', 1))
            WHEN n.node ->> '_' = 'AGGREF' THEN format('Add ORDER BY to its arguments, over columns that make it unique, as in %s(x ORDER BY x).', split_part(u, '(', 1))
            ELSE 'Add ORDER BY to its window, over columns that make it unique.' END
        FROM n CROSS JOIN LATERAL tally.unordered_call(tree, n.node, n.levels) u WHERE n.node ->> '_' IN ('AGGREF', 'WINDOWFUNC', 'SUBLINK') AND u IS NOT NULL AND u <> ALL (allowed)
    )
    SELECT DISTINCT t.part, t.why, coalesce(t.form, tally.steady_form(t.why)) FROM trouble t
$$;
