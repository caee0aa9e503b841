-- tally.generate_rollup_apply: the function that adds differences to a rollup.
--   Makes     <rollup>_apply(cells): add them to the running sums, look an extremum up again only when its holder left,
--             publish what readers see, drop empty cells, hand the difference to the rollups above. For the finer
--             rollup of a count(distinct) it returns what that means to the rollup it serves.
--             Called with the projection's advisory lock held: it is the only writer of these tables, so it may
--             address rows by where they are (ctid) from one statement to the next.
CREATE OR REPLACE FUNCTION tally.generate_rollup_apply(r tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $generator$
DECLARE
    finer  boolean := r.serves_id IS NOT NULL;
    serves tally.derived_view := tally.view_by_id(r.serves_id);
    state  text := tally.part(r, '_state');
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {apply}(cells {cell}[]) RETURNS {returns} LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {search_path} SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' SET enable_seqscan = off AS $body$
#variable_conflict use_column
DECLARE
    tally_touched {state}[]; tally_tids tid[];{public_variables}
    {cell_variables}
BEGIN
    WITH c AS MATERIALIZED (
        {by_cell})
    SELECT array_agg(ROW({added})::{state}), array_agg(s.tally_tid) INTO tally_touched, tally_tids
    FROM c LEFT JOIN LATERAL (
        {find}) s ON true;
    IF tally_touched IS NULL THEN
        RETURN{nothing};
    END IF;
    {look_again}
    {write}
    {collect_cells}
    {hand_up}
    {return}
END
$body$ $template$, jsonb_build_object(
        'apply',          tally.part(r, '_apply'),
        'cell',           tally.part(r, '_cell'),
        'returns',        CASE WHEN finer THEN tally.part(serves, '_cell') || '[]' ELSE 'void' END,
        'search_path',    tally.fixed_path(state::regclass),
        'state',          state,
        'public_variables', CASE WHEN finer THEN '' ELSE ' tally_rows tid[]; tally_lost bigint[];' END,
        'cell_variables', tally.sql_cell_variables(r.id),
        'by_cell',        tally.sql_by_cell(r),
        'added',          tally.sql_added(r),
        'find',           tally.sql_find(state, r.group_by, 's.ctid AS tally_tid, s.*', 'tally_epoch'),
        'nothing',        CASE WHEN finer THEN ' NULL' ELSE '' END,
        'look_again',     tally.sql_look_again(r, tally.view_by_id(r.source_id), state),
        'write',          CASE WHEN finer THEN tally.sql_keep(r) ELSE tally.sql_publish(r) END,
        'collect_cells',  tally.sql_collect_touched(r),
        'hand_up',        tally.sql_hand_up(r.id),
        'return',         CASE WHEN finer THEN format('RETURN ARRAY(%s);', tally.sql_distinct_cells(serves, r, tally.sql_born_and_dead())) ELSE '' END));
    PERFORM tally.seal(format('%s(%s[])', tally.part(r, '_apply'), tally.part(r, '_cell')), 'adds differences to ' || tally.part(r));
END
$generator$;

