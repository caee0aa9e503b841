-- tally.generate_rollup_live: the views that read a rollup exactly at the reader's snapshot.
--   Makes     <rollup>_change: what the pending keys would take from (tally_sign -1) and bring to (+1) it, cell by cell;
--             <rollup>_live: stored cells that are not touched, and the touched ones as they will be
CREATE OR REPLACE FUNCTION tally.generate_rollup_live(r tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    base   tally.derived_view := tally.view_by_id(r.source_id);
    groups text := tally.column_list(r.group_by, 'd.');
    names  text := concat_ws(', ', tally.column_list(r.group_by), (SELECT string_agg(quote_ident(m.name), ', ') FROM tally.measures_of(r) m));
BEGIN
    EXECUTE format($make$CREATE OR REPLACE VIEW %1$s AS
WITH cell AS MATERIALIZED (
    SELECT %2$s, %3$s FROM (%4$s%5$s) d GROUP BY %2$s),
touched AS MATERIALIZED (
    SELECT %6$s, coalesce(s.cell_rows, 0) AS was_rows%7$s, %8$s
    FROM cell c LEFT JOIN LATERAL (%9$s) s ON true)
SELECT -1 AS tally_sign, %10$s FROM touched t WHERE t.was_rows > 0
UNION ALL SELECT 1, %11$s FROM touched t WHERE t.cell_rows > 0$make$,
        tally.part(r, '_change'), groups,
        (SELECT string_agg(format(CASE WHEN s.adding = 'add' THEN 'sum(d.%1$I)::%2$s AS %1$I' WHEN coalesce(m.function, '') = 'min' THEN 'min(d.%1$I) AS %1$I'
                                  ELSE 'max(d.%1$I) AS %1$I' END, s.col, s.type), ', ')
         FROM tally.sums_of(r) s LEFT JOIN tally.measure m ON m.rollup_id = r.id AND m.name = s.measure),
        tally.sql_cells(r, tally.part(base, '_change'), false),
        coalesce((SELECT string_agg(' UNION ALL ' || tally.sql_distinct_cells(r, f, tally.part(f, '_change'), false), '') FROM tally.derived_view f WHERE f.serves_id = r.id), ''),
        tally.column_list(r.group_by, 'c.'),
        coalesce((SELECT string_agg(format(', %s AS %I', tally.sql_final(m, 's'), 'old_' || m.name), '') FROM tally.measures_of(r) m), ''),
        (SELECT string_agg(CASE s.adding WHEN 'add' THEN format('coalesce(s.%1$I, ''0'') + c.%1$I AS %1$I', s.col) WHEN 'left' THEN format('c.%I', s.col)
            ELSE format('CASE WHEN s.cell_rows > 0 AND %s THEN %s ELSE %s(s.%4$I, c.%4$I) END AS %4$I', tally.sql_doubtful(m, 's', 'c'),
                        tally.sql_rescan(r, m, tally.part(base, '_live'), 'c'), s.adding, s.col) END, ', ')
         FROM tally.sums_of(r) s LEFT JOIN tally.measure m ON m.rollup_id = r.id AND m.name = s.measure),
        tally.sql_find(tally.part(r, '_state'), r.group_by, 's.*', 'tally_epoch'),
        concat_ws(', ', tally.column_list(r.group_by, 't.'), (SELECT string_agg(format('t.%I AS %I', 'old_' || m.name, m.name), ', ') FROM tally.measures_of(r) m)),
        concat_ws(', ', tally.column_list(r.group_by, 't.'), (SELECT string_agg(tally.sql_final(m, 't'), ', ') FROM tally.measures_of(r) m)));
    EXECUTE format('COMMENT ON VIEW %s IS %L', tally.part(r, '_change'), format('what the next merge would take from (-1) and add to (+1) %s', tally.part(r)));
    IF r.serves_id IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE OR REPLACE VIEW %s AS WITH change AS MATERIALIZED (SELECT * FROM %s) '
                || 'SELECT %s FROM %s d WHERE %s UNION ALL SELECT %s FROM change d WHERE d.tally_sign > 0',
        tally.part(r, '_live'), tally.part(r, '_change'),
        tally.column_list(tally.columns_of(tally.part(r)::regclass), 'd.'), tally.part(r),
        tally.sql_not_in(r.group_by, 'change', 'd'), tally.column_list(tally.columns_of(tally.part(r)::regclass), 'd.'));
    EXECUTE format('COMMENT ON VIEW %s IS %L', tally.part(r, '_live'),
        format('%s, exact at the reader''s snapshot: stored cells, and those that keys not merged yet would change', tally.part(r)));
END
$$;
