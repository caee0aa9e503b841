-- tally.derive: which rows of which tables affect which keys of a view.
--   Parameters definition: any view; key: its key columns; stored: the table that keeps it, or SQL in place of that table; guarded: evaluate
--              what may raise an error only for rows that fulfil the view's conditions
--   Returns    a row per table: columns to watch, expand (NULL: the columns are the key), reach, why (a code), ways (for indexes and
--              estimates), shape
--   Notes      If several rows that led to a key change at once, at least one of them must still lead to it without the others. So
--              ways are put in an order (tally.order_ways). If no order is enough, the rest of the key is looked up in the stored rows.
--   Called by  tally.explain, tally.watch
DROP FUNCTION IF EXISTS tally.derive(regclass, name[], text);  -- it could not leave filters out
CREATE OR REPLACE FUNCTION tally.derive(definition regclass, key name[], stored text, guarded boolean DEFAULT true)
RETURNS TABLE (source regclass, columns name[], expand text, reach text, why text, ways jsonb, shape jsonb) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET jit = off AS $$
DECLARE
    starts jsonb;
    vals   jsonb;
BEGIN
    shape := tally.read_definition(definition);
    IF NOT guarded THEN
        shape := jsonb_set(shape, '{filters}', '[]');
    END IF;
    shape := shape || jsonb_build_object('edges', tally.common_edges(shape));
    SELECT jsonb_agg(shape -> 'columns' -> k ORDER BY n) INTO vals FROM unnest(key) WITH ORDINALITY u(k, n);
    SELECT coalesce(jsonb_agg(jsonb_build_object('i', i, 'jumps', to_jsonb(s.jumps), 'result', s.result) ORDER BY i, s.jumps), '[]') INTO starts
    FROM generate_series(0, jsonb_array_length(shape -> 'instances') - 1) i CROSS JOIN LATERAL tally.derive_starts(shape, i, vals) s;
    starts := tally.order_ways(starts);
    shape := shape - 'edges';
    FOR source IN SELECT t FROM tally.tables_read(definition) t ORDER BY t::text COLLATE "C" LOOP
        SELECT d.* INTO columns, expand, reach, why, ways FROM tally.derive_source(definition, key, stored, source, shape, starts) d;
        SELECT t.* INTO columns, expand FROM tally.through_virtual(source, columns, expand) t;
        RETURN NEXT;
    END LOOP;
END
$$;

-- tally.through_virtual: what to watch instead of virtual generated columns, of which triggers see no value: the columns that they are computed
-- from. The expand computes them.
CREATE OR REPLACE FUNCTION tally.through_virtual(source regclass, INOUT columns name[], INOUT expand text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET quote_all_identifiers = off AS $$
DECLARE
    computed name[] := ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = source AND a.attname = ANY (columns) AND a.attgenerated = 'v');
BEGIN
    IF computed = '{}' THEN
        RETURN;
    END IF;
    expand := format(E'WITH changed AS (SELECT %s FROM changed)\n%s',
        (SELECT string_agg(CASE WHEN a.attgenerated = 'v' THEN format('%s AS %I', pg_get_expr(e.adbin, e.adrelid), c) ELSE quote_ident(c) END, ', ' ORDER BY i)
         FROM unnest(columns) WITH ORDINALITY u(c, i) JOIN pg_attribute a ON a.attrelid = source AND a.attname = c LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum),
        CASE WHEN expand IS NULL THEN format('SELECT %s FROM changed', tally.column_list(columns)) WHEN expand ~* '^\s*WITH\M' THEN format('(%s)', expand) ELSE expand END);
    columns := ARRAY(SELECT a.attname FROM pg_attribute a
                     WHERE a.attrelid = source AND a.attgenerated <> 'v' AND (a.attname = ANY (columns) OR a.attname IN (SELECT b FROM unnest(computed) c, tally.columns_behind(source, c) b))
                     ORDER BY a.attnum);
    IF columns = '{}' THEN
        columns := tally.watched(source, '[]');  -- computed from nothing
    END IF;
END
$$;

