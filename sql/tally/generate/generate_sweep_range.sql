-- tally.generate_sweep_range: the functions that go through every key of a projection in order, a bounded range at a time: the
-- first fill, a rebuild and a TRUNCATE are sweeps. A row of the delta table (tally_source -1) holds how far one has come,
-- so a sweep goes on where it stood, whatever happened in between.
--   Makes     <projection>_sweep_range(low …, high …, from_start, to_end): as _apply, for the keys after low and up to high
--             <projection>_range_end(n, low …, from_start, OUT high …): the key n keys on; NULL: fewer than n are left
CREATE OR REPLACE FUNCTION tally.generate_sweep_range(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns text := tally.column_list(tally.columns_of(v.definition));
    low     name[] := tally.numbered(v.key, 'tally_low_');
    high    name[] := tally.numbered(v.key, 'tally_high_');
    range   text := tally.sql_range(v.key);
BEGIN
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s(%2$s, %3$s, tally_from_start boolean, tally_to_end boolean, OUT keys bigint, OUT changed bigint) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = %4$s SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $body$
#variable_conflict use_column
DECLARE
    tally_keys bigint; tally_changed bigint; tally_unique boolean;%5$s
BEGIN
    IF EXISTS (SELECT FROM %6$s d WHERE %7$s) THEN
        WITH %8$s
        SELECT (SELECT count(*) FROM (SELECT DISTINCT %9$s FROM signed) k), %17$s%10$s INTO tally_keys, tally_changed, tally_unique%11$s;
        IF NOT tally_unique THEN
            PERFORM tally.refuse_twice(%18$s);
        END IF;
    ELSE  -- nothing to compare with
        WITH written AS (INSERT INTO %6$s (%12$s) SELECT %12$s FROM %13$s d WHERE %7$s RETURNING %12$s)
        SELECT (SELECT count(%14$s) FROM written), (SELECT count(*) FROM written)%15$s INTO tally_keys, tally_changed%11$s;
    END IF;
%16$s    keys := tally_keys;
    changed := tally_changed;
END
$body$ $make$,
        tally.part(v, '_sweep_range'), tally.typed_list(v.definition, v.key, '', low), tally.typed_list(v.definition, v.key, '', high),
        tally.fixed_path(v.definition), tally.sql_cell_variables(v.id), tally.part(v), range,
        tally.sql_difference(v, format('SELECT true AS tally_here, %s FROM %s d WHERE %s', columns, v.definition, range),
                                format('SELECT d.ctid AS tally_tid, %s FROM %s d WHERE %s', columns, tally.part(v), range)),
        tally.column_list(v.key), tally.sql_collect_cells(v.id, 'signed'), tally.sql_cell_targets(v.id), columns, v.definition,
        CASE WHEN v.key = v.identity THEN '*' ELSE format('DISTINCT ROW(%s)', tally.column_list(v.key)) END,
        tally.sql_collect_cells(v.id, '(SELECT 1 AS tally_sign, * FROM written)'), tally.sql_hand_up(v.id), tally.sql_counted(), v.id);
    PERFORM tally.seal(format('%s(%s, %s, boolean, boolean)', tally.part(v, '_sweep_range'), tally.type_list(v.definition, v.key), tally.type_list(v.definition, v.key)),
        format('brings a range of keys of %s and the rollups above it up to date', tally.part(v)));
END
$$;

-- tally.generate_range_end: make <projection>_range_end. Where the definition's keys lie is asked of tables whose indexes have them in
-- order (tally.guides), and of the stored rows; these are only hints: ranges cover every key, whoever has it.
CREATE OR REPLACE FUNCTION tally.generate_range_end(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    low    name[] := tally.numbered(v.key, 'tally_low_');
    high   name[] := tally.numbered(v.key, 'tally_high_');
    guides text := (SELECT string_agg(tally.sql_range_end(g.relation::text, g.columns, low), ' UNION ALL ') FROM tally.guides(v) g);
BEGIN
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s(tally_n integer, %2$s, tally_from_start boolean, %3$s) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = %4$s SET plan_cache_mode = force_custom_plan SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $body$
#variable_conflict use_column
BEGIN
    SELECT %5$s INTO %6$s FROM (%7$s%8$s) d (%5$s) ORDER BY %5$s LIMIT 1;
END
$body$ $make$,
        tally.part(v, '_range_end'), tally.typed_list(v.definition, v.key, '', low),
        tally.typed_list(v.definition, v.key, '', high, 'OUT '),
        tally.fixed_path(v.definition), tally.column_list(v.key), tally.column_list(high),
        coalesce(guides || ' UNION ALL ', ''), tally.sql_range_end(tally.part(v), v.key, low));
    PERFORM tally.seal(format('%s(integer, %s, boolean)', tally.part(v, '_range_end'), tally.type_list(v.definition, v.key)),
        format('where a bounded range of keys of %s ends', tally.part(v)));
END
$$;

-- tally.sql_range_end: SELECT of the key that is n keys on in a relation, after tally_low_…
CREATE OR REPLACE FUNCTION tally.sql_range_end(relation text, columns name[], low name[])
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format('(SELECT %1$s FROM %2$s d WHERE (tally_from_start OR %3$s > %4$s) AND %5$s ORDER BY %1$s OFFSET tally_n - 1 LIMIT 1)',
        tally.column_list(columns, 'd.'), relation, tally.sql_row(columns, 'd.'), tally.sql_row(low), tally.sql_no_null(columns, 'd.'))
$$;

-- tally.guides: the sources of a projection whose index holds its keys in order; those in which a key is unique, if any.
CREATE OR REPLACE FUNCTION tally.guides(v tally.derived_view)
RETURNS SETOF tally.source LANGUAGE sql STABLE AS $$
    WITH ordered AS (
        SELECT s, bool_or(x.indisunique AND x.indnkeyatts = cardinality(v.key)) AS is_unique
        FROM tally.source s
        JOIN pg_index x ON x.indrelid = s.relation AND x.indpred IS NULL AND x.indisvalid
        JOIN pg_class c ON c.oid = x.indexrelid
        JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'
        WHERE s.projection_id = v.id AND s.columns IS NOT NULL AND s.expand IS NULL
          AND s.columns = (SELECT array_agg(a.attname ORDER BY o.n) FROM unnest(x.indkey::smallint[]) WITH ORDINALITY o(attnum, n)
                           JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = o.attnum WHERE o.n <= cardinality(v.key))
          AND NOT EXISTS (
            SELECT FROM generate_subscripts(v.key, 1) i
            JOIN pg_attribute a ON a.attrelid = s.relation AND a.attname = s.columns[i]
            JOIN pg_attribute k ON k.attrelid = v.definition AND k.attname = v.key[i]
            WHERE (a.atttypid, a.attcollation) <> (k.atttypid, k.attcollation))
        GROUP BY s)
    SELECT (o.s).* FROM ordered o WHERE o.is_unique OR NOT EXISTS (SELECT FROM ordered u WHERE u.is_unique)
$$;
