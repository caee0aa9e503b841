-- tally.split_parts: how a view that groups can be split into its ungrouped rows, a rollup of them, and, if needed, a view above.
--   Returns    {why}: why it cannot be split; otherwise
--              rows: SQL of the rows; key: the columns that identify one; groups: the columns of the rollup's GROUP BY;
--              measures: [{name, measure}]; above: SQL of each column of the view over the rollup s, NULL if the rollup has the view's columns
--   Notes      The tree tells which items are aggregates and groups. The SQL of the parts comes from the text that PostgreSQL prints.
--   Called by  tally.split, tally.follow_split
CREATE OR REPLACE FUNCTION tally.split_parts(definition regclass)
RETURNS jsonb LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET quote_all_identifiers = off SET jit = off AS $$
DECLARE
    tree   jsonb := tally.shown_columns(tally.view_tree(definition), definition);
    why    text  := tally.unsplittable(tree);
    text_  record;
    items  jsonb;   -- [{name, sql, kind: group, aggregate, expression, constant}]
    cols   jsonb;   -- of the rows: [{name, sql}]
    calls  jsonb;   -- [{item, sql, function, name, arg}]
    above  jsonb;
    key    jsonb;
BEGIN
    IF why IS NOT NULL THEN
        RETURN jsonb_build_object('why', why);
    END IF;
    SELECT * INTO text_ FROM tally.sql_clauses(pg_get_viewdef(definition));
    items := tally.split_items(definition, tree, text_.items);
    cols := tally.split_groups(tree, items, text_.groups);
    calls := tally.split_calls(items);
    IF (SELECT count(*) FROM jsonb_array_elements(calls)) <> (SELECT count(*) FROM jsonb_path_query(tree -> 'targetList', 'strict $.** ? (@._ == "AGGREF")')) THEN
        RETURN jsonb_build_object('why', 'its aggregates cannot be told apart');
    END IF;
    above := tally.split_above(items, cols, calls);
    key := tally.split_key(tree, text_.before, text_.source, cols || (
        SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object('name', c -> 'arg', 'sql', c -> 'row', 'argument', true)), '[]') FROM jsonb_array_elements(calls) c WHERE c -> 'arg' <> 'null'));
    IF key ? 'why' THEN
        RETURN key;
    END IF;
    RETURN jsonb_build_object('rows', key -> 'rows', 'key', key -> 'key', 'groups', (SELECT coalesce(jsonb_agg(c -> 'name' ORDER BY i), '[]') FROM jsonb_array_elements(cols) WITH ORDINALITY u(c, i)),
        'measures', (SELECT jsonb_agg(jsonb_build_object('name', m.name, 'measure', m.measure) ORDER BY m.i) FROM (
            SELECT c ->> 'name' AS name, min(i) AS i, CASE WHEN c ->> 'function' = 'count(*)' THEN 'count(*)' WHEN c ->> 'function' = 'count_distinct' THEN format('count(distinct %I)', c ->> 'arg')
                   ELSE format('%s(%I)', c ->> 'function', c ->> 'arg') END AS measure
            FROM jsonb_array_elements(calls) WITH ORDINALITY u(c, i) GROUP BY 1, 3) m),
        'above', above);
END
$$;

-- tally.shown_columns: the tree of a view's query without the items of its target list that are no columns of it. An ORDER BY adds such items, and
-- a rollup has no order.
CREATE OR REPLACE FUNCTION tally.shown_columns(tree jsonb, definition regclass)
RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT jsonb_set(tree, '{targetList,0}', (SELECT coalesce(jsonb_agg(t.item ORDER BY t.i), '[]') FROM tally.node_items(tree, 'targetList') t
        WHERE EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = definition AND a.attnum = (t.item -> 'resno' ->> 0)::integer)))
    WHERE tree IS NOT NULL
$$;

