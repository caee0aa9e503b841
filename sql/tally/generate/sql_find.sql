-- tally.sql_find: SQL for the one row of a rollup's cell (alias s) that has the group of alias c, NULLs counted as equal.
--   Parameters suffix: of the relation, '_state' or ''; chosen: what to select; newest: the index's last column, if a row may have
--              several versions in the index
--   Returns    one SELECT for each combination of NULL columns; for a given row only one of them returns anything. This is needed
--              because the planner uses an index for NULLs only if it knows which columns are NULL. Columns after the third are
--              compared without the index.
--   Notes      A look-up in a unique index reads every version of a row that some snapshot may still see.
--              "ORDER BY … LIMIT 1" on an index that ends in a growing number meets the newest version first.
CREATE OR REPLACE FUNCTION tally.sql_find(r tally.derived_view, suffix text, chosen text, newest name DEFAULT NULL)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT string_agg(tally.render('(SELECT {chosen} FROM {relation} s WHERE {condition}{order} LIMIT 1)', jsonb_build_object(
                          'chosen',    chosen,
                          'relation',  tally.part(r, suffix),
                          'condition', a.condition,
                          'order',     coalesce(' ORDER BY ' || nullif(concat_ws(', ', a.terms, 's.' || quote_ident(newest) || ' DESC'), ''), ''))), ' UNION ALL ' ORDER BY mask)
    FROM generate_series(0, (1 << least(cardinality(r.group_by), 3)) - 1) mask
    CROSS JOIN LATERAL (
        SELECT coalesce(string_agg(CASE
                   WHEN i > 3 THEN tally.sql_not_distinct(t.relation, ARRAY[u.col], 's', 'c')
                   WHEN mask & (1 << (i::integer - 1)) > 0 THEN tally.sql_some_null(ARRAY[u.col], 's.') || ' AND ' || tally.sql_some_null(ARRAY[u.col], 'c.')
                   ELSE concat_ws(' AND ', CASE WHEN t.term <> 's.' || quote_ident(u.col) THEN format('%s = %s', t.term, tally.sql_index_term(r, suffix, u.col, 'c.')) END,
                                  tally.sql_same(t.relation, ARRAY[u.col], 's', 'c')) END, ' AND ' ORDER BY i), 'true') AS condition,
               string_agg(t.term, ', ' ORDER BY i) AS terms
        FROM unnest(r.group_by) WITH ORDINALITY u(col, i)
        CROSS JOIN LATERAL (SELECT tally.part(r, suffix)::regclass AS relation, tally.sql_index_term(r, suffix, u.col, 's.') AS term) t) a
$generator$;