-- tally.sql_touched_signed: the touched cells as signed rows of the rollup.
CREATE OR REPLACE FUNCTION tally.sql_touched_signed(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render($template$(
    SELECT -1 AS tally_sign, {old} FROM unnest(tally_touched) t WHERE t.was_rows > 0
    UNION ALL
    SELECT 1, {new} FROM unnest(tally_touched) t WHERE t.cell_rows > 0)$template$, jsonb_build_object(
        'old', concat_ws(', ', tally.column_list(r.group_by, 't.'), (SELECT string_agg(format('t.%I AS %I', 'old_' || m.name, m.name), ', ') FROM tally.measures_of(r) m)),
        'new', concat_ws(', ', tally.column_list(r.group_by, 't.'), (SELECT string_agg(tally.sql_final(m, 't'), ', ') FROM tally.measures_of(r) m))))
$generator$;

-- tally.sql_collect_touched: statements that form the cells of the rollups above from the touched cells: as readers saw them
-- (tally_sign -1) and as they see them now (+1).
CREATE OR REPLACE FUNCTION tally.sql_collect_touched(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT coalesce(string_agg(tally.render('{variable} := ARRAY({cells});', jsonb_build_object(
        'variable', quote_ident('cells_' || u.id),
        'cells',    tally.sql_cells(u, tally.sql_touched_signed(r)))), E'\n' ORDER BY u.id), '')
    FROM tally.derived_view u WHERE u.source_id = r.id
$generator$;

-- tally.sql_born_and_dead: the touched cells of a finer rollup that are empty now (-1), and those that were empty before (+1).
CREATE OR REPLACE FUNCTION tally.sql_born_and_dead()
RETURNS text LANGUAGE sql IMMUTABLE AS $generator$
    SELECT $sql$(
    SELECT -1 AS tally_sign, t.* FROM unnest(tally_touched) t WHERE t.was_rows > 0 AND t.cell_rows <= 0
    UNION ALL
    SELECT 1, t.* FROM unnest(tally_touched) t WHERE t.was_rows <= 0 AND t.cell_rows > 0)$sql$
$generator$;

-- tally.sql_by_cell: the differences (variable cells), one row a cell, without those that change nothing. Cells come grouped, but
-- for those of finer rollups, which are added to the list.
CREATE OR REPLACE FUNCTION tally.sql_by_cell(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT CASE WHEN EXISTS (SELECT FROM tally.derived_view f WHERE f.serves_id = r.id)
        THEN tally.render('SELECT {groups}, {sums} FROM unnest(cells) d GROUP BY {groups} HAVING {changes}', jsonb_build_object(
            'groups',  tally.column_list(r.group_by),
            'sums',    tally.sql_summed(r),
            'changes', string_agg(CASE WHEN s.adding = 'add' THEN format('sum(%I) <> ''0''', s.col) WHEN s.adding = 'left' THEN 'false'
                ELSE format('%1$s(%2$I) IS DISTINCT FROM %1$s(%3$I)', m.function, s.col, 'left_' || m.name) END, ' OR ')))
        ELSE 'SELECT * FROM unnest(cells) d WHERE ' || string_agg(CASE WHEN s.adding = 'add' THEN format('d.%I <> ''0''', s.col) WHEN s.adding = 'left' THEN 'false'
                ELSE format('d.%I IS DISTINCT FROM d.%I', s.col, 'left_' || m.name) END, ' OR ') END
    FROM tally.sums_of(r) s LEFT JOIN tally.measure m ON m.rollup_id = r.id AND m.name = s.measure
$generator$;

-- tally.sql_added: the columns of <rollup>_state after the difference (alias c) is added to what is kept (alias s). Every
-- 8th version of a cell begins a new index entry, so that no look-up passes over more; the others can be HOT updates.
CREATE OR REPLACE FUNCTION tally.sql_added(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
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
$generator$;

-- tally.sql_look_again: statements that look doubtful extrema up again, in what the source stores by now.
CREATE OR REPLACE FUNCTION tally.sql_look_again(r tally.derived_view, base tally.derived_view, state text)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT coalesce((SELECT tally.render($template$IF EXISTS (SELECT FROM unnest(tally_touched) t WHERE t.cell_rows > 0 AND ({doubtful})) THEN
    tally_touched := ARRAY(
        SELECT ROW({looked_up})::{state}
        FROM unnest(tally_touched) WITH ORDINALITY t({columns}, tally_n) ORDER BY t.tally_n);
END IF;$template$, jsonb_build_object(
        'doubtful',  string_agg(format('t.%I IS NOT NULL', 'left_' || m.name), ' OR '),
        'looked_up', (SELECT string_agg(CASE WHEN s.adding IN ('least', 'greatest') THEN format('CASE WHEN t.cell_rows > 0 AND t.%I IS NOT NULL THEN %s ELSE t.%I END',
                                 'left_' || x.name, tally.sql_rescan(r, x, tally.part(base), 't'), c.col)
                             WHEN s.adding = 'left' THEN 'NULL' ELSE format('t.%I', c.col) END, ', ' ORDER BY c.n)
                      FROM unnest(tally.columns_of(state::regclass)) WITH ORDINALITY c(col, n)
                      LEFT JOIN tally.sums_of(r) s ON s.col = c.col LEFT JOIN tally.measure x ON x.rollup_id = r.id AND x.name = s.measure),
        'state',     state,
        'columns',   tally.column_list(tally.columns_of(state::regclass))))
    FROM tally.measures_of(r) m WHERE m.function IN ('min', 'max') HAVING count(*) > 0), '')
$generator$;

-- tally.sql_come_and_go: statements that forget the running sums of the touched cells that are empty now, and begin those of new
-- ones; where the public row of a new one is stored is looked up when the cell is next touched.
CREATE OR REPLACE FUNCTION tally.sql_come_and_go(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render($template$DELETE FROM {state} WHERE ctid = ANY (ARRAY(
    SELECT t.tally_tid FROM unnest(tally_touched, tally_tids) t({columns}, tally_tid) WHERE t.cell_rows <= 0));
INSERT INTO {state} ({kept})
SELECT {kept} FROM unnest(tally_touched, tally_tids) t({columns}, tally_tid) WHERE t.tally_tid IS NULL AND t.cell_rows > 0;$template$, jsonb_build_object(
        'state',   tally.part(r, '_state'),
        'columns', tally.column_list(c),
        'kept',    tally.column_list(array_remove(c, 'tally_row'))))
    FROM tally.columns_of(tally.part(r, '_state')::regclass) c
$generator$;

-- tally.sql_differs: whether readers see something else of a touched cell (alias t) than before.
CREATE OR REPLACE FUNCTION tally.sql_differs(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT coalesce((SELECT format('ROW(%s) IS DISTINCT FROM ROW(%s)', string_agg(format('t.%I', 'old_' || m.name), ', '), string_agg(tally.sql_final(m, 't'), ', '))
                     FROM tally.measures_of(r) m HAVING count(*) > 0), 'false')
$generator$;

-- tally.sql_move_public: the statement that writes the measures of the touched cells into their public rows, and returns where
-- those are then.
--   Parameters columns: of <rollup>_state
CREATE OR REPLACE FUNCTION tally.sql_move_public(r tally.derived_view, columns name[])
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT coalesce((SELECT tally.render($template$UPDATE {table} p SET {assignments} FROM unnest(tally_touched) WITH ORDINALITY t({columns}, tally_n)
WHERE p.ctid = ANY (tally_rows) AND p.ctid = t.tally_row AND {same_cell} AND t.cell_rows > 0 AND {differs}
RETURNING t.tally_n, p.ctid AS tally_moved$template$, jsonb_build_object(
        'table',       tally.part(r),
        'assignments', string_agg(format('%I = %s', m.name, tally.sql_final(m, 't')), ', '),
        'columns',     tally.column_list(columns),
        'same_cell',   tally.sql_not_distinct(tally.part(r)::regclass, r.group_by, 'p', 't'),
        'differs',     tally.sql_differs(r)))
    FROM tally.measures_of(r) m HAVING count(*) > 0), 'SELECT NULL::bigint AS tally_n, NULL::tid AS tally_moved')
$generator$;

-- tally.sql_publish: statements that write what readers see of the touched cells, and their running sums. Where a cell's public
-- row is stored is remembered with its sums (tally_row), so that no index is asked for it; a row that is not there any more,
-- since VACUUM FULL or a hand moved it, is lost, and replaced.
CREATE OR REPLACE FUNCTION tally.sql_publish(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render($template$IF EXISTS (SELECT FROM unnest(tally_touched) t WHERE t.tally_row IS NULL) THEN
    tally_touched := ARRAY(
        SELECT ROW({c_kept}, coalesce(c.tally_row, (SELECT f.ctid FROM ({find}) f LIMIT 1)))::{state}
        FROM unnest(tally_touched) WITH ORDINALITY c({columns}, tally_n) ORDER BY c.tally_n);
END IF;
tally_rows := ARRAY(SELECT t.tally_row FROM unnest(tally_touched) t);
WITH moved AS (
    {move}),
kept AS (
    UPDATE {state} s SET {assignments}, tally_row = CASE WHEN {differs} THEN m.tally_moved ELSE t.tally_row END
    FROM unnest(tally_touched, tally_tids) WITH ORDINALITY t({columns}, tally_tid, tally_n) LEFT JOIN moved m USING (tally_n)
    WHERE s.ctid = ANY (tally_tids) AND s.ctid = t.tally_tid AND t.cell_rows > 0
    RETURNING CASE WHEN s.tally_row IS NULL THEN t.tally_n END AS tally_lost)
SELECT array_agg(tally_lost) FILTER (WHERE tally_lost IS NOT NULL) INTO tally_lost FROM kept;
IF tally_lost IS NOT NULL OR EXISTS (SELECT FROM unnest(tally_touched) t WHERE t.was_rows <= 0 OR t.cell_rows <= 0) THEN
    DELETE FROM {table} WHERE ctid = ANY (ARRAY(
        SELECT f.ctid FROM unnest(tally_touched) WITH ORDINALITY c({columns}, tally_n) CROSS JOIN LATERAL ({find}) f
        WHERE c.was_rows <= 0 OR c.cell_rows <= 0 OR c.tally_n = ANY (tally_lost)));
    INSERT INTO {table} ({public})
    SELECT {new} FROM unnest(tally_touched) WITH ORDINALITY t({columns}, tally_n)
    WHERE t.cell_rows > 0 AND (t.was_rows <= 0 OR t.tally_n = ANY (tally_lost));
    {come_and_go}
END IF;$template$, jsonb_build_object(
        'table',       tally.part(r),
        'state',       tally.part(r, '_state'),
        'columns',     tally.column_list(kept || 'tally_row'::name),
        'c_kept',      tally.column_list(kept, 'c.'),
        'find',        tally.sql_find(tally.part(r), r.group_by, 's.ctid'),
        'move',        tally.sql_move_public(r, kept || 'tally_row'::name),
        'assignments', tally.sql_assign(kept, r.group_by, 't'),
        'differs',     tally.sql_differs(r),
        'public',      concat_ws(', ', tally.column_list(r.group_by), (SELECT string_agg(quote_ident(m.name), ', ') FROM tally.measures_of(r) m)),
        'new',         concat_ws(', ', tally.column_list(r.group_by, 't.'), (SELECT string_agg(tally.sql_final(m, 't'), ', ') FROM tally.measures_of(r) m)),
        'come_and_go', tally.sql_come_and_go(r)))
    FROM (SELECT array_remove(tally.columns_of(tally.part(r, '_state')::regclass), 'tally_row') AS kept) x
$generator$;

-- tally.sql_keep: statements that write the running sums of the touched cells of a finer rollup, of which readers see nothing.
CREATE OR REPLACE FUNCTION tally.sql_keep(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render($template$UPDATE {state} s SET {assignments} FROM unnest(tally_touched, tally_tids) t({columns}, tally_tid)
WHERE s.ctid = ANY (tally_tids) AND s.ctid = t.tally_tid AND t.cell_rows > 0;
{come_and_go}$template$, jsonb_build_object(
        'state',       tally.part(r, '_state'),
        'assignments', tally.sql_assign(kept, r.group_by, 't'),
        'columns',     tally.column_list(kept),
        'come_and_go', tally.sql_come_and_go(r)))
    FROM tally.columns_of(tally.part(r, '_state')::regclass) kept
$generator$;
