-- tally.generate_apply: the function that brings given keys of a projection, and every rollup above it, up to date.
--   Makes     <projection>_apply(one array per key column) RETURNS bigint (rows inserted, updated or deleted). It evaluates the
--             definition for these keys, compares the result with the stored rows, writes the difference, and passes the
--             sums of removed and added rows to the rollups. Repeating it changes nothing. The merge that calls it
--             holds the projection's advisory lock.
CREATE OR REPLACE FUNCTION tally.generate_apply(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    columns    text   := tally.column_list(tally.columns_of(v.definition), 'd.');
    key_arrays name[] := tally.numbered(v.key);                                     -- tally_keys_1, tally_keys_2 …
    -- The array stands in "= ANY" itself, so that the definition can be planned for this number of keys. The planner takes 2 µs a key for
    -- that. The stored table needs no such plan. For a few keys the plan is kept (tally.plan_mode),
    -- and indexes are preferred (tally.page_cost).
    one_array  text   := CASE WHEN cardinality(v.key) = 1 THEN 'tally_keys_1' END;
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {apply}({key_parameters}) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {search_path} SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $body$
#variable_conflict use_column
DECLARE
    tally_page_cost text := current_setting('random_page_cost');
    tally_changed bigint;
    tally_unique boolean;
    tally_written boolean;
    {cell_variables}
BEGIN
    PERFORM set_config('plan_cache_mode', tally.plan_mode({view_id}, cardinality(tally_keys_1)), true),
            set_config('random_page_cost', tally.page_cost(cardinality(tally_keys_1)), true);
    WITH pending AS MATERIALIZED (SELECT {collated_key} FROM unnest({key_arrays}) AS k({key})),
    {difference}
    SELECT {counted}{collected_cells}
    INTO tally_changed, tally_unique, tally_written{cell_targets};
    PERFORM set_config('random_page_cost', tally_page_cost, true);
    {check}
    {hand_up}
    RETURN tally_changed;
END
$body$ $template$, jsonb_build_object(
        'apply',           tally.part(v, '_apply'),
        'view_id',         v.id,
        'search_path',     tally.fixed_path(v.definition),
        'key',             tally.column_list(v.key),
        'collated_key',    tally.collated_list(v.definition, v.key, 'k.'),
        'key_arrays',      tally.column_list(key_arrays),
        'key_parameters',  tally.plain_list(v.definition, v.key, '[]', key_arrays),
        'difference',      tally.sql_difference(v,
                               fresh  => tally.sql_matching(v.key, v.definition::text, 'true AS tally_here, ' || columns, one_array),
                               stored => replace(
                                   tally.sql_matching(v.key, tally.part(v), 'd.ctid AS tally_tid, ' || columns),
                                   '(SELECT * FROM ' || tally.part(v),
                                   '(SELECT d.ctid, d.* FROM ' || tally.part(v))),
        'counted',         tally.sql_counted(),
        'check',           tally.sql_check_counted(v.id),
        'cell_variables',  tally.sql_cell_variables(v.id),
        'collected_cells', tally.sql_collect_cells(v.id, 'signed'),
        'cell_targets',    tally.sql_cell_targets(v.id),
        'hand_up',         tally.sql_hand_up(v.id)));
    PERFORM tally.seal(format('%s(%s)', tally.part(v, '_apply'), tally.plain_types(v.definition, v.key, '[]')),
        format('brings keys of %s and the rollups above it up to date', tally.part(v)));
END
$generator$;

-- tally.sql_difference: CTEs that compare the definition's rows (CTE fresh) with the stored rows (CTE stored) and write the
-- difference. The CTE signed has the removed rows (tally_sign -1) and the added rows (+1).
--   Parameters fresh, stored: SELECTs for the same keys; fresh has the column tally_here, stored has tally_tid
CREATE OR REPLACE FUNCTION tally.sql_difference(v tally.derived_view, fresh text, stored text)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render($template$fresh AS MATERIALIZED ({fresh}),
stored AS MATERIALIZED ({stored}),
difference AS MATERIALIZED (
    SELECT s.tally_tid, f.tally_here AS tally_fresh, {fresh_columns},
           f.tally_here IS NULL AND ({stored_identity_not_null} OR NOT EXISTS (SELECT FROM fresh n WHERE {fresh_has_stored_identity})) AS tally_gone
    FROM stored s FULL JOIN fresh f ON {same_identity}  -- rows with a NULL here meet by ON CONFLICT
    WHERE s.tally_tid IS NULL OR f.tally_here IS NULL OR ROW({stored_columns})::{table} *<> ROW({fresh_columns})::{table}),
gone AS (
    DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT tally_tid FROM difference WHERE tally_gone))),
changed AS (  -- where the stored row is known, it is not looked up and locked again
    UPDATE {table} p SET {changes} FROM difference d
    WHERE p.ctid = ANY (ARRAY(SELECT tally_tid FROM difference WHERE tally_fresh AND tally_tid IS NOT NULL)) AND p.ctid = d.tally_tid AND d.tally_fresh
    RETURNING 1),
