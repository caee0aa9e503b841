-- tally.sql_find: SQL for the one row of a relation (alias s) whose columns have the values of alias c, NULLs counted as equal.
--   Parameters columns: those of the relation's index, in its order; chosen: what to select; newest: the index's last column, if
--              several versions of a row are to be passed over
--   Returns    a SELECT for each set of columns that may be NULL, all but one of which end at once: the planner finds NULLs by
--              an index only when told where they are. From the fourth column on, they are compared without the index.
--   Notes      A unique index is walked through every version of a row that some snapshot may still see, live or not.
--              "ORDER BY … LIMIT 1" on an index that ends in a growing number meets the newest first.
CREATE OR REPLACE FUNCTION tally.sql_find(relation text, columns name[], chosen text, newest name DEFAULT NULL)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT string_agg(tally.render('(SELECT {chosen} FROM {relation} s WHERE {condition} ORDER BY {order} LIMIT 1)', jsonb_build_object(
                          'chosen',    chosen,
                          'relation',  relation,
                          'condition', a.condition,
                          'order',     concat_ws(', ', tally.column_list(columns, 's.'), 's.' || quote_ident(newest) || ' DESC'))), ' UNION ALL ' ORDER BY mask)
    FROM generate_series(0, (1 << least(cardinality(columns), 3)) - 1) mask
    CROSS JOIN LATERAL (
        SELECT string_agg(CASE WHEN i > 3 THEN tally.sql_not_distinct(relation::regclass, ARRAY[u.col], 's', 'c')
                               WHEN mask & (1 << (i::integer - 1)) > 0 THEN tally.sql_some_null(ARRAY[u.col], 's.') || ' AND ' || tally.sql_some_null(ARRAY[u.col], 'c.')
                               ELSE tally.sql_same(relation::regclass, ARRAY[u.col], 's', 'c') END, ' AND ' ORDER BY i) AS condition
        FROM unnest(columns) WITH ORDINALITY u(col, i)) a
$generator$;
