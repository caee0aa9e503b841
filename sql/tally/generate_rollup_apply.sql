-- tally.generate_rollup_apply: the function that adds differences to a rollup.
--   Makes     <rollup>_apply(cells): add them to the running sums, look an extremum up again only when its holder left,
--             publish what readers see, drop empty cells, hand the difference to the rollups above. For the finer
--             rollup of a count(distinct) it returns what that means to the rollup it serves.
--             Called with the projection's advisory lock held: it is the only writer of these tables.
--   Called by tally.make_rollup, tally.generate_above
CREATE OR REPLACE FUNCTION tally.generate_rollup_apply(r tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    base   tally.derived_view := tally.view_by_id(r.source_id);
    serves tally.derived_view := tally.view_by_id(r.serves_id);
    state  text := tally.part(r, '_state');
    groups text := tally.column_list(r.group_by);
    sums   text := (SELECT string_agg(quote_ident(s.col), ', ') FROM tally.sums_of(r) s);
    above  text := (SELECT string_agg(format('%I %s[]; ', 'cells_' || u.id, tally.part(u, '_cell')), '' ORDER BY u.id) FROM tally.derived_view u WHERE u.source_id = r.id);
    signed text := format('(SELECT -1 AS tally_sign, %s FROM unnest(tally_touched) t WHERE t.was_rows > 0 UNION ALL SELECT 1, %s FROM unnest(tally_touched) t WHERE t.cell_rows > 0)',
        concat_ws(', ', tally.column_list(r.group_by, 't.'), (SELECT string_agg(format('t.%I AS %I', 'old_' || m.name, m.name), ', ') FROM tally.measures_of(r) m)),
        concat_ws(', ', tally.column_list(r.group_by, 't.'), (SELECT string_agg(tally.sql_final(m, 't'), ', ') FROM tally.measures_of(r) m)));
BEGIN
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s(cells %2$s[]) RETURNS %3$s LANGUAGE plpgsql SECURITY DEFINER
SET search_path = %4$s SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $body$
#variable_conflict use_column
DECLARE
    tally_touched %5$s[]; tally_tids tid[]; %6$s
BEGIN
    WITH c AS (
        SELECT %7$s, %8$s FROM unnest(cells) d GROUP BY %7$s HAVING %9$s),
    written AS (
        INSERT INTO %5$s AS s (%7$s, %10$s) SELECT %7$s, %10$s FROM c
        ON CONFLICT (%7$s) DO UPDATE SET was_rows = s.cell_rows%11$s, %12$s
        RETURNING s.ctid AS tally_tid, s.*)
    SELECT array_agg(ROW(%13$s)::%5$s), array_agg(w.tally_tid) INTO tally_touched, tally_tids FROM written w;
    IF tally_touched IS NULL THEN
        RETURN%14$s;
    END IF;
%15$s%16$s    DELETE FROM %5$s s WHERE s.ctid = ANY (tally_tids) AND s.cell_rows <= 0;
%17$s%18$sEND
$body$ $make$,
        tally.part(r, '_apply'), tally.part(r, '_cell'),
        CASE WHEN r.serves_id IS NULL THEN 'void' ELSE tally.part(serves, '_cell') || '[]' END,
        tally.fixed_path(state::regclass), state, coalesce(above, ''), groups,
        (SELECT string_agg(format(CASE s.adding WHEN 'add' THEN 'sum(%1$I)::%2$s AS %1$I' WHEN 'least' THEN 'min(%1$I) AS %1$I' WHEN 'greatest' THEN 'max(%1$I) AS %1$I'
            ELSE CASE WHEN m.function = 'min' THEN 'min(%1$I) AS %1$I' ELSE 'max(%1$I) AS %1$I' END END, s.col, s.type), ', ')
         FROM tally.sums_of(r) s LEFT JOIN tally.measure m ON m.rollup_id = r.id AND m.name = s.measure),
        (SELECT string_agg(CASE WHEN s.adding = 'add' THEN format('sum(%I) <> ''0''', s.col)
            WHEN s.adding = 'left' THEN 'false' ELSE format('%1$s(%2$I) IS DISTINCT FROM %1$s(%3$I)', m.function, s.col, 'left_' || m.name) END, ' OR ')
         FROM tally.sums_of(r) s LEFT JOIN tally.measure m ON m.rollup_id = r.id AND m.name = s.measure),
        sums,
        coalesce((SELECT string_agg(format(', %I = %s', 'old_' || m.name, tally.sql_final(m, 's')), '') FROM tally.measures_of(r) m), ''),
        (SELECT string_agg(CASE s.adding WHEN 'add' THEN format('%1$I = s.%1$I + excluded.%1$I', s.col)
            WHEN 'left' THEN format('%I = CASE WHEN %s THEN excluded.%1$I END', s.col, tally.sql_doubtful(m, 's', 'excluded'))
            ELSE format('%I = %s(s.%1$I, excluded.%1$I)', s.col, s.adding) END, ', ')
         FROM tally.sums_of(r) s LEFT JOIN tally.measure m ON m.rollup_id = r.id AND m.name = s.measure),
        tally.column_list(tally.columns_of(state::regclass), 'w.'),
        CASE WHEN r.serves_id IS NULL THEN '' ELSE ' NULL' END,
        tally.sql_look_again(r, base, state), CASE WHEN r.serves_id IS NULL THEN tally.sql_publish(r) ELSE '' END,
        coalesce((SELECT string_agg(format(E'    %I := ARRAY(%s);\n', 'cells_' || u.id, tally.sql_cells(u, signed)), '' ORDER BY u.id)
                  FROM tally.derived_view u WHERE u.source_id = r.id), '') || tally.sql_hand_up(r.id),
        CASE WHEN r.serves_id IS NULL THEN '' ELSE format(E'    RETURN ARRAY(%s);\n', tally.sql_distinct_cells(serves, r,
            format('(SELECT -1 AS tally_sign, t.* FROM unnest(tally_touched) t WHERE t.was_rows > 0 AND t.cell_rows <= 0 UNION ALL SELECT 1, t.* FROM unnest(tally_touched) t WHERE t.was_rows <= 0 AND t.cell_rows > 0)'))) END);
    PERFORM tally.seal(format('%s(%s[])', tally.part(r, '_apply'), tally.part(r, '_cell')), 'adds differences to ' || tally.part(r));