-- tally.unsplittable: why a view cannot be split; NULL if its tree shows no obstacle.
CREATE OR REPLACE FUNCTION tally.unsplittable(tree jsonb)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    targets jsonb := tree -> 'targetList';
BEGIN
    IF tree IS NULL THEN
        RETURN 'it is no view';
    ELSIF tally.node(tree, 'setOperations') IS NOT NULL THEN
        RETURN 'it is a set operation';
    ELSIF tree -> 'hasAggs' ->> 0 <> 'true' THEN
        RETURN 'it has no aggregate';
    ELSIF tally.node(tree, 'havingQual') IS NOT NULL THEN
        RETURN 'it has a HAVING, which lets groups come and go by what they add up to';
    ELSIF tally.node(tree, 'groupingSets') IS NOT NULL THEN
        RETURN 'it has grouping sets';
    ELSIF NOT jsonb_path_exists(targets, 'strict $.** ? (@._ == "AGGREF")') THEN
        RETURN 'none of its columns is an aggregate';
    ELSIF tree -> 'hasWindowFuncs' ->> 0 = 'true' OR tally.node(tree, 'distinctClause') IS NOT NULL OR tally.node(tree, 'limitCount') IS NOT NULL OR tally.node(tree, 'limitOffset') IS NOT NULL
       OR tree -> 'hasTargetSRFs' ->> 0 = 'true' THEN
        RETURN 'its groups depend on each other (a window, DISTINCT, LIMIT), or give several rows';
    ELSIF jsonb_path_exists(targets, 'strict $.** ? (@._ == "SUBLINK")') THEN
        RETURN 'a subquery stands beside its aggregates';
    ELSIF jsonb_array_length(coalesce(tally.node(tree, 'jointree') -> 'fromlist' -> 0, '[]')) = 0 THEN
        RETURN 'it reads no table';
    END IF;
    RETURN (
        SELECT format('%s is no measure that a rollup keeps', CASE
                WHEN jsonb_typeof(a -> 'aggorder' -> 0) = 'array' THEN p.proname || '(… ORDER BY …)' WHEN jsonb_typeof(a -> 'aggdistinct' -> 0) = 'array' THEN p.proname || '(DISTINCT …)' ELSE p.oid::regprocedure::text END)
        FROM jsonb_path_query(targets, 'strict $.** ? (@._ == "AGGREF")') a JOIN pg_proc p ON p.oid = (a -> 'aggfnoid' ->> 0)::oid
        WHERE p.pronamespace <> 'pg_catalog'::regnamespace OR p.proname NOT IN ('count', 'sum', 'avg', 'min', 'max', 'bool_or', 'bool_and', 'every')
           OR jsonb_typeof(a -> 'aggorder' -> 0) = 'array' AND NOT jsonb_typeof(a -> 'aggdistinct' -> 0) = 'array'
           OR jsonb_typeof(a -> 'aggdistinct' -> 0) = 'array' AND p.proname IN ('sum', 'avg')
           OR a -> 'agglevelsup' ->> 0 <> '0' OR p.pronargs > 1
        LIMIT 1);
END
$$;

-- tally.split_items: the columns of a view that groups, each with its SQL and its kind.
CREATE OR REPLACE FUNCTION tally.split_items(definition regclass, tree jsonb, texts text[])
RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'kind', k.kind,
            'sql', CASE WHEN right(x.item, length(a.suffix)) = a.suffix THEN left(x.item, -length(a.suffix)) ELSE x.item END) ORDER BY x.i)
    FROM unnest(texts) WITH ORDINALITY x(item, i)
    JOIN (SELECT attnum, attname, ' AS ' || quote_ident(attname) AS suffix FROM pg_attribute WHERE attrelid = definition) a ON a.attnum = x.i
    JOIN tally.node_items(tree, 'targetList') t ON (t.item -> 'resno' ->> 0)::integer = x.i
    CROSS JOIN LATERAL (SELECT CASE WHEN tally.node(t.item, 'expr') ->> '_' = 'AGGREF' THEN 'aggregate'
        WHEN jsonb_path_exists(t.item, 'strict $.** ? (@._ == "AGGREF")') THEN 'expression'
        WHEN tally.node(tree, 'groupClause') IS NULL THEN 'constant' ELSE 'group' END) k(kind)
$$;

