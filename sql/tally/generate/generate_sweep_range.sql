-- tally.generate_sweep_range: the function that brings a range of keys up to date. A sweep visits every key in ranges (first
-- fill, rebuild, TRUNCATE). Its position is stored as a delta row, so it survives restarts.
--   Makes     <projection>_sweep_range(low …, high …, from_start, to_end): as _apply, for the keys after low and up to high
CREATE OR REPLACE FUNCTION tally.generate_sweep_range(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    columns  text   := tally.column_list(tally.columns_of(v.definition));
    low      name[] := tally.numbered(v.key, 'tally_low_');
    high     name[] := tally.numbered(v.key, 'tally_high_');
    in_range text   := tally.sql_range(v.definition, v.key);
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {sweep_range}({low_parameters}, {high_parameters}, tally_from_start boolean, tally_to_end boolean, OUT keys bigint, OUT changed bigint) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {search_path} SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $body$
#variable_conflict use_column
DECLARE
    tally_keys bigint;
    tally_changed bigint;
    tally_unique boolean;
    tally_written boolean;
    {cell_variables}
BEGIN
    IF EXISTS (SELECT FROM {table} d WHERE {in_range}) THEN
        WITH {difference}
        SELECT (SELECT count(*) FROM (SELECT DISTINCT {key} FROM signed) k), {counted}{signed_cells}
        INTO tally_keys, tally_changed, tally_unique, tally_written{cell_targets};
        {check}
    ELSE  -- nothing to compare with
        WITH written AS (INSERT INTO {table} ({columns}) SELECT {columns} FROM {definition} d WHERE {in_range} RETURNING {columns})
        SELECT (SELECT count({each_key}) FROM written), (SELECT count(*) FROM written){written_cells}
        INTO tally_keys, tally_changed{cell_targets};
    END IF;
    {hand_up}
    keys := tally_keys;
    changed := tally_changed;
END
$body$ $template$, jsonb_build_object(
        'sweep_range',     tally.part(v, '_sweep_range'),
        'table',           tally.part(v),
        'definition',      v.definition,
        'search_path',     tally.fixed_path(v.definition),
        'key',             tally.column_list(v.key),
        'each_key',        CASE WHEN v.key = v.identity THEN '*' ELSE format('DISTINCT ROW(%s)', tally.column_list(v.key)) END,
        'columns',         columns,
        'low_parameters',  tally.plain_list(v.definition, v.key, '', low),
        'high_parameters', tally.plain_list(v.definition, v.key, '', high),
        'in_range',        in_range,
        'difference',      tally.sql_difference(v,
                               fresh  => format('SELECT true AS tally_here, %s FROM %s d WHERE %s', columns, v.definition, in_range),
                               stored => format('SELECT d.ctid AS tally_tid, %s FROM %s d WHERE %s', columns, tally.part(v), in_range)),
        'counted',         tally.sql_counted(),
        'check',           tally.sql_check_counted(v.id),
        'cell_variables',  tally.sql_cell_variables(v.id),
        'signed_cells',    tally.sql_collect_cells(v.id, 'signed'),
        'written_cells',   tally.sql_collect_cells(v.id, '(SELECT 1 AS tally_sign, * FROM written)'),
        'cell_targets',    tally.sql_cell_targets(v.id),
        'hand_up',         tally.sql_hand_up(v.id)));
    PERFORM tally.seal(format('%s(%s, %s, boolean, boolean)', tally.part(v, '_sweep_range'), tally.plain_types(v.definition, v.key), tally.plain_types(v.definition, v.key)),
        format('brings a range of keys of %s and the rollups above it up to date', tally.part(v)));
END
$generator$;

-- tally.generate_range_end: the function that returns the end of a sweep's next range.
--   Makes     <projection>_range_end(n, low …, from_start, OUT high …): the key that is n keys after low; NULL: fewer than n are left.
--             It is estimated from the stored rows and from source indexes that have the keys in order (tally.guides). A poor
--             estimate only makes a range too large or too small; no key is missed.
CREATE OR REPLACE FUNCTION tally.generate_range_end(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    low    name[] := tally.numbered(v.key, 'tally_low_');
    high   name[] := tally.numbered(v.key, 'tally_high_');
    guides text := (SELECT string_agg(tally.sql_range_end(g.relation, g.columns, low), ' UNION ALL ') FROM tally.guides(v) g);
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {range_end}(tally_n integer, {low_parameters}, tally_from_start boolean, {high_parameters}) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = {search_path} SET plan_cache_mode = force_custom_plan SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $body$
#variable_conflict use_column
BEGIN
    SELECT {key} INTO {high} FROM ({ends}) d ({key}) ORDER BY {key} LIMIT 1;
END
$body$ $template$, jsonb_build_object(
        'range_end',       tally.part(v, '_range_end'),
        'search_path',     tally.fixed_path(v.definition),
        'key',             tally.column_list(v.key),
        'high',            tally.column_list(high),
        'low_parameters',  tally.plain_list(v.definition, v.key, '', low),
        'high_parameters', tally.plain_list(v.definition, v.key, '', high, 'OUT '),
        'ends',            concat_ws(' UNION ALL ', guides, tally.sql_range_end(tally.part(v)::regclass, v.key, low))));
    PERFORM tally.seal(format('%s(integer, %s, boolean)', tally.part(v, '_range_end'), tally.plain_types(v.definition, v.key)),
        format('where a bounded range of keys of %s ends', tally.part(v)));
END
$generator$;

-- tally.sql_range_end: SELECT of the key that is n keys after tally_low_… in a relation.
CREATE OR REPLACE FUNCTION tally.sql_range_end(relation regclass, columns name[], low name[])
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render('(SELECT {columns} FROM {relation} d WHERE (tally_from_start OR {after_low}) AND {no_null} ORDER BY {columns} OFFSET tally_n - 1 LIMIT 1)', jsonb_build_object(
        'relation',  relation,
        'columns',   tally.column_list(columns, 'd.'),
        'after_low', tally.sql_compare(relation, columns, tally.quoted(columns, 'd.'), '>', tally.quoted(low)),
        'no_null',   tally.sql_no_null(columns, 'd.')))
$generator$;

-- tally.guides: the sources of a projection with an index that has the projection's keys in order. If the key is unique in some, only those.
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