-- tally.order_ways: order the ways of all instances so that each uses only ways before it. Ways that have to look into the stored rows
-- are marked (stored: true), and so are those for which there is no order (none: 'together').
CREATE OR REPLACE FUNCTION tally.order_ways(starts jsonb)
RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    done text[] := '{}';
    n    integer;
    s    record;
BEGIN
    LOOP
        n := cardinality(done);
        FOR s IN SELECT x, i FROM jsonb_array_elements(starts) WITH ORDINALITY u(x, i) LOOP
            IF tally.start_name(s.x) <> ALL (done) AND (s.x -> 'result' ? 'none' OR tally.used_starts(s.x) <@ done) THEN
                done := done || tally.start_name(s.x);
            END IF;
        END LOOP;
        EXIT WHEN cardinality(done) = jsonb_array_length(starts);
        CONTINUE WHEN cardinality(done) > n;
        SELECT x, i INTO s FROM jsonb_array_elements(starts) WITH ORDINALITY u(x, i)
        WHERE tally.start_name(x) <> ALL (done)
        ORDER BY NOT tally.holds_part(x), x -> 'jumps' <> '[]', (SELECT max(jsonb_array_length(w -> 'joins')) FROM jsonb_array_elements(x -> 'result' -> 'ways') w) DESC, i LIMIT 1;
        starts := jsonb_set(starts, ARRAY[(s.i - 1)::text, 'result'], CASE WHEN tally.holds_part(s.x) THEN s.x -> 'result' || '{"stored": true}' ELSE '{"none": "together"}' END);
        done := done || tally.start_name(s.x);
    END LOOP;
    RETURN starts;
END
$$;

-- tally.start_name: the name of a start: its instance and its jumps as one text.
CREATE OR REPLACE FUNCTION tally.start_name(s jsonb)
RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT (s ->> 'i') || (s ->> 'jumps') $$;

-- tally.used_starts: the names of the starts that the ways of a start go through.
CREATE OR REPLACE FUNCTION tally.used_starts(s jsonb)
RETURNS text[] LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (
        SELECT ARRAY(SELECT DISTINCT format('%s%s', u::integer / 8, coalesce((SELECT jsonb_agg(j ORDER BY n) FROM jsonb_array_elements(s -> 'jumps') WITH ORDINALITY x(j, n) WHERE n > u::integer % 8), '[]'))
                     FROM jsonb_array_elements(s -> 'result' -> 'ways') w, jsonb_array_elements(w -> 'uses') u));
END
$$;

-- tally.holds_part: whether a changed row of a start itself holds a column of the key, in every case of how the key is computed.
CREATE OR REPLACE FUNCTION tally.holds_part(s jsonb)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (
        SELECT s -> 'jumps' = '[]' AND NOT EXISTS (
            SELECT FROM jsonb_array_elements(s -> 'result' -> 'ways') w
            WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(w -> 'targets') t WHERE t ? 'constant' OR t -> 'node' = w -> 'home' AND t -> 'f' = '{}')));
END
$$;

-- tally.derive_source: what to watch of one table, from the ways of all its instances.
CREATE OR REPLACE FUNCTION tally.derive_source(definition regclass, key name[], stored text, source regclass, shape jsonb, starts jsonb,
    OUT columns name[], OUT expand text, OUT reach text, OUT why text, OUT ways jsonb)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    own     jsonb;
    queries text[];
    plain   name[];