END
$$;

-- tally.sql_look_again: statements that look doubtful extrema up again, in what the source stores by now.
CREATE OR REPLACE FUNCTION tally.sql_look_again(r tally.derived_view, base tally.derived_view, state text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format($again$    IF EXISTS (SELECT FROM unnest(tally_touched) t WHERE t.cell_rows > 0 AND (%1$s)) THEN
        WITH again AS (
            UPDATE %2$s s SET %3$s WHERE s.ctid = ANY (tally_tids) AND s.cell_rows > 0 AND (%4$s) RETURNING s.ctid AS tally_tid, s.*),
        both_kinds AS (
            SELECT * FROM again
            UNION ALL SELECT t.tally_tid, %5$s FROM unnest(tally_touched, tally_tids) AS t(%6$s, tally_tid) WHERE t.cell_rows <= 0 OR NOT (%1$s))
        SELECT array_agg(ROW(%7$s)::%2$s), array_agg(b.tally_tid) INTO tally_touched, tally_tids FROM both_kinds b;
    END IF;
$again$,
        string_agg(format('t.%I IS NOT NULL', 'left_' || m.name), ' OR '), state,
        string_agg(format('%1$I = CASE WHEN s.%2$I IS NULL THEN s.%1$I ELSE %3$s END, %2$I = NULL', 'val_' || m.name, 'left_' || m.name,
                          tally.sql_rescan(r, m, tally.part(base), 's')), ', '),
        string_agg(format('s.%I IS NOT NULL', 'left_' || m.name), ' OR '),
        tally.column_list(tally.columns_of(state::regclass), 't.'),
        tally.column_list(tally.columns_of(state::regclass)),
        tally.column_list(tally.columns_of(state::regclass), 'b.'))
    FROM tally.measures_of(r) m WHERE m.function IN ('min', 'max') HAVING count(*) > 0
$$;

-- tally.sql_publish: statements that write what readers see of the touched cells.
CREATE OR REPLACE FUNCTION tally.sql_publish(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format($publish$    INSERT INTO %1$s AS p (%2$s) SELECT %3$s FROM unnest(tally_touched) t WHERE t.cell_rows > 0
    ON CONFLICT (%4$s) DO %5$s;
    IF EXISTS (SELECT FROM unnest(tally_touched) t WHERE t.cell_rows <= 0) THEN
        DELETE FROM %1$s p USING unnest(tally_touched) t WHERE t.cell_rows <= 0 AND %6$s;
        DELETE FROM %1$s p USING unnest(tally_touched) t WHERE t.cell_rows <= 0 AND num_nulls(%7$s) > 0 AND %8$s;
    END IF;
$publish$,
        tally.part(r), concat_ws(', ', tally.column_list(r.group_by), (SELECT string_agg(quote_ident(m.name), ', ') FROM tally.measures_of(r) m)),
        concat_ws(', ', tally.column_list(r.group_by, 't.'), (SELECT string_agg(tally.sql_final(m, 't'), ', ') FROM tally.measures_of(r) m)),
        tally.column_list(r.group_by),
        coalesce((SELECT format('UPDATE SET %s WHERE ROW(%s) IS DISTINCT FROM ROW(%s)',
                     string_agg(format('%1$I = excluded.%1$I', m.name), ', '), string_agg(format('p.%I', m.name), ', '), string_agg(format('excluded.%I', m.name), ', '))
                  FROM tally.measures_of(r) m HAVING count(*) > 0), 'NOTHING'),
        tally.sql_same(r.group_by, 'p', 't'), tally.column_list(r.group_by, 't.'),
        (SELECT string_agg(format('p.%1$I IS NOT DISTINCT FROM t.%1$I', c), ' AND ') FROM unnest(r.group_by) c))
$$;
