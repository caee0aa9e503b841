-- tally.generate_rollup_apply: the function that adds differences to a rollup.
--   Makes     <rollup>_apply(cells): add them to the running sums, look an extremum up again only when its holder left,
--             publish what readers see, drop empty cells, hand the difference to the rollups above. For the finer
--             rollup of a count(distinct) it returns what that means to the rollup it serves.
--             Called with the projection's advisory lock held: it is the only writer of these tables, so it may
--             address rows by where they are (ctid) from one statement to the next.
CREATE OR REPLACE FUNCTION tally.generate_rollup_apply(r tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    base   tally.derived_view := tally.view_by_id(r.source_id);
    serves tally.derived_view := tally.view_by_id(r.serves_id);
    state  text := tally.part(r, '_state');
    above  text := (SELECT string_agg(format('%I %s[]; ', 'cells_' || u.id, tally.part(u, '_cell')), '' ORDER BY u.id) FROM tally.derived_view u WHERE u.source_id = r.id);
    signed text := format('(SELECT -1 AS tally_sign, %s FROM unnest(tally_touched) t WHERE t.was_rows > 0 UNION ALL SELECT 1, %s FROM unnest(tally_touched) t WHERE t.cell_rows > 0)',
        concat_ws(', ', tally.column_list(r.group_by, 't.'), (SELECT string_agg(format('t.%I AS %I', 'old_' || m.name, m.name), ', ') FROM tally.measures_of(r) m)),
        concat_ws(', ', tally.column_list(r.group_by, 't.'), (SELECT string_agg(tally.sql_final(m, 't'), ', ') FROM tally.measures_of(r) m)));
BEGIN
    EXECUTE format($make$
CREATE OR REPLACE FUNCTION %1$s(cells %2$s[]) RETURNS %3$s LANGUAGE plpgsql SECURITY DEFINER
SET search_path = %4$s SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' SET enable_seqscan = off AS $body$
#variable_conflict use_column
DECLARE
    tally_touched %5$s[]; tally_tids tid[]; tally_rows tid[]; tally_lost bigint[]; %6$s
BEGIN
    WITH c AS MATERIALIZED (%7$s)
    SELECT array_agg(ROW(%8$s)::%5$s), array_agg(s.tally_tid) INTO tally_touched, tally_tids
    FROM c LEFT JOIN LATERAL (%9$s) s ON true;
    IF tally_touched IS NULL THEN
        RETURN%10$s;
    END IF;
%11$s%12$s%13$s%14$sEND
$body$ $make$,
        tally.part(r, '_apply'), tally.part(r, '_cell'),
        CASE WHEN r.serves_id IS NULL THEN 'void' ELSE tally.part(serves, '_cell') || '[]' END,
        tally.fixed_path(state::regclass), state, coalesce(above, ''), tally.sql_by_cell(r),
        tally.sql_added(r), tally.sql_find(state, r.group_by, 's.ctid AS tally_tid, s.*', 'tally_epoch'),
        CASE WHEN r.serves_id IS NULL THEN '' ELSE ' NULL' END,
        tally.sql_look_again(r, base, state), CASE WHEN r.serves_id IS NULL THEN tally.sql_publish(r) ELSE tally.sql_keep(r) END,
        coalesce((SELECT string_agg(format(E'    %I := ARRAY(%s);\n', 'cells_' || u.id, tally.sql_cells(u, signed)), '' ORDER BY u.id)
                  FROM tally.derived_view u WHERE u.source_id = r.id), '') || tally.sql_hand_up(r.id),
        CASE WHEN r.serves_id IS NULL THEN '' ELSE format(E'    RETURN ARRAY(%s);\n', tally.sql_distinct_cells(serves, r,
            format('(SELECT -1 AS tally_sign, t.* FROM unnest(tally_touched) t WHERE t.was_rows > 0 AND t.cell_rows <= 0 UNION ALL SELECT 1, t.* FROM unnest(tally_touched) t WHERE t.was_rows <= 0 AND t.cell_rows > 0)'))) END);
    PERFORM tally.seal(format('%s(%s[])', tally.part(r, '_apply'), tally.part(r, '_cell')), 'adds differences to ' || tally.part(r));
END
$$;

-- tally.sql_by_cell: the differences (variable cells), one row a cell, without those that change nothing. Cells come grouped, but
-- for those of finer rollups, which are added to the list.
CREATE OR REPLACE FUNCTION tally.sql_by_cell(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN EXISTS (SELECT FROM tally.derived_view f WHERE f.serves_id = r.id)
        THEN format('SELECT %1$s, %2$s FROM unnest(cells) d GROUP BY %1$s HAVING %3$s', tally.column_list(r.group_by),
            string_agg(format(CASE WHEN s.adding = 'add' THEN 'sum(%1$I)::%2$s AS %1$I' WHEN m.function = 'min' THEN 'min(%1$I) AS %1$I' ELSE 'max(%1$I) AS %1$I' END, s.col, s.type), ', '),
            string_agg(CASE WHEN s.adding = 'add' THEN format('sum(%I) <> ''0''', s.col) WHEN s.adding = 'left' THEN 'false'
                ELSE format('%1$s(%2$I) IS DISTINCT FROM %1$s(%3$I)', m.function, s.col, 'left_' || m.name) END, ' OR '))
        ELSE format('SELECT * FROM unnest(cells) d WHERE %s',
            string_agg(CASE WHEN s.adding = 'add' THEN format('d.%I <> ''0''', s.col) WHEN s.adding = 'left' THEN 'false'
                ELSE format('d.%I IS DISTINCT FROM d.%I', s.col, 'left_' || m.name) END, ' OR ')) END
    FROM tally.sums_of(r) s LEFT JOIN tally.measure m ON m.rollup_id = r.id AND m.name = s.measure
$$;

-- tally.sql_added: the columns of <rollup>_state after the difference (alias c) is added to what is kept (alias s). Every
-- 8th version of a cell begins a new index entry, so that no look-up passes over more; the others can be HOT updates.
CREATE OR REPLACE FUNCTION tally.sql_added(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT concat_ws(', ',
        (SELECT string_agg(format('CASE WHEN s.tally_tid IS NULL THEN c.%1$I ELSE s.%1$I END', g), ', ' ORDER BY n) FROM unnest(r.group_by) WITH ORDINALITY u(g, n)),
        (SELECT string_agg(CASE s.adding WHEN 'add' THEN format('coalesce(s.%1$I, ''0'') + c.%1$I', s.col)
            WHEN 'left' THEN format('CASE WHEN %s THEN c.%I END', tally.sql_doubtful(m, 's', 'c'), s.col)
            ELSE format('%1$s(s.%2$I, c.%2$I)', s.adding, s.col) END, ', ')
         FROM tally.sums_of(r) s LEFT JOIN tally.measure m ON m.rollup_id = r.id AND m.name = s.measure),
        'coalesce(s.cell_rows, 0)',
        (SELECT string_agg(tally.sql_final(m, 's'), ', ') FROM tally.measures_of(r) m),
        'coalesce(s.tally_version + 1, 0)', 'coalesce((s.tally_version + 1) / 8, 0)',
        CASE WHEN r.serves_id IS NULL THEN 's.tally_row' END)
$$;

-- tally.sql_look_again: statements that look doubtful extrema up again, in what the source stores by now.
CREATE OR REPLACE FUNCTION tally.sql_look_again(r tally.derived_view, base tally.derived_view, state text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format($again$    IF EXISTS (SELECT FROM unnest(tally_touched) t WHERE t.cell_rows > 0 AND (%1$s)) THEN
        tally_touched := ARRAY(SELECT ROW(%2$s)::%3$s FROM unnest(tally_touched) WITH ORDINALITY t(%4$s, tally_n) ORDER BY t.tally_n);
    END IF;
$again$,
        string_agg(format('t.%I IS NOT NULL', 'left_' || m.name), ' OR '),
        (SELECT string_agg(CASE WHEN s.adding IN ('least', 'greatest') THEN format('CASE WHEN t.cell_rows > 0 AND t.%I IS NOT NULL THEN %s ELSE t.%I END',
                    'left_' || x.name, tally.sql_rescan(r, x, tally.part(base), 't'), c.col)
                WHEN s.adding = 'left' THEN 'NULL' ELSE format('t.%I', c.col) END, ', ' ORDER BY c.n)
         FROM unnest(tally.columns_of(state::regclass)) WITH ORDINALITY c(col, n)
         LEFT JOIN tally.sums_of(r) s ON s.col = c.col LEFT JOIN tally.measure x ON x.rollup_id = r.id AND x.name = s.measure),
        state, tally.column_list(tally.columns_of(state::regclass)))
    FROM tally.measures_of(r) m WHERE m.function IN ('min', 'max') HAVING count(*) > 0
$$;

-- tally.sql_come_and_go: statements that forget the running sums of the touched cells that are empty now, and begin those of new
-- ones; where the public row of a new one is stored is looked up when the cell is next touched.
CREATE OR REPLACE FUNCTION tally.sql_come_and_go(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format($cells$    DELETE FROM %1$s WHERE ctid = ANY (ARRAY(SELECT t.tally_tid FROM unnest(tally_touched, tally_tids) t(%2$s, tally_tid) WHERE t.cell_rows <= 0));
    INSERT INTO %1$s (%3$s) SELECT %3$s FROM unnest(tally_touched, tally_tids) t(%2$s, tally_tid) WHERE t.tally_tid IS NULL AND t.cell_rows > 0;
$cells$, tally.part(r, '_state'), tally.column_list(c), tally.column_list(array_remove(c, 'tally_row')))
    FROM tally.columns_of(tally.part(r, '_state')::regclass) c
$$;

-- tally.sql_publish: statements that write what readers see of the touched cells, and their running sums. Where a cell's public
-- row is stored is remembered with its sums (tally_row), so that no index is asked for it; a row that is not there any more,
-- since VACUUM FULL or a hand moved it, is lost, and replaced.
CREATE OR REPLACE FUNCTION tally.sql_publish(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format($publish$    IF EXISTS (SELECT FROM unnest(tally_touched) t WHERE t.tally_row IS NULL) THEN
        tally_touched := ARRAY(SELECT ROW(%1$s, coalesce(c.tally_row, (SELECT f.ctid FROM (%2$s) f LIMIT 1)))::%3$s FROM unnest(tally_touched) WITH ORDINALITY c(%4$s, tally_n) ORDER BY c.tally_n);
    END IF;
    tally_rows := ARRAY(SELECT t.tally_row FROM unnest(tally_touched) t);
    WITH moved AS (%5$s),
    kept AS (
        UPDATE %3$s s SET %6$s, tally_row = CASE WHEN %7$s THEN m.tally_moved ELSE t.tally_row END
        FROM unnest(tally_touched, tally_tids) WITH ORDINALITY t(%4$s, tally_tid, tally_n) LEFT JOIN moved m USING (tally_n)
        WHERE s.ctid = ANY (tally_tids) AND s.ctid = t.tally_tid AND t.cell_rows > 0
        RETURNING CASE WHEN s.tally_row IS NULL THEN t.tally_n END AS tally_lost)
    SELECT array_agg(tally_lost) FILTER (WHERE tally_lost IS NOT NULL) INTO tally_lost FROM kept;
    IF tally_lost IS NOT NULL OR EXISTS (SELECT FROM unnest(tally_touched) t WHERE t.was_rows <= 0 OR t.cell_rows <= 0) THEN
        DELETE FROM %8$s WHERE ctid = ANY (ARRAY(SELECT f.ctid FROM unnest(tally_touched) WITH ORDINALITY c(%4$s, tally_n) CROSS JOIN LATERAL (%2$s) f
            WHERE c.was_rows <= 0 OR c.cell_rows <= 0 OR c.tally_n = ANY (tally_lost)));
        INSERT INTO %8$s (%9$s) SELECT %10$s FROM unnest(tally_touched) WITH ORDINALITY t(%4$s, tally_n) WHERE t.cell_rows > 0 AND (t.was_rows <= 0 OR t.tally_n = ANY (tally_lost));
%11$s    END IF;
$publish$,
        tally.column_list(kept, 'c.'), tally.sql_find(tally.part(r), r.group_by, 's.ctid'), tally.part(r, '_state'), tally.column_list(kept || 'tally_row'::name),
        coalesce(CASE WHEN differs IS NOT NULL THEN format('
        UPDATE %s p SET %s FROM unnest(tally_touched) WITH ORDINALITY t(%s, tally_n)
        WHERE p.ctid = ANY (tally_rows) AND p.ctid = t.tally_row AND %s AND t.cell_rows > 0 AND %s
        RETURNING t.tally_n, p.ctid AS tally_moved', tally.part(r), string_agg(format('%I = %s', m.name, tally.sql_final(m, 't')), ', ') FILTER (WHERE m.name IS NOT NULL),
            tally.column_list(kept || 'tally_row'::name), tally.sql_not_distinct(r.group_by, 'p', 't'), differs) END,
            'SELECT NULL::bigint AS tally_n, NULL::tid AS tally_moved'),
        tally.sql_assign(kept, r.group_by, 't'), coalesce(differs, 'false'), tally.part(r),
        concat_ws(', ', tally.column_list(r.group_by), string_agg(quote_ident(m.name), ', ') FILTER (WHERE m.name IS NOT NULL)),
        concat_ws(', ', tally.column_list(r.group_by, 't.'), string_agg(tally.sql_final(m, 't'), ', ') FILTER (WHERE m.name IS NOT NULL)),
        tally.sql_come_and_go(r))
    FROM (SELECT array_remove(tally.columns_of(tally.part(r, '_state')::regclass), 'tally_row') AS kept,
                 (SELECT format('ROW(%s) IS DISTINCT FROM ROW(%s)', string_agg(format('t.%I', 'old_' || d.name), ', '), string_agg(tally.sql_final(d, 't'), ', '))
                  FROM tally.measures_of(r) d HAVING count(*) > 0) AS differs) x
    LEFT JOIN tally.measures_of(r) m ON true
    GROUP BY kept, differs
$$;

-- tally.sql_keep: statements that write the running sums of the touched cells of a finer rollup, of which readers see nothing.
CREATE OR REPLACE FUNCTION tally.sql_keep(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format($keep$    UPDATE %1$s s SET %2$s FROM unnest(tally_touched, tally_tids) t(%3$s, tally_tid)
    WHERE s.ctid = ANY (tally_tids) AND s.ctid = t.tally_tid AND t.cell_rows > 0;
$keep$, tally.part(r, '_state'), tally.sql_assign(kept, r.group_by, 't'), tally.column_list(kept)) || tally.sql_come_and_go(r)
    FROM tally.columns_of(tally.part(r, '_state')::regclass) kept
$$;
