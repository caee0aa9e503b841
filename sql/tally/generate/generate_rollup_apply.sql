-- tally.generate_rollup_apply: the function that adds differences to a rollup.
--   Makes     <rollup>_apply(cells): adds them to the running sums, searches the next extremum if the old one was removed, writes
--             the public rows, drops empty cells, and passes the difference to the rollups above. For the finer rollup of a
--             count(distinct) it returns the difference for the rollup that it serves.
--             It is called with the projection's advisory lock held, so nobody else writes these tables. That is why a row
--             keeps its ctid from one statement to the next.
CREATE OR REPLACE FUNCTION tally.generate_rollup_apply(r tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    finer  boolean := r.serves_id IS NOT NULL;
    serves tally.derived_view := tally.view_by_id(r.serves_id);
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {apply}(cells {cell}[]) RETURNS {returns} LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {search_path} SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' SET enable_seqscan = off AS $body$
#variable_conflict use_column
DECLARE
    tally_touched {touched}[]; tally_tids tid[];{public_variables}
    {cell_variables}
BEGIN
    PERFORM set_config('plan_cache_mode', CASE WHEN cardinality(cells) <= 200 THEN 'force_generic_plan' ELSE 'force_custom_plan' END, true);
    WITH c AS MATERIALIZED (
        {by_cell}),
    t AS MATERIALIZED (
        SELECT {added}
        FROM c LEFT JOIN LATERAL (
            {find}) s ON true)
    SELECT array_agg(ROW({touched_row})::{touched}), array_agg(t.tally_tid) INTO tally_touched, tally_tids FROM t;
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
        'search_path',    tally.fixed_path(tally.part(r, '_state')::regclass),
        'touched',        tally.part(r, '_touched'),
        'public_variables', CASE WHEN finer THEN '' ELSE ' tally_rows tid[]; tally_lost bigint[];' END,
        'cell_variables', tally.sql_cell_variables(r.id),
        'by_cell',        tally.sql_by_cell(r),
        'added',          tally.sql_added_stored(r),
        'touched_row',    tally.sql_touched_row(r),
        'find',           tally.sql_find(r, '_state', 's.ctid AS tally_tid, s.*', 'tally_epoch'),
        'nothing',        CASE WHEN finer THEN ' NULL' ELSE '' END,
        'look_again',     tally.sql_look_again(r, tally.part(tally.view_by_id(r.source_id))),
        'write',          CASE WHEN finer THEN tally.sql_keep(r) ELSE tally.sql_publish(r) END,
        'collect_cells',  tally.sql_collect_touched(r),
        'hand_up',        tally.sql_hand_up(r.id),
        'return',         CASE WHEN finer THEN format('RETURN ARRAY(%s);', tally.sql_distinct_cells(serves, r, tally.sql_born_and_dead())) ELSE '' END));
    PERFORM tally.seal(format('%s(%s[])', tally.part(r, '_apply'), tally.part(r, '_cell')), 'adds differences to ' || tally.part(r));
END
$generator$;

-- tally.sql_touched_signed: the touched cells as rows of the rollup with a sign.
CREATE OR REPLACE FUNCTION tally.sql_touched_signed(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render($template$(
    SELECT -1 AS tally_sign, {old} FROM unnest(tally_touched) t WHERE t.tally_was
    UNION ALL
    SELECT 1, {new} FROM unnest(tally_touched) t WHERE t.tally_is)$template$, jsonb_build_object(
        'old', concat_ws(', ', nullif(tally.column_list(r.group_by, 't.'), ''), (SELECT string_agg(format('t.%I AS %I', 'old_' || m.name, m.name), ', ') FROM tally.measures_of(r) m)),
        'new', tally.sql_public_row(r)))
$generator$;

-- tally.sql_collect_touched: statements that compute the cells of the rollups above from the touched cells: as they were before
-- (tally_sign -1) and as they are now (+1).
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
    SELECT -1 AS tally_sign, t.* FROM unnest(tally_touched) t WHERE t.tally_was AND NOT t.tally_is
    UNION ALL
    SELECT 1, t.* FROM unnest(tally_touched) t WHERE t.tally_is AND NOT t.tally_was)$sql$
$generator$;

