-- tally.sql_matching: SQL for the rows of a relation whose key is in the CTE "pending".
--   Parameters key; relation: the definition or the stored table; columns: what to select, of alias d; keys_array: an expression
--              for the keys, if they are in an array already
--   Notes      The planner does not push a join on the keys into a view that groups, so keys are passed as an array: for
--              one column "= ANY (array)"; for several, one fenced LATERAL per distinct prefix with an array of the
--              last column. Keys with a NULL have a separate arm of the UNION, which costs nothing if there are none.
CREATE OR REPLACE FUNCTION tally.sql_matching(key name[], relation text, columns text, keys_array text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN tally.sql_matching_of(key, relation, columns, keys_array, relation::regclass);
END
$$;

-- tally.sql_matching_of: the same for a relation that may be a subquery.
--   Parameters typed: a relation with the same columns
CREATE OR REPLACE FUNCTION tally.sql_matching_of(key name[], relation text, columns text, keys_array text, typed regclass)
RETURNS text LANGUAGE plpgsql STABLE AS $generator$
DECLARE
    last   name := key[cardinality(key)];
    prefix name[] := key[1:cardinality(key) - 1];
BEGIN
    IF cardinality(key) = 1 THEN
        RETURN tally.render('SELECT {columns} FROM {relation} d WHERE d.{key} {equals} ANY ({keys_array}) '
                         || 'UNION ALL SELECT {columns} FROM {relation} d WHERE {null} AND EXISTS (SELECT FROM pending g WHERE {pending_null})', jsonb_build_object(
            'columns',      columns,
            'relation',     relation,
            'key',          quote_ident(last),
            'equals',       tally.sql_operator(typed, last),
            'keys_array',   coalesce(keys_array, format('ARRAY(SELECT %I FROM pending)', last)),
            'null',         tally.sql_some_null(key, 'd.'),
            'pending_null', tally.sql_some_null(key, 'g.')));
    END IF;
    RETURN tally.render('SELECT {columns} FROM (SELECT {prefix}, array_agg({last}) AS tally_last FROM pending g WHERE {no_null} GROUP BY {prefix}) g '
                     || 'CROSS JOIN LATERAL (SELECT * FROM {relation} d WHERE {same_prefix} AND d.{last} {equals} ANY (g.tally_last) OFFSET 0) d '
                     || 'UNION ALL SELECT {columns} FROM pending g CROSS JOIN LATERAL (SELECT * FROM {relation} d WHERE {not_distinct} OFFSET 0) d WHERE {some_null}', jsonb_build_object(
        'columns',      columns,
        'relation',     relation,
        'prefix',       tally.column_list(prefix),
        'last',         quote_ident(last),
        'equals',       tally.sql_operator(typed, last),
        'no_null',      tally.sql_no_null(key, 'g.'),
        'some_null',    tally.sql_some_null(key, 'g.'),
        'same_prefix',  tally.sql_same(typed, prefix, 'd', 'g'),
        'not_distinct', tally.sql_not_distinct(typed, key, 'd', 'g')));
END
$generator$;

-- tally.sql_is_null: SQL for "this value is NULL". The row (NULL, NULL) is a value, although IS NULL is true for it.
CREATE OR REPLACE FUNCTION tally.sql_is_null(value text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT value || ' IS NOT DISTINCT FROM NULL'
$$;

-- tally.sql_no_null, tally.sql_some_null: SQL for "none of these columns is NULL", and for its opposite. Columns are tested one by one,
-- because the planner can estimate such conditions.
CREATE OR REPLACE FUNCTION tally.sql_no_null(columns name[], prefix text DEFAULT '')
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT '(' || string_agg(format('%s%I IS DISTINCT FROM NULL', prefix, c), ' AND ') || ')' FROM unnest(columns) c
$$;
CREATE OR REPLACE FUNCTION tally.sql_some_null(columns name[], prefix text DEFAULT '')
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT '(' || string_agg(tally.sql_is_null(prefix || quote_ident(c)), ' OR ') || ')' FROM unnest(columns) c
$$;

-- tally.sql_same: SQL for "these columns of two aliases are equal", NULLs not counted as equal.
--   Parameters relation: has the columns, with the types of both
CREATE OR REPLACE FUNCTION tally.sql_same(relation regclass, columns name[], a text, b text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(format('%s.%I %s %s.%I', a, c, tally.sql_operator(relation, c), b, c), ' AND ') FROM unnest(columns) c
$$;

-- tally.sql_equal: SQL for "these two expressions are equal", NULLs counted as equal.
--   Parameters relation, col: has their type
CREATE OR REPLACE FUNCTION tally.sql_equal(relation regclass, col name, a text, b text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE o.sql WHEN '=' THEN format('%s IS NOT DISTINCT FROM %s', a, b)
           ELSE format('coalesce(%s %s %s, %s AND %s)', a, o.sql, b, tally.sql_is_null(a), tally.sql_is_null(b)) END
    FROM tally.sql_operator(relation, col) o(sql)
$$;

-- tally.sql_not_distinct: SQL for "these columns of two aliases are equal", NULLs counted as equal.
CREATE OR REPLACE FUNCTION tally.sql_not_distinct(relation regclass, columns name[], a text, b text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(tally.sql_equal(relation, c, format('%s.%I', a, c), format('%s.%I', b, c)), ' AND ') FROM unnest(columns) c
$$;

-- tally.sql_assign: SQL for SET: columns, except those in but, get the values of an alias.
CREATE OR REPLACE FUNCTION tally.sql_assign(columns name[], but name[], a text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(format('%1$I = %2$s.%1$I', c, a), ', ') FROM unnest(columns) c WHERE c <> ALL (but)
$$;

-- tally.sql_not_in: SQL for "no row of this CTE has these columns' values, NULLs counted as equal". A hash serves all rows except those with
-- a NULL. Only for those the CTE is scanned; otherwise it would be scanned, with perhaps a million keys, for every row.
CREATE OR REPLACE FUNCTION tally.sql_not_in(relation regclass, columns name[], cte text, outer_alias text)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render('NOT EXISTS (SELECT FROM {cte} c WHERE {same}) AND NOT ({outer_null} AND EXISTS (SELECT FROM {cte} c WHERE {inner_null} AND {not_distinct}))', jsonb_build_object(
        'cte',          cte,
        'same',         tally.sql_same(relation, columns, 'c', outer_alias),
        'outer_null',   tally.sql_some_null(columns, outer_alias || '.'),
        'inner_null',   tally.sql_some_null(columns, 'c.'),
        'not_distinct', tally.sql_not_distinct(relation, columns, 'c', outer_alias)))
$generator$;

-- tally.quoted: columns quoted, each with a prefix, as an array for tally.sql_compare.
CREATE OR REPLACE FUNCTION tally.quoted(columns name[], prefix text DEFAULT '')
RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(prefix || quote_ident(c) ORDER BY n) FROM unnest(columns) WITH ORDINALITY u(c, n)
$$;

-- tally.sql_range: SQL for "the key of alias d comes after tally_low_… and not after tally_high_…". Keys with a NULL belong to the
-- last range. tally_from_start and tally_to_end remove the bounds; since they are constants in the plan, nothing is left to test.
CREATE OR REPLACE FUNCTION tally.sql_range(relation regclass, key name[])
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render('((tally_from_start OR {after_low}) AND (tally_to_end OR {up_to_high}) AND {no_null} OR tally_to_end AND {some_null})', jsonb_build_object(
        'after_low',  tally.sql_compare(relation, key, tally.quoted(key, 'd.'), '>', tally.quoted(tally.numbered(key, 'tally_low_'))),
        'up_to_high', tally.sql_compare(relation, key, tally.quoted(key, 'd.'), '<=', tally.quoted(tally.numbered(key, 'tally_high_'))),
        'no_null',    tally.sql_no_null(key, 'd.'),
        'some_null',  tally.sql_some_null(key, 'd.')))
$generator$;
