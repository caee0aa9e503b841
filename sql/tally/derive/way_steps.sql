-- tally.same_sql: whether two expressions differ only in white space and brackets.
CREATE OR REPLACE FUNCTION tally.same_sql(a text, b text)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT regexp_replace(a, '[\s()]', '', 'g') = regexp_replace(b, '[\s()]', '', 'g') $$;

-- tally.way_steps: the look-ups of ways, with an index for each, and how many rows one value leads to.
--   Parameters ways, shape: of tally.derive
--   Returns    way, step; relation; col (NULL: an expression, or no equality); index: one that begins with col; missing: the CREATE INDEX;
--              rows: for an average value; common: for the most common one (NULL: no statistics)
CREATE OR REPLACE FUNCTION tally.way_steps(ways jsonb, shape jsonb)
RETURNS TABLE (way bigint, step bigint, relation regclass, col name, index regclass, missing text, rows float8, common float8, value text) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT w.n, s.n, r.oid::regclass, a.attname, x.index, CASE WHEN x.index IS NULL AND e.expression IS NOT NULL THEN format('CREATE INDEX ON %s (%s)', r.oid::regclass, e.expression) END,
           (CASE WHEN u.is_unique THEN 1 WHEN a.attname IS NULL AND s.j -> 'e' ? 'op' THEN NULL WHEN a.attname IS NULL THEN nullif(r.reltuples, -1)
                ELSE nullif(r.reltuples, -1) * (1 - coalesce(p.null_frac, 0)) / nullif(CASE WHEN p.n_distinct < 0 THEN -p.n_distinct * r.reltuples ELSE p.n_distinct END, 0) END)::float8,
           (CASE WHEN u.is_unique THEN 1 ELSE nullif(r.reltuples, -1) * (p.most_common_freqs)[1] END)::float8, (p.most_common_vals::text::text[])[1]
    FROM jsonb_array_elements(ways) WITH ORDINALITY w(way, n)
    CROSS JOIN LATERAL jsonb_array_elements(w.way -> 'joins') WITH ORDINALITY s(j, n)
    JOIN pg_class r ON r.oid = (shape -> 'instances' -> (s.j ->> 'b')::integer / 8 ->> 'relation')::oid
    LEFT JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = (s.j -> 'e' ->> 'cb')::integer
    LEFT JOIN pg_stats p ON p.schemaname = r.relnamespace::regnamespace::text AND p.tablename = r.relname AND p.attname = a.attname AND p.inherited = (r.relkind = 'p')
    CROSS JOIN LATERAL (SELECT CASE WHEN a.attname IS NOT NULL THEN quote_ident(a.attname)
                                    WHEN s.j -> 'e' ? 'op' THEN '(' || replace(s.j -> 'e' ->> 'qb', E'\x01n' || (s.j ->> 'b') || E'\x02.', '') || ')' END) AS e(expression)
    CROSS JOIN LATERAL (SELECT min(i.indexrelid)::regclass AS index FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_am m ON m.oid = ic.relam
                        WHERE i.indrelid = r.oid AND i.indisvalid AND i.indpred IS NULL AND m.amname IN ('btree', 'hash')
                          AND (i.indkey[0] = a.attnum OR i.indkey[0] = 0 AND tally.same_sql(pg_get_indexdef(i.indexrelid, 1, true), e.expression))) x
    CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = r.oid AND i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL AND i.indkey[0] = a.attnum) AS is_unique) u;
END
$$;

-- tally.estimated_rows: how many rows a view has, as the planner estimates; NULL if the caller may not read it.
CREATE OR REPLACE FUNCTION tally.estimated_rows(definition regclass)
RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE format('EXPLAIN (FORMAT JSON) SELECT * FROM %s', definition) INTO plan;
    RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
EXCEPTION WHEN insufficient_privilege THEN
    RETURN NULL;
END
$$;
