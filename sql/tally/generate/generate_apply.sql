-- tally.generate_apply: the function that brings given keys of a projection, and every rollup above, up to date.
--   Makes     <projection>_apply(one array per key column) RETURNS bigint (rows inserted, updated or deleted): evaluate
--             the definition for these keys, compare with what is stored, write the difference, hand the sums of what
--             went and came to the rollups. Idempotent. Called with the projection's advisory lock held.
CREATE OR REPLACE FUNCTION tally.generate_apply(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns text := tally.column_list(tally.columns_of(v.definition), 'd.');
    keys    name[] := tally.numbered(v.key);
    array_  text := CASE WHEN cardinality(v.key) = 1 THEN 'tally_keys_1' END;
BEGIN
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s(%2$s) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = %3$s SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $body$
#variable_conflict use_column
DECLARE
    tally_changed bigint; tally_unique boolean;%4$s
BEGIN
    WITH pending AS MATERIALIZED (SELECT * FROM unnest(%5$s) AS k(%6$s)),
%7$s
    SELECT %11$s%8$s INTO tally_changed, tally_unique%9$s;
    IF NOT tally_unique THEN
        PERFORM tally.refuse_twice(%12$s);
    END IF;
%10$s    RETURN tally_changed;
END
$body$ $make$,
        tally.part(v, '_apply'), tally.typed_list(v.definition, v.key, '[]', keys), tally.fixed_path(v.definition), tally.sql_cell_variables(v.id),
        tally.column_list(keys), tally.column_list(v.key),
        tally.sql_difference(v,
            tally.sql_matching(v.key, v.definition::text, 'true AS tally_here, ' || columns, array_),
            replace(tally.sql_matching(v.key, tally.part(v), 'd.ctid AS tally_tid, ' || columns, array_),
                    '(SELECT * FROM ' || tally.part(v), '(SELECT d.ctid, d.* FROM ' || tally.part(v))),
        tally.sql_collect_cells(v.id, 'signed'), tally.sql_cell_targets(v.id), tally.sql_hand_up(v.id), tally.sql_counted(), v.id);
    PERFORM tally.seal(format('%s(%s)', tally.part(v, '_apply'), tally.type_list(v.definition, v.key, '[]')),
        format('brings keys of %s and the rollups above it up to date', tally.part(v)));
END
$$;

-- tally.sql_difference: CTEs that compare what a definition says (CTE fresh) with what is stored (CTE stored), write the
-- difference, and leave the rows that went (tally_sign -1) and came (+1) in the CTE signed.
--   Parameters fresh, stored: SELECTs of the same keys, with tally_here, and with tally_tid
CREATE OR REPLACE FUNCTION tally.sql_difference(v tally.derived_view, fresh text, stored text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format($sql$    fresh AS MATERIALIZED (%1$s),
    stored AS MATERIALIZED (%2$s),
    difference AS MATERIALIZED (
        SELECT s.tally_tid, f.tally_here AS tally_fresh, %3$s,
               f.tally_here IS NULL AND (%5$s OR NOT EXISTS (SELECT FROM fresh n WHERE %6$s)) AS tally_gone
        FROM stored s FULL JOIN fresh f ON %4$s  -- rows with a NULL here meet by ON CONFLICT
        WHERE s.tally_tid IS NULL OR f.tally_here IS NULL OR ROW(%7$s)::%8$s *<> ROW(%3$s)::%8$s),
    gone AS (
        DELETE FROM %8$s WHERE ctid = ANY (ARRAY(SELECT tally_tid FROM difference WHERE tally_gone))),
    written AS (
        INSERT INTO %8$s (%9$s) SELECT %9$s FROM difference WHERE tally_fresh ORDER BY %10$s
        ON CONFLICT (%10$s) DO UPDATE SET %11$s),
    signed AS (
        SELECT -1 AS tally_sign, %9$s FROM stored UNION ALL SELECT 1, %9$s FROM fresh)$sql$,
        fresh, stored, tally.column_list(c, 'f.'), tally.sql_same(v.identity, 's', 'f'), tally.sql_no_null(v.identity, 's.'),
        tally.sql_not_distinct(v.identity, 'n', 's'), tally.column_list(c, 's.'), tally.part(v), tally.column_list(c), tally.column_list(v.identity),
        tally.sql_assign(c, '{}', 'excluded'))
    FROM tally.columns_of(v.definition) c
$$;

-- tally.sql_counted: two columns about the CTEs of sql_difference: the rows that differ, and whether no two rows of the definition
-- met one stored row. Two that are both new are refused by the unique index; of two that meet a stored one, an equal one
-- would be passed over, and the rollups would add up a row that is not stored.
CREATE OR REPLACE FUNCTION tally.sql_counted()
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT '(SELECT count(*) FROM difference), (SELECT (SELECT count(*) FROM fresh) - count(*) FILTER (WHERE tally_tid IS NULL) '
        || '= (SELECT count(*) FROM stored) - count(*) FILTER (WHERE tally_fresh IS NULL) FROM difference)'
$$;

-- tally.sql_cell_variables, tally.sql_collect_cells, tally.sql_cell_targets: one variable per rollup above a view (cells_<id>):
-- how it is declared, what is selected into it from signed rows, and where that goes.
CREATE OR REPLACE FUNCTION tally.sql_cell_variables(view_id integer)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(format(' %I %s[];', 'cells_' || r.id, tally.part(r, '_cell')), '' ORDER BY r.id), '')
    FROM tally.derived_view r WHERE r.source_id = view_id
$$;
CREATE OR REPLACE FUNCTION tally.sql_collect_cells(view_id integer, relation text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(format(E',\n        ARRAY(%s)', tally.sql_cells(r, relation)), '' ORDER BY r.id), '')
    FROM tally.derived_view r WHERE r.source_id = view_id
$$;
CREATE OR REPLACE FUNCTION tally.sql_cell_targets(view_id integer)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(format(', %I', 'cells_' || r.id), '' ORDER BY r.id), '') FROM tally.derived_view r WHERE r.source_id = view_id
$$;

-- tally.sql_hand_up: statements that hand the collected cells (variables cells_<id>) to the rollups above a view;
-- a rollup with count(distinct) first gets what its finer rollups found.
CREATE OR REPLACE FUNCTION tally.sql_hand_up(view_id integer)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(format(E'    PERFORM tally.require_latest(%s);\n', view_id)) FILTER (WHERE view_id = r.root_id), '')
        || coalesce(string_agg(format(E'    PERFORM %s(%s%s);\n', tally.part(r, '_apply'), 'cells_' || r.id,
            coalesce((SELECT string_agg(format(' || %s(%s)', tally.part(f, '_apply'), 'cells_' || f.id), '' ORDER BY f.id)
                      FROM tally.derived_view f WHERE f.serves_id = r.id), '')), '' ORDER BY r.id), '')
    FROM tally.derived_view r WHERE r.source_id = view_id AND r.serves_id IS NULL
$$;

-- tally.require_latest: raise a serialization failure in a transaction whose snapshot is older than the last merge: it would
-- take a cell that was born since for a new one.
CREATE OR REPLACE FUNCTION tally.require_latest(root_id integer)
RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT FROM tally.merge_state m WHERE m.view_id = root_id FOR NO KEY UPDATE
$$;
