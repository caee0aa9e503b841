-- tally.read_tree: the analysed tree that PostgreSQL stores for a view, a function or a policy, as jsonb.
--   Parameters tree: a pg_node_tree, as text (pg_rewrite.ev_action, pg_proc.prosqlbody, pg_policy.polqual …)
--   Returns    a node as {"_":"QUERY","rtable":[…],…}: each field holds an array of its tokens; <> is null. A list of nodes is one
--              such token: "args":[[{…},{…}]]
--   Notes      A token ends at white space or a bracket that has no backslash before it. A token that begins with a colon is the name
--              of a field. Directly after such a name it is a value instead: the alias ":x", for example
CREATE OR REPLACE FUNCTION tally.read_tree(tree text)
RETURNS jsonb LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    WITH token AS (
        SELECT m[1] AS t, n, lag(m[1]) OVER w AS before, lag(m[1], 2) OVER w AS before_that
        FROM regexp_matches(tree, '([(){}]|(?:\\.|[^ \n\t(){}\\])+)', 'g') WITH ORDINALITY AS x(m, n)
        WINDOW w AS (ORDER BY n)
    ), kind AS (
        SELECT t, n, before,
               coalesce(before_that = '{', false) AS after_name,
               coalesce(starts_with(before, ':') AND NOT starts_with(before_that, ':'), false) AS after_field
        FROM token
    )
    SELECT string_agg(CASE
        WHEN before = '{' THEN to_json(t)::text
        WHEN t = '}' THEN CASE WHEN after_name THEN '}' ELSE ']}' END
        WHEN starts_with(t, ':') AND NOT after_field THEN CASE WHEN after_name THEN ',' ELSE '],' END || to_json(substr(t, 2))::text || ':['
        WHEN t IN (')', ']') THEN ']'
        ELSE CASE WHEN before IS NULL OR before IN ('(', '[') OR after_field THEN '' ELSE ',' END
          || CASE t WHEN '{' THEN '{"_":' WHEN '(' THEN '[' WHEN '[' THEN '[' WHEN '<>' THEN 'null'
                    ELSE to_json(regexp_replace(CASE WHEN t ~ '^".*"$' THEN substr(t, 2, length(t) - 2) ELSE t END, '\\(.)', '\1', 'g'))::text END
        END, '' ORDER BY n)::jsonb
    FROM kind
$$;

