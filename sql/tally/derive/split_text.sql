-- The text of a query as PostgreSQL prints it (pg_get_viewdef), split into its parts. PostgreSQL prints brackets around every operator, so
-- a keyword outside of brackets always begins a clause.

-- tally.sql_tokens: the tokens of a query, with the number of brackets that are open before each.
CREATE OR REPLACE FUNCTION tally.sql_tokens(query text)
RETURNS TABLE (n bigint, token text, depth bigint) LANGUAGE sql IMMUTABLE AS $$
    SELECT t.n, t.token, coalesce(sum((t.token IN ('(', '['))::integer - (t.token IN (')', ']'))::integer) OVER (ORDER BY t.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
    FROM (SELECT m[1] AS token, i AS n FROM regexp_matches(query, $re$('(?:[^']|'')*'|"(?:[^"]|"")*"|[\w$]+|\s+|.)$re$, 'g') WITH ORDINALITY u(m, i)) t
$$;

-- tally.sql_list: the items of a list, split at commas outside of brackets.
CREATE OR REPLACE FUNCTION tally.sql_list(list text)
RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(item ORDER BY part) FROM (
        SELECT part, btrim(string_agg(CASE WHEN token = ',' AND depth = 0 THEN '' ELSE token END, '' ORDER BY n), E' \n') AS item
        FROM (SELECT *, count(*) FILTER (WHERE token = ',' AND depth = 0) OVER (ORDER BY n) AS part FROM tally.sql_tokens(list)) t GROUP BY part) x
$$;

-- tally.sql_clauses: the clauses of a SELECT: before (WITH …), items, source (FROM … WHERE …), groups.
CREATE OR REPLACE FUNCTION tally.sql_clauses(query text, OUT before text, OUT items text[], OUT source text, OUT groups text[])
LANGUAGE sql IMMUTABLE AS $$
    WITH token AS MATERIALIZED (SELECT * FROM tally.sql_tokens(query)),
    place AS (
        SELECT (SELECT min(n) FROM token WHERE depth = 0 AND token = 'SELECT') AS choose,
               (SELECT min(n) FROM token WHERE depth = 0 AND token = 'FROM') AS source,
               (SELECT min(n) FROM token WHERE depth = 0 AND token = 'GROUP') AS grouped,
               (SELECT min(n) FROM token WHERE depth = 0 AND token IN ('GROUP', 'HAVING', 'ORDER', 'WINDOW', 'LIMIT', 'OFFSET', 'FETCH', 'FOR', ';')) AS ended,
               (SELECT min(n) FROM token WHERE depth = 0 AND token IN ('HAVING', 'ORDER', 'WINDOW', 'LIMIT', 'OFFSET', 'FETCH', 'FOR', ';')) AS closed)
    SELECT coalesce(string_agg(t.token, '' ORDER BY t.n) FILTER (WHERE t.n < p.choose), ''),
           tally.sql_list(string_agg(t.token, '' ORDER BY t.n) FILTER (WHERE t.n > p.choose AND t.n < p.source)),
           string_agg(t.token, '' ORDER BY t.n) FILTER (WHERE t.n >= p.source AND t.n < p.ended),
           coalesce(tally.sql_list(regexp_replace(string_agg(t.token, '' ORDER BY t.n) FILTER (WHERE t.n > p.grouped AND t.n < p.closed), '^\s*BY\s+', '')), '{}')
    FROM token t CROSS JOIN place p
$$;

-- tally.sql_aggregates: the calls of aggregates in an expression, each with its FILTER.
--   Returns   first, last: numbers of its tokens; function (count(*), count_distinct …); argument; condition: of its FILTER
CREATE OR REPLACE FUNCTION tally.sql_aggregates(expression text)
RETURNS TABLE (first bigint, last bigint, function text, argument text, condition text) LANGUAGE sql STABLE AS $$
    WITH token AS MATERIALIZED (SELECT * FROM tally.sql_tokens(expression)),
    call AS (
        SELECT t.n AS first, (SELECT min(c.n) FROM token c WHERE c.n > t.n + 1 AND c.token = ')' AND c.depth = t.depth + 1) AS closed, t.token AS name, t.depth
        FROM token t JOIN token o ON o.n = t.n + 1 AND o.token = '(' LEFT JOIN token p ON p.n = t.n - 1
        WHERE t.token IN ('count', 'sum', 'avg', 'min', 'max', 'bool_or', 'bool_and', 'every') AND p.token IS DISTINCT FROM '.'
    ), filtered AS (
        SELECT c.*, (SELECT min(e.n) FROM token e WHERE e.n > c.closed + 4 AND e.token = ')' AND e.depth = c.depth + 1) AS ended,
               btrim((SELECT string_agg(x.token, '' ORDER BY x.n) FROM token x WHERE x.n > c.first + 1 AND x.n < c.closed)) AS inside
        FROM call c JOIN token f ON f.n = c.closed + 2 AND f.token = 'FILTER'
        UNION ALL
        SELECT c.*, NULL, btrim((SELECT string_agg(x.token, '' ORDER BY x.n) FROM token x WHERE x.n > c.first + 1 AND x.n < c.closed))
        FROM call c WHERE NOT EXISTS (SELECT FROM token f WHERE f.n = c.closed + 2 AND f.token = 'FILTER')
    )
    SELECT f.first, coalesce(f.ended, f.closed),
           CASE WHEN f.inside = '*' THEN 'count(*)' WHEN f.inside ~ '^DISTINCT ' THEN CASE WHEN f.name = 'count' THEN 'count_distinct' ELSE f.name END WHEN f.name = 'every' THEN 'bool_and' ELSE f.name END,
           CASE WHEN f.inside = '*' THEN NULL ELSE regexp_replace(f.inside, '^DISTINCT ', '') END,
           (SELECT regexp_replace(string_agg(x.token, '' ORDER BY x.n), '^WHERE ', '') FROM token x WHERE x.n > f.closed + 4 AND x.n < f.ended)
    FROM filtered f ORDER BY f.first
$$;

-- tally.sql_replaced: an expression with sequences of its tokens replaced.
--   Parameters wanted: SQL to look for, the longest first; by: the replacements
CREATE OR REPLACE FUNCTION tally.sql_replaced(expression text, wanted text[], by text[])
RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    tokens text[] := ARRAY(SELECT t.token FROM tally.sql_tokens(expression) t ORDER BY t.n);
    seek   text[];
    made   text := '';
    i      integer := 1;
    k      integer;
BEGIN
    WHILE i <= cardinality(tokens) LOOP
        FOR k IN SELECT w FROM generate_subscripts(wanted, 1) w ORDER BY length(wanted[w]) DESC, w LOOP
            seek := ARRAY(SELECT t.token FROM tally.sql_tokens(wanted[k]) t ORDER BY t.n);
            EXIT WHEN tokens[i:i + cardinality(seek) - 1] = seek AND tokens[i - 1] IS DISTINCT FROM '.';
            k := NULL;
        END LOOP;
        IF k IS NULL THEN
            made := made || tokens[i];
            i := i + 1;
        ELSE
            made := made || by[k];
            i := i + cardinality(seek);
        END IF;
    END LOOP;
    RETURN made;
END
$$;

-- tally.unused_name: a name, with a number added if it is taken.
CREATE OR REPLACE FUNCTION tally.unused_name(name text, others text[])
RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    free text := name;
    i    integer := 1;
BEGIN
    WHILE free = ANY (others) LOOP
        i := i + 1;
        free := format('%s_%s', name, i);
    END LOOP;
    RETURN free;
END
$$;
