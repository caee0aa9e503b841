-- tally.sql_matching: SQL for the rows of a relation whose key is in the CTE "pending".
--   Parameters key; relation: the definition or the stored table; columns: what to select, of alias d
--   Notes      The planner does not push a join on the keys into a view that groups, so keys go in as an array: for
--              one column "= ANY (array)"; for several, one fenced LATERAL per distinct prefix with an array of the
--              last column. A NULL in a key is met by an arm of its own, which costs nothing when there is none.
CREATE OR REPLACE FUNCTION tally.sql_matching(key name[], relation text, columns text, keys_array text DEFAULT NULL)
RETURNS text LANGUAGE plpgsql IMMUTABLE AS $generator$
DECLARE
    last   text := quote_ident(key[cardinality(key)]);
    prefix name[] := key[1:cardinality(key) - 1];
BEGIN
    IF cardinality(key) = 1 THEN
        RETURN tally.render('SELECT {columns} FROM {relation} d WHERE d.{key} = ANY ({keys_array}) '
                         || 'UNION ALL SELECT {columns} FROM {relation} d WHERE d.{key} IS NULL AND EXISTS (SELECT FROM pending WHERE {key} IS NULL)', jsonb_build_object(
            'columns',    columns,
            'relation',   relation,
            'key',        last,
            'keys_array', coalesce(keys_array, format('ARRAY(SELECT %s FROM pending)', last))));
    END IF;
    RETURN tally.render('SELECT {columns} FROM (SELECT {prefix}, array_agg({last}) AS tally_last FROM pending WHERE {no_null} GROUP BY {prefix}) g '
                     || 'CROSS JOIN LATERAL (SELECT * FROM {relation} d WHERE {same_prefix} AND d.{last} = ANY (g.tally_last) OFFSET 0) d '
                     || 'UNION ALL SELECT {columns} FROM pending g CROSS JOIN LATERAL (SELECT * FROM {relation} d WHERE {not_distinct} OFFSET 0) d WHERE {some_null}', jsonb_build_object(
        'columns',      columns,
        'relation',     relation,
        'prefix',       tally.column_list(prefix),
        'last',         last,
        'no_null',      tally.sql_no_null(key),
        'some_null',    tally.sql_some_null(key, 'g.'),
        'same_prefix',  tally.sql_same(prefix, 'd', 'g'),
        'not_distinct', tally.sql_not_distinct(key, 'd', 'g')));
END
$generator$;

-- tally.sql_no_null, tally.sql_some_null: SQL for "none of these columns is NULL", and for its contrary; spelled out,
-- since the planner has an idea of how many rows that leaves.
CREATE OR REPLACE FUNCTION tally.sql_no_null(columns name[], prefix text DEFAULT '')
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT '(' || string_agg(format('%s%I IS NOT NULL', prefix, c), ' AND ') || ')' FROM unnest(columns) c
$$;
CREATE OR REPLACE FUNCTION tally.sql_some_null(columns name[], prefix text DEFAULT '')
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT '(' || string_agg(format('%s%I IS NULL', prefix, c), ' OR ') || ')' FROM unnest(columns) c
$$;

-- tally.sql_same: SQL for "these columns of two aliases are equal", NULLs not counted as equal.
CREATE OR REPLACE FUNCTION tally.sql_same(columns name[], a text, b text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(format('%s.%I = %s.%I', a, c, b, c), ' AND ') FROM unnest(columns) c
$$;

-- tally.sql_not_distinct: the same, NULLs counted as equal.
CREATE OR REPLACE FUNCTION tally.sql_not_distinct(columns name[], a text, b text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(format('%s.%I IS NOT DISTINCT FROM %s.%I', a, c, b, c), ' AND ') FROM unnest(columns) c
$$;

-- tally.sql_assign: SQL for SET: columns, but for some, as an alias has them.
CREATE OR REPLACE FUNCTION tally.sql_assign(columns name[], but name[], a text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(format('%1$I = %2$s.%1$I', c, a), ', ') FROM unnest(columns) c WHERE c <> ALL (but)
$$;

-- tally.sql_not_in: SQL for "no row of this CTE has these columns' values, NULLs counted as equal". All but rows with a NULL are found
-- by a hash; for those alone the CTE is read through, else a million keys would be, once a row.
CREATE OR REPLACE FUNCTION tally.sql_not_in(columns name[], cte text, outer_alias text)
RETURNS text LANGUAGE sql IMMUTABLE AS $generator$
    SELECT tally.render('NOT EXISTS (SELECT FROM {cte} c WHERE {same}) AND NOT ({outer_null} AND EXISTS (SELECT FROM {cte} c WHERE {inner_null} AND {not_distinct}))', jsonb_build_object(
        'cte',          cte,
        'same',         tally.sql_same(columns, 'c', outer_alias),
        'outer_null',   tally.sql_some_null(columns, outer_alias || '.'),
        'inner_null',   tally.sql_some_null(columns, 'c.'),
        'not_distinct', tally.sql_not_distinct(columns, 'c', outer_alias)))
$generator$;

-- tally.sql_row: columns as one value that can be compared: ROW(a, b), or the column itself if it is alone.
CREATE OR REPLACE FUNCTION tally.sql_row(columns name[], prefix text DEFAULT '')
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN cardinality(columns) = 1 THEN prefix || quote_ident(columns[1]) ELSE format('ROW(%s)', tally.column_list(columns, prefix)) END
$$;

-- tally.sql_range: SQL for "the key of alias d comes after tally_low_… and not after tally_high_…"; NULL in a key comes with
-- the last range. tally_from_start and tally_to_end lift the bounds; as constants they vanish from the plan.
CREATE OR REPLACE FUNCTION tally.sql_range(key name[])
RETURNS text LANGUAGE sql IMMUTABLE AS $generator$
    SELECT tally.render('((tally_from_start OR {key} > {low}) AND (tally_to_end OR {key} <= {high}) AND {no_null} OR tally_to_end AND {some_null})', jsonb_build_object(
        'key',       tally.sql_row(key, 'd.'),
        'low',       tally.sql_row(tally.numbered(key, 'tally_low_')),
        'high',      tally.sql_row(tally.numbered(key, 'tally_high_')),
        'no_null',   tally.sql_no_null(key, 'd.'),
        'some_null', tally.sql_some_null(key, 'd.')))
$generator$;