-- tally.tree_nodes: every node of a tree, with its position.
--   Parameters tree: as tally.read_tree returns it
--   Returns    node; path: to the node from the top (for #>); levels: the paths of the enclosing queries, the innermost first
CREATE OR REPLACE FUNCTION tally.tree_nodes(tree jsonb)
RETURNS TABLE (node jsonb, path text[], levels text[]) LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    WITH RECURSIVE walk(node, path, levels) AS (
        SELECT tree, '{}'::text[], '{}'::text[]
        UNION ALL
        SELECT c.value, w.path || c.key, CASE WHEN w.node @> '{"_":"QUERY"}' THEN w.path::text || w.levels ELSE w.levels END
        FROM walk w CROSS JOIN LATERAL (
            SELECT e.key, e.value FROM jsonb_each(CASE jsonb_typeof(w.node) WHEN 'object' THEN w.node ELSE '{}' END) e
            UNION ALL
            SELECT (a.n - 1)::text, a.value FROM jsonb_array_elements(CASE jsonb_typeof(w.node) WHEN 'array' THEN w.node ELSE '[]' END) WITH ORDINALITY a(value, n)) c
        WHERE jsonb_typeof(c.value) IN ('object', 'array')
    )
    SELECT w.node, w.path, w.levels FROM walk w WHERE jsonb_typeof(w.node) = 'object'
$$;

-- tally.node_type: the type of an expression's value; 0 if the node does not contain it.
CREATE OR REPLACE FUNCTION tally.node_type(node jsonb)
RETURNS oid LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    IF node ->> '_' IN ('BOOLEXPR', 'NULLTEST', 'BOOLEANTEST', 'SCALARARRAYOPEXPR', 'ROWCOMPAREEXPR') THEN
        RETURN 16;
    ELSIF node ->> '_' IN ('COLLATEEXPR', 'NAMEDARGEXPR') THEN
        RETURN tally.node_type(node -> 'arg' -> 0);
    END IF;
    RETURN coalesce((SELECT (node -> f ->> 0)::oid
        FROM unnest('{funcresulttype,opresulttype,vartype,consttype,resulttype,aggtype,wintype,casetype,coalescetype,minmaxtype,array_typeid,row_typeid,paramtype,refrestype,type,typeId}'::text[]) f
        WHERE node ? f LIMIT 1), 0);
END
$$;

-- tally.value_types: the types that make up the text form of an expression's value. For a row they are the types of its columns.
--   Parameters tree; node, path and levels: of the expression, as tally.tree_nodes returns them
--   Returns    types; 0 among them: unknown
CREATE OR REPLACE FUNCTION tally.value_types(tree jsonb, node jsonb, path text[], levels text[])
RETURNS SETOF oid LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    type   oid := tally.node_type(node);
    rows_  jsonb;
    level  text;
BEGIN
    IF node ->> '_' = 'SUBLINK' AND node -> 'subLinkType' ->> 0 IN ('4', '6') THEN  -- one value, or an array of them
        RETURN QUERY SELECT t FROM tally.column_types(tree, path || '{subselect,0}', levels, 1) t;
    ELSIF node ->> '_' = 'SUBLINK' THEN
        RETURN NEXT 16::oid;
    ELSIF node ->> '_' IN ('ROWEXPR', 'ROW') AND type IN (0, 2249) THEN
        RETURN QUERY SELECT t FROM jsonb_array_elements(node -> 'args' -> 0) WITH ORDINALITY a(item, n)
                     CROSS JOIN LATERAL tally.value_types(tree, a.item, path || ARRAY['args', '0', (a.n - 1)::text], levels) t;
    ELSIF node ->> '_' = 'VAR' AND type = 2249 THEN
        level := levels[1 + (node -> 'varlevelsup' ->> 0)::int];
        rows_ := tree #> (level::text[] || ARRAY['rtable', '0', ((node -> 'varno' ->> 0)::int - 1)::text]);
        IF rows_ -> 'rtekind' ->> 0 = '1' THEN
            RETURN QUERY SELECT t FROM tally.column_types(tree, level::text[] || ARRAY['rtable', '0', ((node -> 'varno' ->> 0)::int - 1)::text, 'subquery', '0'],
                                                          levels[1 + (node -> 'varlevelsup' ->> 0)::int:], (node -> 'varattno' ->> 0)::int) t;
        ELSIF jsonb_typeof(rows_ -> 'coltypes' -> 0) = 'array' THEN  -- of VALUES, of a CTE
            RETURN QUERY SELECT e::oid FROM jsonb_array_elements_text(rows_ -> 'coltypes' -> 0) e WHERE e <> 'o';
        ELSE
            RETURN NEXT 0::oid;
        END IF;
    ELSE
        RETURN NEXT type;
    END IF;
END
$$;

-- tally.column_types: as tally.value_types, for an output column of a query in a tree; number 0: for all of them.
CREATE OR REPLACE FUNCTION tally.column_types(tree jsonb, path text[], levels text[], number integer)
RETURNS SETOF oid LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT t FROM jsonb_array_elements(tree #> (path || '{targetList,0}')) WITH ORDINALITY e(item, n)
    CROSS JOIN LATERAL tally.value_types(tree, e.item -> 'expr' -> 0, path || ARRAY['targetList', '0', (e.n - 1)::text, 'expr', '0'], path::text || levels) t
    WHERE e.item -> 'resjunk' ->> 0 = 'false' AND (number = 0 OR e.item -> 'resno' ->> 0 = number::text)
$$;

-- tally.constant_text: the value of a constant of type text; NULL for any other node.
CREATE OR REPLACE FUNCTION tally.constant_text(node jsonb)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT convert_from(string_agg(set_byte('\x00'::bytea, 0, (b.value::int + 256) % 256), ''::bytea ORDER BY b.n), getdatabaseencoding())
    FROM jsonb_array_elements_text(node -> 'constvalue' -> 1) WITH ORDINALITY b(value, n)
    WHERE node ->> '_' = 'CONST' AND node -> 'consttype' ->> 0 = '25' AND b.n > 4  -- the first four hold the length
    HAVING count(*) > 0
$$;

-- tally.constant_bytes: the bytes of a constant, as numbers.
CREATE OR REPLACE FUNCTION tally.constant_bytes(node jsonb)
RETURNS integer[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT ARRAY(SELECT b.value::int FROM jsonb_array_elements_text(node -> 'constvalue' -> 1) WITH ORDINALITY b(value, n) ORDER BY b.n)
    WHERE node ->> '_' = 'CONST' AND jsonb_typeof(node -> 'constvalue' -> 1) = 'array'
$$;
