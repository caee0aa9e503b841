-- tally.same_sql: whether two expressions differ only in white space and brackets.
CREATE OR REPLACE FUNCTION tally.same_sql(a text, b text)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT regexp_replace(a, '[\s()]', '', 'g') = regexp_replace(b, '[\s()]', '', 'g') $$;

-- tally.is_gin_on: whether an index is a GIN index that finds the arrays of a column by their elements.
CREATE OR REPLACE FUNCTION tally.is_gin_on(i pg_index, attnum smallint)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT EXISTS (
        SELECT FROM unnest(i.indkey::smallint[], i.indclass::oid[]) k(col, class) JOIN pg_opclass c ON c.oid = k.class JOIN pg_am m ON m.oid = c.opcmethod
        WHERE k.col = attnum AND m.amname = 'gin' AND c.opcname = 'array_ops')
$$;

-- tally.way_steps: the look-ups of ways, with an index for each, and how many rows one value leads to.
--   Parameters ways, shape: of tally.derive
--   Returns    way, step; relation; col (NULL: an expression, or no equality); index: one that begins with col; missing: the CREATE INDEX;
--              rows: for an average value; common: for the most common one (NULL: no statistics)
CREATE OR REPLACE FUNCTION tally.way_steps(ways jsonb, shape jsonb)
RETURNS TABLE (way bigint, step bigint, relation regclass, col name, index regclass, missing text, rows float8, common float8, value text) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
SET jit = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$   -- a few rows, looked up in catalogs by index
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM jsonb_array_elements(ways) w WHERE w -> 'joins' <> '[]') THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT w.n, s.n, r.oid::regclass, a.attname, x.index, CASE WHEN x.index IS NULL AND e.expression IS NOT NULL THEN format('CREATE INDEX ON %s %s(%s)', r.oid::regclass, CASE s.j -> 'e' ->> 'mb' WHEN 'gin' THEN 'USING gin ' ELSE '' END, e.expression) END,
           (k.many * CASE WHEN u.is_unique THEN 1 WHEN s.j -> 'e' ->> 'mb' = 'gin' THEN nullif(r.reltuples, -1) * (p.elem_count_histogram)[array_upper(p.elem_count_histogram, 1)] / nullif(cardinality(p.most_common_elem_freqs) - 3, 0)
                WHEN a.attname IS NULL AND s.j -> 'e' ? 'op' THEN NULL WHEN a.attname IS NULL THEN nullif(r.reltuples, -1)
                ELSE nullif(r.reltuples, -1) * (1 - coalesce(p.null_frac, 0)) / nullif(CASE WHEN p.n_distinct < 0 THEN -p.n_distinct * r.reltuples ELSE p.n_distinct END, 0) END)::float8,
           (CASE WHEN u.is_unique THEN 1 ELSE nullif(r.reltuples, -1) * (p.most_common_freqs)[1] END)::float8, (p.most_common_vals::text::text[])[1]
    FROM jsonb_array_elements(ways) WITH ORDINALITY w(way, n)
    CROSS JOIN LATERAL jsonb_array_elements(w.way -> 'joins') WITH ORDINALITY s(j, n)
    JOIN pg_class r ON r.oid = (shape -> 'instances' -> (s.j ->> 'b')::integer / 8 ->> 'relation')::oid
    LEFT JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = (s.j -> 'e' ->> 'cb')::integer
    LEFT JOIN LATERAL (SELECT y.* FROM pg_stats y   -- OFFSET 0: else the view is read as a whole
        WHERE y.tablename = r.relname AND y.attname = a.attname AND y.schemaname = (SELECT n.nspname FROM pg_namespace n WHERE n.oid = r.relnamespace) AND y.inherited = (r.relkind = 'p') OFFSET 0) p ON true
    CROSS JOIN LATERAL (SELECT CASE WHEN a.attname IS NOT NULL THEN quote_ident(a.attname)
                                    WHEN s.j -> 'e' ? 'op' THEN '(' || replace(s.j -> 'e' ->> 'qb', E'\x01n' || (s.j ->> 'b') || E'\x02.', '') || ')' END) AS e(expression)
    CROSS JOIN LATERAL (SELECT min(i.indexrelid)::regclass AS index FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_am m ON m.oid = ic.relam
                        WHERE i.indrelid = r.oid AND i.indisvalid AND i.indpred IS NULL
                          AND CASE s.j -> 'e' ->> 'mb' WHEN 'gin' THEN tally.is_gin_on(i, a.attnum)
                              ELSE m.amname IN ('btree', 'hash') AND (i.indkey[0] = a.attnum OR i.indkey[0] = 0 AND tally.same_sql(pg_get_indexdef(i.indexrelid, 1, true), e.expression)) END) x
    CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = r.oid AND i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL AND i.indkey[0] = a.attnum) AS is_unique) u
    CROSS JOIN LATERAL (SELECT CASE WHEN s.j -> 'e' ? 'in' AND s.j -> 'e' ->> 'mb' = 'btree' THEN coalesce((   -- as many as the array has elements
            SELECT (ps.elem_count_histogram)[array_upper(ps.elem_count_histogram, 1)] FROM pg_class rs JOIN pg_attribute sa ON sa.attrelid = rs.oid AND sa.attnum = (s.j -> 'e' ->> 'ca')::integer
            JOIN pg_stats ps ON ps.schemaname = (SELECT n.nspname FROM pg_namespace n WHERE n.oid = rs.relnamespace) AND ps.tablename = rs.relname AND ps.attname = sa.attname AND ps.inherited = (rs.relkind = 'p')
            WHERE rs.oid = (shape -> 'instances' -> (s.j ->> 'a')::integer / 8 ->> 'relation')::oid), 1) ELSE 1 END AS many) k;
