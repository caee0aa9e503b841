-- tally.generate_rollup_live: the views that read a rollup exactly at the reader's snapshot.
--   Makes     <rollup>_change: what the pending keys would take from (tally_sign -1) and bring to (+1) it, cell by cell;
--             <rollup>_live: stored cells that are not touched, and the touched ones as they will be
CREATE OR REPLACE FUNCTION tally.generate_rollup_live(r tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    base tally.derived_view := tally.view_by_id(r.source_id);
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE VIEW {change} AS
WITH cell AS MATERIALIZED (
    SELECT {d_groups}{summed} FROM ({cells}) d {group_by}),
touched AS MATERIALIZED (
    SELECT {c_groups}s.cell_rows IS NOT NULL AS tally_was, {old_measures}{added}
    FROM cell c LEFT JOIN LATERAL ({state}) s ON true)
SELECT -1 AS tally_sign, {old_row} FROM touched t WHERE t.tally_was
UNION ALL
SELECT 1, {new_row} FROM touched t WHERE {there}$template$, jsonb_build_object(
        'change',       tally.part(r, '_change'),
        'd_groups',     coalesce((SELECT string_agg(format('d.%I, ', g), '' ORDER BY n) FROM unnest(r.group_by) WITH ORDINALITY u(g, n)), ''),
        'c_groups',     coalesce((SELECT string_agg(format('c.%I, ', g), '' ORDER BY n) FROM unnest(r.group_by) WITH ORDINALITY u(g, n)), ''),
        'group_by',     tally.sql_group_by(r),
        'there',        tally.sql_there(r, 't.cell_rows'),
        'cells',        concat_ws(E'\nUNION ALL ', tally.sql_cells(r, tally.part(base, '_change'), false),
                            (SELECT string_agg(tally.sql_distinct_cells(r, f, tally.part(f, '_change'), false), E'\nUNION ALL ')
                             FROM tally.derived_view f WHERE f.serves_id = r.id)),
        'summed',       tally.sql_summed(r),
        'state',        tally.sql_find(r, '_state', 's.*', 'tally_epoch'),
        'old_measures', coalesce((SELECT string_agg(format('%s AS %I, ', tally.sql_final(m, 's'), 'old_' || m.name), '') FROM tally.measures_of(r) m), ''),
        'added',        tally.sql_added_live(r, base),
        'old_row',      concat_ws(', ', nullif(tally.column_list(r.group_by, 't.'), ''), (SELECT string_agg(format('t.%I AS %I', 'old_' || m.name, m.name), ', ') FROM tally.measures_of(r) m)),
        'new_row',      concat_ws(', ', nullif(tally.column_list(r.group_by, 't.'), ''), (SELECT string_agg(tally.sql_final(m, 't'), ', ') FROM tally.measures_of(r) m))));
    EXECUTE format('COMMENT ON VIEW %s IS %L', tally.part(r, '_change'), format('what the next merge would take from (-1) and add to (+1) %s', tally.part(r)));
    IF r.serves_id IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE tally.render($template$
CREATE OR REPLACE VIEW {live} AS
WITH change AS MATERIALIZED (
    SELECT * FROM {change})
SELECT {d_columns} FROM {stored} d WHERE {not_touched}
UNION ALL
SELECT {d_columns} FROM change d WHERE d.tally_sign > 0$template$, jsonb_build_object(
        'live',        tally.part(r, '_live'),
        'change',      tally.part(r, '_change'),
        'stored',      tally.part(r),
        'd_columns',   tally.column_list(tally.columns_of(tally.part(r)::regclass), 'd.'),
        'not_touched', CASE WHEN r.group_by = '{}' THEN 'NOT EXISTS (SELECT FROM change)' ELSE tally.sql_not_in(tally.part(r)::regclass, r.group_by, 'change', 'd') END));
    EXECUTE format('COMMENT ON VIEW %s IS %L', tally.part(r, '_live'),
        format('%s, exact at the reader''s snapshot: stored cells, and those that keys not merged yet would change', tally.part(r)));
END
$$;

-- tally.sql_added_live: the sums of a cell after the difference (alias c) is added to what is kept (alias s). An extremum whose
-- holder left is looked up in the base's _live.
CREATE OR REPLACE FUNCTION tally.sql_added_live(r tally.derived_view, base tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(CASE WHEN s.adding IN ('least', 'greatest') THEN format('CASE WHEN s.cell_rows > 0 AND %s THEN %s ELSE %s END', tally.sql_doubtful(m, 's', 'c'),
                               tally.sql_rescan(r, m, tally.part(base, '_live'), 'c'), tally.sql_added(s.adding, s.col))
                           ELSE tally.sql_added(s.adding, s.col) END || format(' AS %I', s.col), ', ')
    FROM tally.sums_of(r) s LEFT JOIN tally.measure m ON m.rollup_id = r.id AND m.name = s.measure
$$;