BEGIN
    SELECT coalesce(jsonb_agg(s ORDER BY n), '[]') INTO own FROM jsonb_array_elements(starts) WITH ORDINALITY u(s, n)
    WHERE (shape -> 'instances' -> (s ->> 'i')::integer ->> 'relation')::oid = source;
    SELECT s -> 'result' ->> 'none' INTO why FROM jsonb_array_elements(own) s WHERE s -> 'result' ? 'none' LIMIT 1;
    SELECT coalesce(jsonb_agg(w || jsonb_build_object('i', s -> 'i', 'jumps', s -> 'jumps', 'stored', s -> 'result' ? 'stored') ORDER BY n, m), '[]') INTO ways
    FROM jsonb_array_elements(own) WITH ORDINALITY u(s, n), jsonb_array_elements(CASE WHEN why IS NULL THEN s -> 'result' -> 'ways' ELSE '[]' END) WITH ORDINALITY v(w, m);
    columns := tally.watched(source, ways);
    IF own = '[]' AND tally.is_unread(definition, source) THEN
        reach := 'exact'; why := 'unread';
        expand := tally.sql_no_key(definition, key);
        RETURN;
    ELSIF why IS NOT NULL OR own = '[]' THEN
        why := coalesce(why, 'unknown');
        reach := 'every key';
        expand := tally.sql_all_keys(definition, key, stored);
        RETURN;
    END IF;
    SELECT array_agg(q ORDER BY n) INTO queries FROM (
        SELECT q, min(n) AS n FROM (
            SELECT tally.way_sql(shape, w) AS q, i * 2 AS n FROM jsonb_array_elements(ways) WITH ORDINALITY u(w, i)
            UNION ALL SELECT tally.stored_sql(key, stored, w), i * 2 + 1 FROM jsonb_array_elements(ways) WITH ORDINALITY u(w, i) WHERE (w ->> 'stored')::boolean) x
        WHERE q IS NOT NULL GROUP BY q) y;
    reach := CASE WHEN EXISTS (SELECT FROM jsonb_array_elements(ways) w WHERE tally.is_wider(w)) THEN 'wider' ELSE 'exact' END;
    plain := tally.plain_key(definition, key, source, ways);
    IF plain IS NOT NULL AND cardinality(queries) = 1 THEN
        columns := plain;
    ELSIF tally.not_scalar(source, columns, true) IS NOT NULL THEN
        why := 'column ' || tally.not_scalar(source, columns, true);
        reach := 'every key'; ways := '[]';
        columns := tally.watched(source, ways);
        expand := tally.sql_all_keys(definition, key, stored);
    ELSE
        expand := array_to_string(queries, E'\nUNION ALL\n');
    END IF;
END
$$;

-- tally.is_unread: whether a view, with those below it, names a table only in CTEs that are not used.
CREATE OR REPLACE FUNCTION tally.is_unread(definition regclass, source regclass)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN NOT EXISTS (
        SELECT FROM tally.views_under(definition) v CROSS JOIN LATERAL tally.relations_used(tally.view_tree(v)) r WHERE r = source::oid);
END
$$;

-- tally.relations_used: the relations that a tree names outside of CTEs that are not used.
CREATE OR REPLACE FUNCTION tally.relations_used(n jsonb)
RETURNS SETOF oid LANGUAGE sql STABLE AS $$
    WITH RECURSIVE part(n) AS (
        SELECT n
        UNION ALL
        SELECT e.value FROM part p CROSS JOIN LATERAL (
            SELECT a.value FROM jsonb_array_elements(CASE jsonb_typeof(p.n) WHEN 'array' THEN p.n ELSE '[]' END) a
            UNION ALL SELECT o.value FROM jsonb_each(CASE jsonb_typeof(p.n) WHEN 'object' THEN p.n ELSE '{}' END) o) e
        WHERE jsonb_typeof(e.value) IN ('array', 'object') AND NOT (e.value ->> '_' IS NOT DISTINCT FROM 'COMMONTABLEEXPR' AND e.value -> 'cterefcount' ->> 0 = '0'))
    SELECT DISTINCT (p.n -> 'relid' ->> 0)::oid FROM part p WHERE p.n ->> '_' = 'RANGETBLENTRY' AND p.n -> 'relid' ->> 0 <> '0' AND p.n -> 'rtekind' ->> 0 = '0'
$$;

-- tally.sql_all_keys: an expand that returns every key, if anything has changed.
CREATE OR REPLACE FUNCTION tally.sql_all_keys(definition regclass, key name[], stored text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('SELECT %1$s FROM %2$s WHERE EXISTS (SELECT FROM changed)', tally.column_list(key), definition)
        || CASE WHEN stored <> definition::text THEN format(E'\nUNION SELECT %1$s FROM %2$s WHERE EXISTS (SELECT FROM changed)', tally.column_list(key), stored) ELSE '' END
$$;

-- tally.sql_no_key: an expand that returns no key.
CREATE OR REPLACE FUNCTION tally.sql_no_key(definition regclass, key name[])
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format('SELECT %s FROM changed WHERE false', string_agg(format('NULL::%s AS %I', tally.type_of(definition, k), k), ', ' ORDER BY n)) FROM unnest(key) WITH ORDINALITY u(k, n)
$$;

-- tally.watched: the columns of a table that its ways start from. If they need none: the primary key, or some short column.
CREATE OR REPLACE FUNCTION tally.watched(source regclass, ways jsonb)
RETURNS name[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce(
            (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
             WHERE a.attrelid = source AND a.attnum IN (SELECT c::integer FROM jsonb_array_elements(ways) w, jsonb_array_elements(w -> 'watch') c)),
            (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_index x JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey) WHERE x.indrelid = source AND x.indisprimary),
            (SELECT ARRAY[a.attname] FROM pg_attribute a WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attgenerated = 'v', a.attlen < 0, a.attnum LIMIT 1)));