written AS (
    INSERT INTO {table} ({columns}) SELECT {columns} FROM difference WHERE tally_fresh AND tally_tid IS NULL ORDER BY {identity}
    ON CONFLICT ({identity}) DO UPDATE SET {assignments}),
signed AS (
    SELECT -1 AS tally_sign, {columns} FROM stored UNION ALL SELECT 1, {columns} FROM fresh)$template$, jsonb_build_object(
        'table',                     tally.part(v),
        'fresh',                     fresh,
        'stored',                    stored,
        'columns',                   tally.column_list(c),
        'stored_columns',            tally.column_list(c, 's.'),
        'fresh_columns',             tally.column_list(c, 'f.'),
        'changes',                   tally.sql_assign(c, '{}', 'd'),
        'assignments',               tally.sql_assign(c, '{}', 'excluded'),
        'identity',                  tally.column_list(v.identity),
        'stored_identity_not_null',  tally.sql_no_null(v.identity, 's.'),
        'same_identity',             tally.sql_same(v.definition, v.identity, 's', 'f'),
        'fresh_has_stored_identity', tally.sql_not_distinct(v.definition, v.identity, 'n', 's')))
    FROM tally.columns_of(v.definition) c
$generator$;

-- tally.sql_counted: three columns about the CTEs of sql_difference: how many rows differ; whether each stored row matched one row of
-- the definition at most; and whether each stored row that differs was written. If two new rows have one identity, the unique index
-- refuses them. But if both match one stored row and one of them equals it, only the other differs, and the rollups would count a row
-- that is not stored.
CREATE OR REPLACE FUNCTION tally.sql_counted()
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT '(SELECT count(*) FROM difference), (SELECT (SELECT count(*) FROM fresh) - count(*) FILTER (WHERE tally_tid IS NULL) '
        || '= (SELECT count(*) FROM stored) - count(*) FILTER (WHERE tally_fresh IS NULL) FROM difference), '
        || '(SELECT count(*) FROM changed) = (SELECT count(*) FROM difference WHERE tally_fresh AND tally_tid IS NOT NULL)'
$$;

-- tally.sql_check_counted: statements that raise if tally_unique or tally_written, the last two columns of sql_counted, is false.
CREATE OR REPLACE FUNCTION tally.sql_check_counted(view_id integer)
RETURNS text LANGUAGE sql IMMUTABLE AS $generator$
    SELECT format($template$IF NOT tally_unique THEN
    PERFORM tally.refuse_twice(%1$s);
ELSIF NOT tally_written THEN
    PERFORM tally.refuse_unwritten(%1$s);
END IF;$template$, view_id)
$generator$;

-- Each rollup above a view has a variable cells_<id>. tally.sql_cell_variables declares these variables, tally.sql_collect_cells
-- computes their values from signed rows, and tally.sql_cell_targets lists them after INTO.
CREATE OR REPLACE FUNCTION tally.sql_cell_variables(view_id integer)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(format('%I %s[];', 'cells_' || r.id, tally.part(r, '_cell')), E'\n' ORDER BY r.id), '')
    FROM tally.derived_view r WHERE r.source_id = view_id
$$;
CREATE OR REPLACE FUNCTION tally.sql_collect_cells(view_id integer, relation text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(format(E',\n    ARRAY(%s)', tally.sql_cells(r, relation)), '' ORDER BY r.id), '')
    FROM tally.derived_view r WHERE r.source_id = view_id
$$;
CREATE OR REPLACE FUNCTION tally.sql_cell_targets(view_id integer)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(format(', %I', 'cells_' || r.id), '' ORDER BY r.id), '') FROM tally.derived_view r WHERE r.source_id = view_id
$$;

-- tally.sql_hand_up: statements, one a line, that pass the collected cells (variables cells_<id>) to the rollups above a view.
-- A rollup with count(distinct) first gets the results of its finer rollups.
CREATE OR REPLACE FUNCTION tally.sql_hand_up(view_id integer)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT concat_ws(E'\n',
        max(format('PERFORM tally.require_latest(%s);', view_id)) FILTER (WHERE view_id = r.root_id),
        string_agg(format('PERFORM %s(%s%s);', tally.part(r, '_apply'), 'cells_' || r.id,
            coalesce((SELECT string_agg(format(' || %s(%s)', tally.part(f, '_apply'), 'cells_' || f.id), '' ORDER BY f.id)
                      FROM tally.derived_view f WHERE f.serves_id = r.id), '')), E'\n' ORDER BY r.id))
    FROM tally.derived_view r WHERE r.source_id = view_id AND r.serves_id IS NULL
$$;

-- tally.require_latest: raise a serialization failure if the transaction's snapshot is older than the last merge. Such a
-- transaction would not see a cell that was added since, and would add it again.
CREATE OR REPLACE FUNCTION tally.require_latest(root_id integer)
RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT FROM tally.merge_state m WHERE m.view_id = root_id FOR NO KEY UPDATE
$$;