-- tally.sql_by_cell: the differences (variable cells), one row a cell, without those that change nothing. They are grouped already,
-- unless finer rollups have appended theirs to the list.
CREATE OR REPLACE FUNCTION tally.sql_by_cell(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT CASE WHEN EXISTS (SELECT FROM tally.derived_view f WHERE f.serves_id = r.id)
        THEN tally.render('SELECT {columns} FROM unnest(cells) d {group_by} HAVING {changes}', jsonb_build_object(
            'columns',  concat_ws(', ', nullif(tally.column_list(r.group_by, 'd.'), ''), tally.sql_summed(r)),
            'group_by', tally.sql_group_by(r),
            'changes',  tally.sql_changes(r, true)))
        ELSE 'SELECT * FROM unnest(cells) d WHERE ' || tally.sql_changes(r) END
$generator$;

-- tally.sql_added_stored: the touched cells: the difference (alias c) added to the stored sums (alias s), the values that readers saw
-- before, and the version of the next row in <rollup>_state. Every 8th version of a cell gets a new index entry, so that a look-up
-- reads 8 versions at most. The other updates can be HOT updates.
CREATE OR REPLACE FUNCTION tally.sql_added_stored(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT concat_ws(', ',
        (SELECT string_agg(format('CASE WHEN s.tally_tid IS NULL THEN c.%1$I ELSE s.%1$I END AS %1$I', g), ', ' ORDER BY n) FROM unnest(r.group_by) WITH ORDINALITY u(g, n)),
        (SELECT string_agg(CASE s.adding WHEN 'left' THEN format('CASE WHEN %s THEN c.%I END', tally.sql_doubtful(m, 's', 'c'), s.col) ELSE tally.sql_added(s.adding, s.col) END
                           || format(' AS %I', s.col), ', ' ORDER BY s.n)
         FROM tally.sums_of(r) s LEFT JOIN tally.measure m ON m.rollup_id = r.id AND m.name = s.measure),
        (SELECT string_agg(format('%s AS %I', tally.sql_final(m, 's'), 'old_' || m.name), ', ') FROM tally.measures_of(r) m),
        's.tally_tid IS NOT NULL AS tally_was', 'coalesce(s.tally_version + 1, 0) AS tally_version', 's.tally_tid',
        CASE WHEN r.serves_id IS NULL THEN 's.tally_row' END)
$generator$;

-- tally.sql_touched_row: a row of the type <rollup>_touched, from alias t of sql_added_stored.
CREATE OR REPLACE FUNCTION tally.sql_touched_row(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT string_agg(CASE WHEN m.name IS NOT NULL THEN tally.sql_final(m, 't') WHEN c.col = 'tally_is' THEN tally.sql_there(r, 't.cell_rows')
                           WHEN c.col = 'tally_epoch' THEN 't.tally_version / 8' ELSE format('t.%I', c.col) END, ', ' ORDER BY c.n)
    FROM unnest(tally.touched_columns(r)) WITH ORDINALITY c(col, n)
    LEFT JOIN tally.measure m ON m.rollup_id = r.id AND 'new_' || m.name = c.col AND tally.is_computed(m)
$generator$;

-- tally.sql_look_again: statements that search doubtful extrema again in the source.
--   Parameters relation: the present rows of the source
CREATE OR REPLACE FUNCTION tally.sql_look_again(r tally.derived_view, relation text)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT coalesce((SELECT tally.render($template$IF EXISTS (SELECT FROM unnest(tally_touched) t WHERE t.tally_is AND ({doubtful})) THEN
    tally_touched := ARRAY(
        SELECT ROW({looked_up})::{touched}
        FROM unnest(tally_touched) WITH ORDINALITY t({columns}, tally_n) ORDER BY t.tally_n);
END IF;$template$, jsonb_build_object(
        'doubtful',  string_agg(format('t.%I IS DISTINCT FROM NULL', 'left_' || m.name), ' OR '),
        'looked_up', (SELECT string_agg(CASE WHEN s.adding IN ('least', 'greatest') THEN format('CASE WHEN t.tally_is AND t.%I IS DISTINCT FROM NULL THEN %s ELSE t.%I END',
                                 'left_' || x.name, tally.sql_rescan(r, x, relation, 't'), c.col)
                             WHEN s.adding = 'left' THEN 'NULL' ELSE format('t.%I', c.col) END, ', ' ORDER BY c.n)
                      FROM unnest(tally.touched_columns(r)) WITH ORDINALITY c(col, n)
                      LEFT JOIN tally.sums_of(r) s ON s.col = c.col LEFT JOIN tally.measure x ON x.rollup_id = r.id AND x.name = s.measure),
        'touched',   tally.part(r, '_touched'),
        'columns',   tally.column_list(tally.touched_columns(r))))
    FROM tally.measures_of(r) m WHERE m.function IN ('min', 'max') HAVING count(*) > 0), '')
$generator$;

-- tally.sql_come_and_go: statements that delete the running sums of touched cells that are empty now, and insert those of new cells.
-- The place of a new cell's public row is looked up when the cell is touched next.
CREATE OR REPLACE FUNCTION tally.sql_come_and_go(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render($template$DELETE FROM {state} WHERE ctid = ANY (ARRAY(SELECT t.tally_tid FROM unnest(tally_touched) t WHERE t.tally_was AND NOT t.tally_is));
INSERT INTO {state} ({kept}) SELECT {kept} FROM unnest(tally_touched) t WHERE t.tally_is AND NOT t.tally_was;$template$, jsonb_build_object(
        'state', tally.part(r, '_state'),
        'kept',  tally.column_list(array_remove(tally.state_columns(r), 'tally_row'))))
$generator$;

-- tally.sql_differs: whether the public row of a touched cell (alias t) changes, even if only in the scale of a number.
CREATE OR REPLACE FUNCTION tally.sql_differs(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT coalesce((SELECT format('record_image_ne(ROW(%s), ROW(%s))', string_agg(format('t.%I', 'old_' || m.name), ', '), string_agg(tally.sql_new(m), ', '))
                     FROM tally.measures_of(r) m HAVING count(*) > 0), 'false')
$generator$;

-- tally.sql_move_public: the statement that writes the measures of the touched cells into their public rows, and returns the new
-- ctids of these rows.
CREATE OR REPLACE FUNCTION tally.sql_move_public(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT coalesce((SELECT tally.render($template$UPDATE {table} p SET {assignments} FROM unnest(tally_touched) WITH ORDINALITY t({columns}, tally_n)
WHERE p.ctid = ANY (tally_rows) AND p.ctid = t.tally_row AND {same_cell} AND t.tally_is AND {differs}
RETURNING t.tally_n, p.ctid AS tally_moved$template$, jsonb_build_object(
        'table',       tally.part(r),
        'assignments', string_agg(format('%I = %s', m.name, tally.sql_new(m)), ', '),
        'columns',     tally.column_list(tally.touched_columns(r)),
        'same_cell',   coalesce(tally.sql_not_distinct(tally.part(r)::regclass, r.group_by, 'p', 't'), 'true'),
        'differs',     tally.sql_differs(r)))
    FROM tally.measures_of(r) m HAVING count(*) > 0), 'SELECT NULL::bigint AS tally_n, NULL::tid AS tally_moved')
$generator$;

-- tally.sql_publish: statements that write the public rows of the touched cells and their running sums. The ctid of a cell's public
-- row is stored with the sums (tally_row), so that no index is needed to find it. If VACUUM FULL, for example, has moved the row, it
-- is not found there, and it is replaced.
CREATE OR REPLACE FUNCTION tally.sql_publish(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render($template$IF EXISTS (SELECT FROM unnest(tally_touched) t WHERE t.tally_row IS NULL) THEN
    tally_touched := ARRAY(
        SELECT ROW({c_columns}, coalesce(c.tally_row, (SELECT f.ctid FROM ({find}) f LIMIT 1)))::{touched}
        FROM unnest(tally_touched) WITH ORDINALITY c({columns}, tally_n) ORDER BY c.tally_n);
END IF;
tally_rows := ARRAY(SELECT t.tally_row FROM unnest(tally_touched) t);
WITH moved AS (
    {move}),
kept AS (
    UPDATE {state} s SET {assignments}, tally_row = CASE WHEN {differs} THEN m.tally_moved ELSE t.tally_row END
    FROM unnest(tally_touched) WITH ORDINALITY t({columns}, tally_n) LEFT JOIN moved m USING (tally_n)
    WHERE s.ctid = ANY (tally_tids) AND s.ctid = t.tally_tid AND t.tally_is
    RETURNING CASE WHEN s.tally_row IS NULL THEN t.tally_n END AS tally_lost)
SELECT array_agg(tally_lost) FILTER (WHERE tally_lost IS NOT NULL) INTO tally_lost FROM kept;
IF tally_lost IS NOT NULL OR EXISTS (SELECT FROM unnest(tally_touched) t WHERE NOT t.tally_was OR NOT t.tally_is) THEN
    DELETE FROM {table} WHERE ctid = ANY (ARRAY(
        SELECT f.ctid FROM unnest(tally_touched) WITH ORDINALITY c({columns}, tally_n) CROSS JOIN LATERAL ({find}) f
        WHERE NOT c.tally_was OR NOT c.tally_is OR c.tally_n = ANY (tally_lost)));
    INSERT INTO {table} ({public})
    SELECT {new} FROM unnest(tally_touched) WITH ORDINALITY t({columns}, tally_n)
    WHERE t.tally_is AND (NOT t.tally_was OR t.tally_n = ANY (tally_lost));
    {come_and_go}
END IF;$template$, jsonb_build_object(
        'table',       tally.part(r),
        'state',       tally.part(r, '_state'),
        'touched',     tally.part(r, '_touched'),
        'columns',     tally.column_list(tally.touched_columns(r)),
        'c_columns',   tally.column_list(array_remove(tally.touched_columns(r), 'tally_row'), 'c.'),
        'find',        tally.sql_find(r, '', 's.ctid'),
        'move',        tally.sql_move_public(r),
        'assignments', tally.sql_assign(array_remove(tally.state_columns(r), 'tally_row'), r.group_by, 't'),
        'differs',     tally.sql_differs(r),
        'public',      tally.column_list(r.group_by || ARRAY(SELECT m.name FROM tally.measures_of(r) m)),
        'new',         tally.sql_public_row(r),
        'come_and_go', tally.sql_come_and_go(r)))
$generator$;

-- tally.sql_keep: statements that write the running sums of the touched cells of a finer rollup, which has no public rows.
CREATE OR REPLACE FUNCTION tally.sql_keep(r tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render($template$UPDATE {state} s SET {assignments} FROM unnest(tally_touched) t
WHERE s.ctid = ANY (tally_tids) AND s.ctid = t.tally_tid AND t.tally_is;
{come_and_go}$template$, jsonb_build_object(
        'state',       tally.part(r, '_state'),
        'assignments', tally.sql_assign(tally.state_columns(r), r.group_by, 't'),
        'come_and_go', tally.sql_come_and_go(r)))
$generator$;