END
$$;

-- tally.plain_key: the columns of a changed row that are the key as they stand, if there is no other way.
CREATE OR REPLACE FUNCTION tally.plain_key(definition regclass, key name[], source regclass, ways jsonb)
RETURNS name[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT array_agg(a.attname ORDER BY t.n)
        FROM jsonb_array_elements(ways -> 0 -> 'targets') WITH ORDINALITY t(goal, n)
        JOIN pg_attribute k ON k.attrelid = definition AND k.attname = key[t.n]
        LEFT JOIN pg_attribute a ON a.attrelid = source AND a.attnum = (t.goal ->> 'col')::integer AND t.goal -> 'node' = ways -> 0 -> 'home' AND a.atttypid = k.atttypid
             AND (a.attnotnull OR NOT t.goal ? 'equal')
        WHERE ways -> 0 -> 'joins' = '[]' AND NOT (ways -> 0 ->> 'stored')::boolean
        HAVING count(a.attname) = cardinality(key) AND count(DISTINCT a.attname) = cardinality(key));
END
$$;

-- tally.is_wider: whether a way may lead to keys that did not change: by way of neighbours, an inequality, or the stored rows.
CREATE OR REPLACE FUNCTION tally.is_wider(way jsonb)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (
        SELECT way -> 'jumps' <> '[]' OR (way ->> 'stored')::boolean OR EXISTS (SELECT FROM jsonb_array_elements(way -> 'joins') j WHERE NOT j -> 'e' ?| '{op,in}'));
END
$$;

-- tally.way_sql: a way as a query over the relation "changed".
CREATE OR REPLACE FUNCTION tally.way_sql(shape jsonb, way jsonb)
RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    aliases jsonb := tally.way_aliases(shape, way);
    joins   text := (SELECT string_agg(format(E'\nJOIN %s%s ON %s', c.oid::regclass, CASE WHEN aliases ->> (j ->> 'b') = quote_ident(c.relname) THEN '' ELSE ' AS ' || (aliases ->> (j ->> 'b')) END,
                            tally.bare(j ->> 'q')), '' ORDER BY n)
                     FROM jsonb_array_elements(way -> 'joins') WITH ORDINALITY u(j, n) JOIN pg_class c ON c.oid = (shape -> 'instances' -> (j ->> 'b')::integer / 8 ->> 'relation')::oid);
    calls   text := (SELECT string_agg(format(E'\nCROSS JOIN LATERAL %s', c.value), '' ORDER BY tally.function_number(c.key))
                     FROM (SELECT DISTINCT f.key, f.value FROM jsonb_array_elements(way -> 'targets') t, jsonb_each_text(t -> 'f') f) c);
    guards  text := (SELECT string_agg(DISTINCT t ->> 'g', ' AND ') FROM jsonb_array_elements(way -> 'targets') t);
    nulls   text := (SELECT string_agg(DISTINCT format('%s IS NOT NULL', t ->> 'q'), ' AND ') FROM jsonb_array_elements(way -> 'targets') t
                     JOIN pg_attribute a ON a.attrelid = (shape -> 'instances' -> (way ->> 'i')::integer ->> 'relation')::oid AND a.attnum = (t ->> 'col')::integer
                     WHERE t ? 'equal' AND t -> 'node' = way -> 'home' AND NOT a.attnotnull);
