-- tally.generate_apply: the function that brings given keys of a projection, and every rollup above, up to date.
--   Makes     <projection>_apply(one array per key column) RETURNS bigint (rows inserted, updated or deleted): evaluate
--             the definition for these keys, compare with what is stored, write the difference, hand the sums of what
--             went and came to the rollups. Idempotent. Called with the projection's advisory lock held.
--   Called by tally.activate, tally.create_rollup
CREATE OR REPLACE FUNCTION tally.generate_apply(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns  name[] := tally.columns_of(v.definition);
    table_   text := tally.part(v);
    rollups  text := (SELECT string_agg(format(' %I %s[];', 'cells_' || r.id, tally.part(r, '_cell')), '' ORDER BY r.id)
                      FROM tally.derived_view r WHERE r.source_id = v.id);
BEGIN
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s(%2$s) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = %3$s SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $body$
#variable_conflict use_column
DECLARE
    tally_changed bigint;%4$s
BEGIN
    WITH pending AS MATERIALIZED (SELECT * FROM unnest(%5$s) AS k(%6$s)),
    fresh AS MATERIALIZED (%7$s),
    stored AS MATERIALIZED (%8$s),
    difference AS MATERIALIZED (
        SELECT s.tally_tid, f.tally_here AS tally_fresh, %9$s,
               f.tally_here IS NULL AND (%11$s OR NOT EXISTS (SELECT FROM fresh n WHERE %12$s)) AS tally_gone
        FROM stored s FULL JOIN fresh f ON %10$s  -- rows with a NULL here meet by ON CONFLICT
        WHERE s.tally_tid IS NULL OR f.tally_here IS NULL OR ROW(%13$s)::%14$s *<> ROW(%9$s)::%14$s),
    gone AS (
        DELETE FROM %14$s WHERE ctid = ANY (ARRAY(SELECT tally_tid FROM difference WHERE tally_gone))),
    written AS (
        INSERT INTO %14$s (%15$s) SELECT %15$s FROM difference WHERE tally_fresh ORDER BY %16$s
        ON CONFLICT (%16$s) DO UPDATE SET %17$s),
    signed AS (
        SELECT -1 AS tally_sign, %15$s FROM stored UNION ALL SELECT 1, %15$s FROM fresh)
    SELECT (SELECT count(*) FROM difference)%18$s INTO tally_changed%19$s;
%20$s    RETURN tally_changed;
END
$body$ $make$,
        tally.part(v, '_apply'),
        (SELECT string_agg(format('%I %s[]', 'tally_keys_' || i, tally.type_of(v.definition, c)), ', ' ORDER BY i) FROM unnest(v.key) WITH ORDINALITY u(c, i)),
        tally.fixed_path(v.definition), coalesce(rollups, ''),
        (SELECT string_agg('tally_keys_' || i, ', ' ORDER BY i) FROM generate_subscripts(v.key, 1) i),
        tally.column_list(v.key),
        tally.sql_matching(v.key, v.definition::text, 'true AS tally_here, ' || tally.column_list(columns, 'd.'), CASE WHEN cardinality(v.key) = 1 THEN 'tally_keys_1' END),
        replace(tally.sql_matching(v.key, table_, 'd.ctid AS tally_tid, ' || tally.column_list(columns, 'd.'), CASE WHEN cardinality(v.key) = 1 THEN 'tally_keys_1' END),
                '(SELECT * FROM ' || table_, '(SELECT d.ctid, d.* FROM ' || table_),
        tally.column_list(columns, 'f.'),
        tally.sql_same(v.identity, 's', 'f'), tally.sql_no_null(v.identity, 's.'),
        (SELECT string_agg(format('n.%1$I IS NOT DISTINCT FROM s.%1$I', c), ' AND ') FROM unnest(v.identity) c),
        tally.column_list(columns, 's.'), table_, tally.column_list(columns), tally.column_list(v.identity),
        (SELECT string_agg(format('%1$I = excluded.%1$I', c), ', ') FROM unnest(columns) c),
        coalesce((SELECT string_agg(format(E',\n        ARRAY(%s)', tally.sql_cells(r, 'signed')), '' ORDER BY r.id)
                  FROM tally.derived_view r WHERE r.source_id = v.id), ''),
        coalesce((SELECT string_agg(format(', %I', 'cells_' || r.id), '' ORDER BY r.id) FROM tally.derived_view r WHERE r.source_id = v.id), ''),
        tally.sql_hand_up(v.id));
    PERFORM tally.seal(format('%s(%s)', tally.part(v, '_apply'), (
            SELECT string_agg(tally.type_of(v.definition, c) || '[]', ', ' ORDER BY i) FROM unnest(v.key) WITH ORDINALITY u(c, i))),
        format('brings keys of %s and the rollups above it up to date', table_));
END
$$;

-- tally.sql_hand_up: statements that hand the collected cells (variables cells_<id>) to the rollups above a view;
-- a rollup with count(distinct) first gets what its finer rollups found.
CREATE OR REPLACE FUNCTION tally.sql_hand_up(view_id integer)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(format(E'    PERFORM %s(%s%s);\n', tally.part(r, '_apply'), 'cells_' || r.id,
        coalesce((SELECT string_agg(format(' || %s(%s)', tally.part(f, '_apply'), 'cells_' || f.id), '' ORDER BY f.id)
                  FROM tally.derived_view f WHERE f.serves_id = r.id), '')), '' ORDER BY r.id), '')
    FROM tally.derived_view r WHERE r.source_id = view_id AND r.serves_id IS NULL
$$;