-- tally.split_groups: the columns of the rollup's GROUP BY: those columns of the view that are not aggregates, and those that the view
-- groups by without having them as output columns.
CREATE OR REPLACE FUNCTION tally.split_groups(tree jsonb, items jsonb, groups text[])
RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('name', name, 'sql', sql) ORDER BY shown DESC, i), '[]') FROM (
        SELECT x ->> 'name' AS name, x ->> 'sql' AS sql, i, true AS shown FROM jsonb_array_elements(items) WITH ORDINALITY u(x, i) WHERE x ->> 'kind' = 'group'
        UNION ALL
        SELECT tally.unused_name('group_' || g.i, ARRAY(SELECT x ->> 'name' FROM jsonb_array_elements(items) x)), groups[g.i], g.i, false
        FROM tally.node_items(tree, 'groupClause') g
        WHERE NOT EXISTS (SELECT FROM tally.node_items(tree, 'targetList') t
                          WHERE t.item -> 'ressortgroupref' ->> 0 = g.item -> 'tleSortGroupRef' ->> 0 AND (t.item -> 'resno' ->> 0)::integer <= jsonb_array_length(items))) y
$$;

-- tally.split_calls: the aggregates of a view: the name of each in the rollup, and the column of a row that it is computed from.
--   Returns    item: its number; first, last: numbers of its tokens; sql; function; row: SQL of its argument; arg: that column; name: the measure
CREATE OR REPLACE FUNCTION tally.split_calls(items jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    taken text[] := ARRAY(SELECT x ->> 'name' FROM jsonb_array_elements(items) x);
    made  jsonb := '[]';
    c     record;
    same  jsonb;
    arg   text;
    name  text;
BEGIN
    FOR c IN
        SELECT i, x ->> 'name' AS of_item, x ->> 'kind' AS kind, g.first, g.last, g.function,
               CASE WHEN g.condition IS NULL THEN g.argument ELSE format('CASE WHEN %s THEN %s END', g.condition, coalesce(g.argument, 'true')) END AS row_sql,
               (SELECT string_agg(t.token, '' ORDER BY t.n) FROM tally.sql_tokens(x ->> 'sql') t WHERE t.n BETWEEN g.first AND g.last) AS sql
        FROM jsonb_array_elements(items) WITH ORDINALITY u(x, i) CROSS JOIN LATERAL tally.sql_aggregates(x ->> 'sql') g
        WHERE x ->> 'kind' IN ('aggregate', 'expression') ORDER BY x ->> 'kind', i, g.first LOOP
        IF c.function = 'count(*)' AND c.row_sql IS NOT NULL THEN
            c.function := 'count';
        END IF;
        SELECT m INTO same FROM jsonb_array_elements(made) m WHERE m ->> 'row' = c.row_sql LIMIT 1;
        arg := CASE WHEN c.row_sql IS NULL THEN NULL WHEN same IS NOT NULL THEN same ->> 'arg'
                    WHEN c.kind = 'aggregate' THEN c.of_item ELSE tally.unused_name(tally.cut_name(c.of_item, 50) || '_of', taken) END;
        SELECT m ->> 'name' INTO name FROM jsonb_array_elements(made) m WHERE m ->> 'sql' = c.sql AND c.kind = 'expression' LIMIT 1;
        IF NOT FOUND THEN
            name := CASE c.kind WHEN 'aggregate' THEN c.of_item ELSE tally.unused_name(tally.cut_name(c.of_item, 50) || '_' || split_part(c.function, '(', 1), taken) END;
        END IF;
        taken := taken || name || array_remove(ARRAY[arg], NULL);
        made := made || jsonb_build_array(jsonb_build_object('item', c.i, 'first', c.first, 'last', c.last, 'sql', c.sql, 'function', c.function, 'row', c.row_sql, 'arg', arg, 'name', name));
    END LOOP;
    RETURN made;
END
$$;

-- tally.is_constant: whether the SQL of a column is a constant, as PostgreSQL prints it. Its text may stand elsewhere with another meaning: numeric(10,1).
CREATE OR REPLACE FUNCTION tally.is_constant(sql text)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT sql ~ '^\(?(''([^'']|'''')*''|[-+0-9.eE]+|NULL|true|false)\)?(::[^'']+)?$' $$;

-- tally.split_above: the columns of a view over the rollup, in the order of the view that was split; NULL if the rollup already has them so.
CREATE OR REPLACE FUNCTION tally.split_above(items jsonb, groups jsonb, calls jsonb)
RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT CASE WHEN NOT EXISTS (SELECT FROM jsonb_array_elements(items) x WHERE x ->> 'kind' IN ('expression', 'constant'))
                 AND ARRAY(SELECT x ->> 'name' FROM jsonb_array_elements(items) WITH ORDINALITY u(x, i) WHERE x ->> 'kind' = 'group' ORDER BY i)
                   = ARRAY(SELECT g ->> 'name' FROM jsonb_array_elements(groups) WITH ORDINALITY u(g, i) ORDER BY i)
                 AND NOT EXISTS (SELECT FROM jsonb_array_elements(items) WITH ORDINALITY a(x, i) JOIN jsonb_array_elements(items) WITH ORDINALITY b(y, j) ON i < j AND x ->> 'kind' <> 'group' AND y ->> 'kind' = 'group')
           THEN NULL ELSE (
        SELECT jsonb_agg(CASE x ->> 'kind' WHEN 'group' THEN format('s.%I', x ->> 'name') WHEN 'aggregate' THEN format('s.%I', x ->> 'name')
                ELSE tally.sql_replaced(x ->> 'sql', s.wanted, s.by) || format(' AS %I', x ->> 'name') END ORDER BY i)
        FROM jsonb_array_elements(items) WITH ORDINALITY u(x, i)
        CROSS JOIN (SELECT coalesce(array_agg(w.sql ORDER BY w.n), '{}') AS wanted, coalesce(array_agg(w.by ORDER BY w.n), '{}') AS by FROM (
            SELECT 0 AS n, c ->> 'sql' AS sql, format('s.%I', c ->> 'name') AS by FROM jsonb_array_elements(calls) c
            UNION ALL SELECT 1, g ->> 'sql', format('s.%I', g ->> 'name') FROM jsonb_array_elements(groups) g WHERE NOT tally.is_constant(g ->> 'sql')) w) s) END
$$;

-- tally.split_key: the columns that identify a row, and the query of the rows with these columns.
--   Parameters before, source: parts of the view's text; columns: of the rows, {name, sql}, and argument if only an aggregate reads it: such
--              a column may be the key too (count(t.id)), and is none that is grouped by
--   Returns    {rows, key} or {why}
CREATE OR REPLACE FUNCTION tally.split_key(tree jsonb, before text, source text, columns jsonb)
RETURNS jsonb LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    names  jsonb;   -- [{name, sql}]
    found_ name[];
    list   text;
BEGIN
    names := tally.split_names(tree, columns);
    list := tally.sql_select_list(names || columns);
    BEGIN
        EXECUTE format('CREATE TEMP VIEW tally_split AS %sSELECT %s %s', before, list, source);
        SELECT p.key INTO found_ FROM tally.propose_keys('pg_temp.tally_split'::regclass) p WHERE p.singly LIMIT 1;
        DROP VIEW pg_temp.tally_split;
    EXCEPTION WHEN syntax_error_or_access_rule_violation OR feature_not_supported OR duplicate_alias OR ambiguous_alias THEN
        RETURN jsonb_build_object('why', format('its rows cannot be written as a view (%s)', SQLERRM));
    END;
    IF found_ IS NULL THEN
        RETURN jsonb_build_object('why', 'no primary key of its tables names the rows that it groups');
    ELSIF found_ <@ ARRAY(SELECT (c ->> 'name')::name FROM jsonb_array_elements(columns) c WHERE NOT c ? 'argument') THEN
        RETURN jsonb_build_object('why', 'each of its groups is one row');
    END IF;
    names := (SELECT coalesce(jsonb_agg(n ORDER BY i), '[]') FROM jsonb_array_elements(names) WITH ORDINALITY u(n, i) WHERE (n ->> 'name')::name = ANY (found_));
    RETURN jsonb_build_object('key', to_jsonb(found_), 'rows', format('%sSELECT %s %s', before, tally.sql_select_list(names || columns), source));
END
$$;

-- tally.sql_select_list: columns as a SELECT list.
CREATE OR REPLACE FUNCTION tally.sql_select_list(columns jsonb)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(format('%s AS %I', c ->> 'sql', c ->> 'name'), ', ' ORDER BY i) FROM jsonb_array_elements(columns) WITH ORDINALITY u(c, i)
$$;

-- tally.split_names: columns that may identify a row: primary keys of the tables that a view joins, and of those below the views that it joins.
CREATE OR REPLACE FUNCTION tally.split_names(tree jsonb, columns jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    taken text[] := ARRAY(SELECT c ->> 'name' FROM jsonb_array_elements(columns) c);
    names jsonb := '[]';
    m     record;
    name  text;
BEGIN
    FOR m IN
        SELECT r.i, r.alias || CASE WHEN r.k > 1 THEN '_' || r.k - 1 ELSE '' END AS alias, k.col
        FROM (SELECT x.*, row_number() OVER (PARTITION BY x.alias ORDER BY x.i) AS k FROM (   -- PostgreSQL prints the second t as t_1
            SELECT r.i, r.item, coalesce(tally.node(r.item, 'alias') -> 'aliasname' ->> 0, c.relname, r.item -> 'ctename' ->> 0) AS alias
            FROM tally.node_items(tree, 'rtable') r LEFT JOIN pg_class c ON r.item -> 'rtekind' ->> 0 = '0' AND c.oid = (r.item -> 'relid' ->> 0)::oid) x) r
        CROSS JOIN LATERAL tally.key_columns(tree, r.item) k
        WHERE jsonb_path_exists(tree -> 'jointree', format('strict $.** ? (@._ == "RANGETBLREF" && @.rtindex[0] == "%s")', r.i)::jsonpath) ORDER BY r.i, k.n LOOP
        name := CASE WHEN m.col = ANY (taken) THEN tally.unused_name(tally.cut_name(m.alias || '_' || m.col, 55), taken) ELSE m.col END;
        CONTINUE WHEN EXISTS (SELECT FROM jsonb_array_elements(columns) c WHERE c ->> 'sql' = format('%I.%I', m.alias, m.col));
        taken := taken || name;
        names := names || jsonb_build_array(jsonb_build_object('name', name, 'sql', format('%I.%I', m.alias, m.col)));
    END LOOP;
    RETURN names;
END
$$;

-- tally.key_columns: the columns of a member of FROM that belong to, or come from, a key (tally.row_keys).
--   Parameters query: the query with that FROM; rte: its entry in the range table
CREATE OR REPLACE FUNCTION tally.key_columns(query jsonb, rte jsonb)
RETURNS TABLE (col name, n smallint) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    relation oid := CASE rte -> 'rtekind' ->> 0 WHEN '0' THEN (rte -> 'relid' ->> 0)::oid END;
    below jsonb := CASE rte -> 'rtekind' ->> 0 WHEN '1' THEN tally.node(rte, 'subquery')
                        WHEN '6' THEN (SELECT tally.node(c.item, 'ctequery') FROM tally.node_items(query, 'cteList') c WHERE c.item -> 'ctename' = rte -> 'ctename') END;
BEGIN
    IF relation IS NOT NULL AND (SELECT c.relkind FROM pg_class c WHERE c.oid = relation) <> 'v' THEN
        RETURN QUERY SELECT DISTINCT a.attname, a.attnum FROM tally.row_keys(relation) k JOIN pg_attribute a ON a.attrelid = relation AND a.attnum = ANY (k.attnums);
        RETURN;
    ELSIF relation IS NOT NULL THEN
        below := tally.view_tree(relation);
    ELSE  -- it may read the CTEs of the queries around it
        below := below || jsonb_build_object('cteList', jsonb_build_array((SELECT coalesce(jsonb_agg(c.item), '[]') FROM (SELECT * FROM tally.node_items(below, 'cteList') UNION ALL SELECT * FROM tally.node_items(query, 'cteList')) c)));
    END IF;
    RETURN QUERY
    SELECT coalesce((SELECT a.attname FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum = (t.item -> 'resno' ->> 0)::smallint), (t.item -> 'resname' ->> 0)::name), (t.item -> 'resno' ->> 0)::smallint
    FROM tally.node_items(below, 'targetList') t CROSS JOIN LATERAL (SELECT tally.node(t.item, 'expr') AS e) x
    CROSS JOIN LATERAL (SELECT below -> 'rtable' -> 0 -> (e -> 'varno' ->> 0)::integer - 1 AS member) m
    WHERE e ->> '_' = 'VAR' AND e -> 'varlevelsup' ->> 0 = '0' AND t.item -> 'resname' ->> 0 IS NOT NULL  -- what only ORDER BY names is no column
      AND EXISTS (SELECT FROM tally.key_columns(below, m.member) k WHERE CASE WHEN m.member -> 'rtekind' ->> 0 IN ('0', '1', '6') THEN k.n = (e -> 'varattno' ->> 0)::smallint END);
END
$$;