BEGIN
    RETURN tally.with_aliases(format('SELECT %s FROM changed', (SELECT string_agg(CASE WHEN t ? 'constant' AND t ->> 'q' = 'NULL' THEN 'NULL::' || tally.null_type((t ->> 't')::oid) ELSE t ->> 'q' END, ', ' ORDER BY n)
                                                             FROM jsonb_array_elements(way -> 'targets') WITH ORDINALITY u(t, n)))
        || coalesce(joins, '') || coalesce(calls, '') || coalesce(E'\nWHERE ' || nullif(concat_ws(' AND ', guards, nulls), ''), ''), aliases);
END
$$;

-- tally.bare: SQL without the brackets around it.
CREATE OR REPLACE FUNCTION tally.bare(q text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN q ~ '^\([^()'']*\)$' THEN substr(q, 2, length(q) - 2) ELSE q END $$;

-- tally.way_aliases: the aliases of a way's nodes: the table's name, with a number if that alias is taken: by another table of that name (also
-- in another schema), or by a function in FROM (f1, f2 …).
CREATE OR REPLACE FUNCTION tally.way_aliases(shape jsonb, way jsonb)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    taken text[] := '{changed,stored}';
    made  jsonb := '{}';
    n     record;
    alias text;
BEGIN
    FOR n IN SELECT j ->> 'b' AS node, tally.cut_name(c.relname, 58) AS name FROM jsonb_array_elements(way -> 'joins') WITH ORDINALITY u(j, n)
             JOIN pg_class c ON c.oid = (shape -> 'instances' -> (j ->> 'b')::integer / 8 ->> 'relation')::oid ORDER BY u.n LOOP
        alias := tally.unused_name(n.name, CASE WHEN n.name ~ '^f\d+$' THEN taken || n.name ELSE taken END);
        taken := taken || alias;
        made := made || jsonb_build_object(n.node, quote_ident(alias));
    END LOOP;
    RETURN made || jsonb_build_object(way ->> 'home', 'changed');
END
$$;

-- tally.with_aliases: a text over nodes, with their aliases filled in.
CREATE OR REPLACE FUNCTION tally.with_aliases(q text, aliases jsonb)
RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    a record;
BEGIN
    FOR a IN SELECT key, value FROM jsonb_each_text(aliases) LOOP
        q := replace(q, E'\x01n' || a.key || E'\x02', a.value);
    END LOOP;
    RETURN q;
END
$$;

-- tally.stored_sql: a query for the stored keys that match the key columns which a changed row holds. The rows that led to the
-- other key columns may have been deleted in the same transaction.
CREATE OR REPLACE FUNCTION tally.stored_sql(key name[], stored text, way jsonb)
RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT format(E'SELECT %s FROM changed\nJOIN %s AS stored ON %s', tally.column_list(key, 'stored.'), stored,
            string_agg(CASE WHEN t ? 'equal' AND c.nspname = 'pg_catalog' THEN format('%s = %s', o.col, o.q) WHEN c.nspname <> 'pg_catalog' AND o.q <> 'NULL' THEN tally.sql_alike(v.type, o.col, o.q)
                            ELSE format('%s IS NOT DISTINCT FROM %s', o.col, o.q) END, ' AND ' ORDER BY n))
            || coalesce(E'\nWHERE ' || tally.with_aliases(string_agg(DISTINCT t ->> 'g', ' AND '), jsonb_build_object(way ->> 'home', 'changed')), '')
        FROM jsonb_array_elements(way -> 'targets') WITH ORDINALITY u(t, n)
        CROSS JOIN LATERAL (SELECT format('stored.%I', key[n]) AS col, CASE WHEN t ->> 'q' = 'NULL' THEN 'NULL' ELSE tally.with_aliases(t ->> 'q', jsonb_build_object(way ->> 'home', 'changed')) END AS q) o
        CROSS JOIN LATERAL (SELECT (way -> 'values' -> n::integer - 1 ->> 't')::oid AS type) v
        LEFT JOIN LATERAL (SELECT s.nspname FROM pg_opclass k JOIN pg_namespace s ON s.oid = k.opcnamespace WHERE k.oid = tally.default_opclass(v.type)) c ON true
        WHERE t ? 'constant' OR t -> 'node' = way -> 'home' AND t -> 'f' = '{}');
END
$$;