END
$$;

-- tally.key_lookups: the look-ups by which the definition is evaluated for given keys, in tables whose rows hold the key themselves. Columns of
-- which few values are known are left out, because PostgreSQL would read the whole table for them anyway.
--   Parameters ways, shape: of tally.derive
--   Returns    relation; col: a key column, one that an index begins with if possible; missing: the CREATE INDEX if there is none
CREATE OR REPLACE FUNCTION tally.key_lookups(ways jsonb, shape jsonb)
RETURNS TABLE (relation regclass, col name, missing text) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT c.oid::regclass, k.attname, CASE WHEN NOT k.led THEN format('CREATE INDEX ON %s (%I)', c.oid::regclass, k.attname) END
    FROM jsonb_array_elements(ways) w
    JOIN pg_class c ON c.oid = (shape -> 'instances' -> (w ->> 'i')::integer ->> 'relation')::oid AND c.relkind IN ('r', 'p')
    CROSS JOIN LATERAL (
        SELECT a.attname, x.led FROM jsonb_array_elements(w -> 'targets') WITH ORDINALITY t(t, n)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = (t.t ->> 'col')::integer AND t.t -> 'node' = w -> 'home'
        CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = a.attnum) AS led) x
        ORDER BY x.led DESC, t.n LIMIT 1) k
    WHERE w -> 'joins' = '[]'
      AND NOT EXISTS (SELECT FROM pg_stats p WHERE p.schemaname = (SELECT n.nspname FROM pg_namespace n WHERE n.oid = c.relnamespace) AND p.tablename = c.relname AND p.attname = k.attname AND p.n_distinct BETWEEN 1 AND 20)
$$;

-- tally.estimated_rows: how many rows a view has, as the planner estimates; NULL if the caller may not read it.
CREATE OR REPLACE FUNCTION tally.estimated_rows(definition regclass)
RETURNS float8 LANGUAGE plpgsql SET join_collapse_limit = 1 SET from_collapse_limit = 1 AS $$   -- the order of joins does not matter here
DECLARE
    plan json;
BEGIN
    EXECUTE format('EXPLAIN (FORMAT JSON) SELECT * FROM %s', definition) INTO plan;
    RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
EXCEPTION WHEN syntax_error_or_access_rule_violation OR data_exception THEN  -- also: dropped after the snapshot was taken; a function that needs a search_path
    RETURN NULL;
END
$$;
