-- tally.generate_rollup_live: what reads a rollup as of the reader's snapshot, with every committed change.
--   Makes     <rollup>_live, the view: stored cells that no pending key touches, and the touched ones as they will be;
--             <rollup>_live_rows(): the cells that the view shows instead of stored ones; returns at once if nothing is pending;
--             <rollup>_live_at(group): one cell; only what this cell needs is evaluated;
--             <rollup>_touched_cells(): the cells that pending keys touch, level by level, each level once;
--             <rollup>_add(): differences added to the running sums as the next merge will do it, without writing them
CREATE OR REPLACE FUNCTION tally.generate_rollup_live(r tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    base tally.derived_view := tally.view_by_id(r.source_id);
    root tally.derived_view := tally.view_by_id(r.root_id);
BEGIN
    PERFORM tally.generate_rollup_add(r, base);
    IF r.serves_id IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM tally.generate_touched(r, base);
    PERFORM tally.generate_rollup_live_rows(r, base);
    PERFORM tally.generate_rollup_live_at(r);
    EXECUTE tally.sql_live_view(r, root.id, r.group_by, root.definition);
    EXECUTE format('COMMENT ON VIEW %s IS %L', tally.part(r, '_live'),
        format('%s, exact at the reader''s snapshot: stored cells, and those that keys not merged yet would change', tally.part(r)));
END
$generator$;

-- tally.generate_rollup_add: make <rollup>_add(cells, gone, come): the cells that these differences touch, as the next merge will write
-- them.
--   Notes     gone, come: the rows of the source that make the difference. If an extremum was removed, the next one is searched
--             in the stored rows without those in gone, and in those in come.
CREATE OR REPLACE FUNCTION tally.generate_rollup_add(r tally.derived_view, base tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {add}(cells {cell}[], tally_gone {base}[], tally_come {base}[]) RETURNS {touched}[] LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = {search_path} SET plan_cache_mode = force_custom_plan SET jit = off SET extra_float_digits = 1 SET array_nulls = on SET quote_all_identifiers = off SET work_mem = '64MB' SET enable_seqscan = off AS $body$
#variable_conflict use_column
DECLARE
    tally_touched {touched}[];
BEGIN
    WITH c AS MATERIALIZED (
        {by_cell}),
    t AS MATERIALIZED (
        SELECT {added}
        FROM c LEFT JOIN LATERAL (
            {find}) s ON true)
    SELECT array_agg(ROW({touched_row})::{touched}) INTO tally_touched FROM t;
    {look_again}
    RETURN tally_touched;
END
$body$ $template$, jsonb_build_object(
        'add',         tally.part(r, '_add'),
        'cell',        tally.part(r, '_cell'),
        'base',        tally.part(base),
        'touched',     tally.part(r, '_touched'),
        'search_path', tally.fixed_path(tally.part(r, '_state')::regclass),
        'by_cell',     tally.sql_by_cell(r),
        'added',       tally.sql_added_stored(r),
        'touched_row', tally.sql_touched_row(r),
        'find',        tally.sql_find(r, '_state', 's.ctid AS tally_tid, s.*', 'tally_epoch'),
        'look_again',  tally.sql_look_again(r, format('(SELECT d.* FROM %s d WHERE %s UNION ALL SELECT * FROM unnest(tally_come))',
                           tally.part(base), tally.sql_not_changed(tally.part(base)::regclass, coalesce(base.key, base.group_by), 'unnest(tally_gone)')))));
    PERFORM tally.seal(format('%s(%s[], %s[], %s[])', tally.part(r, '_add'), tally.part(r, '_cell'), tally.part(base), tally.part(base)),
        'adds differences to the sums of ' || tally.part(r) || ' for a reader');
END
$generator$;

-- tally.generate_touched: make <rollup>_touched_cells(pin, at …): the cells of the rollup that pending keys touch.
--   Notes     For each column of the group there is a pair of arguments: whether only cells with one value are wanted, and that value.
--             Pairs for columns that the level below has too are passed down to it, and from the lowest level to the definition.
--             tally_all: a sweep or very many keys are pending, so reading the oracle is as fast.
CREATE OR REPLACE FUNCTION tally.generate_touched(r tally.derived_view, base tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {touched_cells}({pins}OUT tally_all boolean, OUT tally_touched {touched}[]) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = {search_path} SET plan_cache_mode = force_custom_plan SET jit = off SET extra_float_digits = 1 SET array_nulls = on SET quote_all_identifiers = off SET work_mem = '64MB' AS $body$
#variable_conflict use_column
DECLARE
    {variables}
    tally_gone {base}[];
    tally_come {base}[];
    tally_cells {cell}[];
BEGIN
    {difference}
    tally_cells := ARRAY({cells});
    {finer}
    tally_touched := {add}(tally_cells, tally_gone, tally_come);
END
$body$ $template$, jsonb_build_object(
        'touched_cells', tally.part(r, '_touched_cells'),
        'pins',        tally.sql_pins(r, 'parameters'),
        'touched',     tally.part(r, '_touched'),
        'cell',        tally.part(r, '_cell'),
        'base',        tally.part(base),
        'search_path', tally.fixed_path(coalesce(base.definition, tally.part(base, '_state')::regclass)),
        'variables',   CASE base.kind WHEN 'projection' THEN 'tally_pending record;' ELSE format('tally_below %s[];', tally.part(base, '_touched')) END,
        'difference',  CASE base.kind WHEN 'projection' THEN tally.sql_projection_difference(r, base) ELSE tally.sql_rollup_difference(r, base) END,
        'cells',       tally.sql_cells(r, tally.sql_gone_and_come()),
        'finer',       coalesce((
            SELECT string_agg(tally.render($finer$tally_cells := tally_cells || ARRAY(
    WITH touched AS MATERIALIZED (SELECT * FROM unnest({add}(ARRAY({cells}), tally_gone, tally_come)))
    {distinct_cells});$finer$, jsonb_build_object(
                'add',            tally.part(f, '_add'),
                'cells',          tally.sql_cells(f, tally.sql_gone_and_come()),
                'distinct_cells', tally.sql_distinct_cells(r, f, replace(tally.sql_born_and_dead(), 'unnest(tally_touched)', 'touched')))), E'\n' ORDER BY f.id)
            FROM tally.derived_view f WHERE f.serves_id = r.id), ''),
        'add',         tally.part(r, '_add')));
    PERFORM tally.seal(format('%s(%s)', tally.part(r, '_touched_cells'), tally.sql_pins(r, 'types')), 'the cells of ' || tally.part(r) || ' that keys not merged yet touch');
END
$generator$;

-- tally.sql_gone_and_come: the variables tally_gone and tally_come as signed rows.
CREATE OR REPLACE FUNCTION tally.sql_gone_and_come()
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT '(SELECT -1 AS tally_sign, d.* FROM unnest(tally_gone) d UNION ALL SELECT 1, d.* FROM unnest(tally_come) d)'
$$;

-- tally.sql_pins: the pairs of arguments of <rollup>_touched_cells.
--   Parameters form: parameters (with a comma after each), types, nothing (to ask for all cells), asked ($1, $2 … as the group)
CREATE OR REPLACE FUNCTION tally.sql_pins(r tally.derived_view, form text)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(CASE form
        WHEN 'parameters' THEN format('tally_pin_%1$s boolean, tally_at_%1$s %2$s, ', n, type)
        WHEN 'types'      THEN format('boolean, %s', type)
        WHEN 'nothing'    THEN format('false, NULL::%s', type)
        WHEN 'asked'      THEN format('true, $%s', n) END, CASE form WHEN 'parameters' THEN '' ELSE ', ' END ORDER BY n), '')
    FROM unnest(r.group_by) WITH ORDINALITY u(c, n)
    CROSS JOIN LATERAL (SELECT tally.type_of(tally.part(r, '_def')::regclass, u.c) AS type) t
$$;

-- tally.sql_pinned: a relation, reduced to the rows of the groups that are asked for.
CREATE OR REPLACE FUNCTION tally.sql_pinned(r tally.derived_view, relation text)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT format('(SELECT d.* FROM %s d CROSS JOIN (SELECT %s) a WHERE %s)', relation,
        string_agg(format('tally_at_%s AS %I', n, c), ', ' ORDER BY n),
        string_agg(format('(tally_pin_%s IS NOT TRUE OR %s)', n, tally.sql_at(tally.part(r, '_def')::regclass, ARRAY[c], 'd', 'a')), ' AND ' ORDER BY n))
    FROM unnest(r.group_by) WITH ORDINALITY u(c, n) HAVING count(*) > 0
    UNION ALL SELECT relation WHERE cardinality(r.group_by) = 0
$generator$;

-- tally.sql_projection_difference: statements that put the stored rows of pending keys into tally_gone, and the definition's rows of these
-- keys into tally_come.
CREATE OR REPLACE FUNCTION tally.sql_projection_difference(r tally.derived_view, base tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render($template$SELECT p.* INTO tally_pending FROM {pending_keys}() p;
IF NOT tally_pending.tally_any THEN
    RETURN;
END IF;
tally_all := tally_pending.tally_sweep OR NOT ({pinned}) AND {most};
IF tally_all THEN
    RETURN;
END IF;
WITH pending AS MATERIALIZED (SELECT {collated_key} FROM unnest({key_arrays}) AS k({key}))
SELECT ARRAY({stored}), ARRAY({fresh}) INTO tally_gone, tally_come;$template$, jsonb_build_object(
        'pending_keys', tally.part(base, '_pending_keys'),
        'pinned',       coalesce((SELECT string_agg(format('tally_pin_%s', n), ' AND ') FROM generate_series(1, cardinality(r.group_by)) n), 'false'),
        'most',         tally.sql_most(base),
        'key',          tally.column_list(base.key),
        'collated_key', tally.collated_list(base.definition, base.key, 'k.'),
        'key_arrays',   tally.column_list(tally.numbered(base.key), 'tally_pending.'),
        'stored',       tally.sql_matching_of(base.key, tally.sql_pinned(r, tally.part(base)), base_row, one_array, base.definition),
        'fresh',        tally.sql_matching_of(base.key, tally.sql_pinned(r, base.definition::text), base_row, one_array, base.definition)))
    FROM (SELECT format('ROW(%s)::%s', tally.column_list(tally.columns_of(base.definition), 'd.'), tally.part(base)) AS base_row,
                 CASE WHEN cardinality(base.key) = 1 THEN 'tally_pending.tally_keys_1' END AS one_array) x
$generator$;

-- tally.sql_rollup_difference: statements that put the touched cells of the level below into tally_gone as they are stored, and into
-- tally_come as they will be.
CREATE OR REPLACE FUNCTION tally.sql_rollup_difference(r tally.derived_view, base tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT tally.render($template$SELECT b.tally_all, b.tally_touched INTO tally_all, tally_below FROM {base_touched_cells}({pins}) b;
IF tally_all OR tally_below IS NULL THEN
    RETURN;
END IF;
tally_gone := ARRAY(SELECT ROW({old})::{base} FROM unnest(tally_below) t WHERE t.tally_was);
tally_come := ARRAY(SELECT ROW({new})::{base} FROM unnest(tally_below) t WHERE t.tally_is);$template$, jsonb_build_object(
        'base_touched_cells', tally.part(base, '_touched_cells'),
        'pins',         coalesce((
            SELECT string_agg(CASE WHEN c = ANY (r.group_by) THEN format('tally_pin_%1$s, tally_at_%1$s', array_position(r.group_by, c))
                                   ELSE format('false, NULL::%s', tally.type_of(tally.part(base, '_def')::regclass, c)) END, ', ' ORDER BY n)
            FROM unnest(base.group_by) WITH ORDINALITY u(c, n)), ''),
        'base',         tally.part(base),
        'old',          concat_ws(', ', nullif(tally.column_list(base.group_by, 't.'), ''), (SELECT string_agg(format('t.%I', 'old_' || m.name), ', ') FROM tally.measures_of(base) m)),
        'new',          tally.sql_public_row(base)))
$generator$;

-- tally.generate_rollup_live_rows: make <rollup>_live_rows(): cells with a sign. -1: hide this stored cell; +1: show this cell instead; 0: hide
-- all stored cells.
CREATE OR REPLACE FUNCTION tally.generate_rollup_live_rows(r tally.derived_view, base tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {live_rows}(tally_key uuid, tally_reads regclass) RETURNS TABLE (tally_sign integer, tally_row {stored}) LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100 COST 1000
SET search_path = {search_path} SET jit = off SET extra_float_digits = 1 SET array_nulls = on SET quote_all_identifiers = off AS $body$
#variable_conflict use_column
DECLARE
    tally_secret uuid;
    tally_cells record;  -- of a type that is looked up when it runs, so that what is renamed is told below
BEGIN
    {require_key}
    SELECT t.* INTO tally_cells FROM {touched_cells}({all_cells}) t;
    IF tally_cells.tally_all THEN
        RETURN QUERY SELECT 0, NULL::{stored};
        IF EXISTS (SELECT FROM tally.quarantine q WHERE q.view_id = {root_id}) THEN  -- the oracle would meet what cannot be evaluated
            RETURN QUERY SELECT 1, ROW({d_columns})::{stored} FROM ({from_live}) d;
        ELSE
            RETURN QUERY SELECT 1, ROW({d_columns})::{stored} FROM {oracle} d;
        END IF;
    ELSIF tally_cells.tally_touched IS NOT NULL THEN
        RETURN QUERY
            SELECT -1, ROW({group_alone})::{stored} FROM unnest(tally_cells.tally_touched) t WHERE t.tally_was AND NOT t.tally_is
            UNION ALL SELECT 1, ROW({new})::{stored} FROM unnest(tally_cells.tally_touched) t WHERE t.tally_is;
    END IF;
{renamed}
END
$body$ $template$, jsonb_build_object(
        'renamed',     tally.sql_if_renamed(r.root_id),
        'live_rows',   tally.part(r, '_live_rows'),
        'touched_cells', tally.part(r, '_touched_cells'),
        'all_cells',   tally.sql_pins(r, 'nothing'),
        'stored',      tally.part(r),
        'oracle',      tally.part(r, '_def'),
        'root_id',     r.root_id,
        'search_path', tally.fixed_path(tally.part(r, '_state')::regclass),
        'require_key', tally.sql_require_live_key(r, r.root_id),
        'd_columns',   tally.column_list(tally.columns_of(tally.part(r)::regclass), 'd.'),
        'from_live',   tally.sql_oracle_select(r, tally.part(base, '_live')),
        'group_alone', (SELECT string_agg(CASE WHEN c = ANY (r.group_by) THEN format('t.%I', c) ELSE 'NULL' END, ', ' ORDER BY n)
                        FROM unnest(tally.columns_of(tally.part(r)::regclass)) WITH ORDINALITY u(c, n)),
        'new',         tally.sql_public_row(r)));
    PERFORM tally.seal(tally.part(r, '_live_rows') || '(uuid, regclass)', format('what %s shows in place of stored cells', tally.part(r, '_live')));
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s(uuid, regclass) TO PUBLIC', tally.part(r, '_live_rows'));
END
$generator$;

-- tally.sql_oracle_select: SELECT that computes a rollup from scratch, from a relation with the rows of its source.
CREATE OR REPLACE FUNCTION tally.sql_oracle_select(r tally.derived_view, relation text)
RETURNS text LANGUAGE sql STABLE AS $generator$
    SELECT format('SELECT %s FROM %s d%s%s',
        concat_ws(', ', nullif(tally.column_list(r.group_by, 'd.'), ''), (SELECT string_agg(format('%s AS %I', tally.sql_oracle(m), m.name), ', ') FROM tally.measures_of(r) m)),
        relation, coalesce(' WHERE ' || r.filter, ''), ' ' || tally.sql_group_by(r))
$generator$;

-- tally.generate_rollup_live_at: make <rollup>_live_at(group): one cell as of the reader's snapshot. The definition is asked for the group, and
-- finds its rows by an index if there is one. Otherwise every pending key is evaluated.
CREATE OR REPLACE FUNCTION tally.generate_rollup_live_at(r tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    def regclass := tally.part(r, '_def')::regclass;
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {live_at}({parameters}) RETURNS SETOF {stored} LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1 COST 1000
SET search_path = {search_path} SET plan_cache_mode = force_custom_plan SET jit = off SET extra_float_digits = 1 SET array_nulls = on SET quote_all_identifiers = off AS $body$
#variable_conflict use_column
DECLARE
    tally_cells record;  -- of a type that is looked up when it runs, so that what is renamed is told below
BEGIN
    SELECT t.* INTO tally_cells FROM {touched_cells}({asked_cell}) t;
    IF tally_cells.tally_all AND EXISTS (SELECT FROM tally.quarantine q WHERE q.view_id = {root_id}) THEN
        RETURN QUERY SELECT {d_columns} FROM {asked} a CROSS JOIN LATERAL (SELECT * FROM {live} d WHERE {d_is_asked}) d;
    ELSIF tally_cells.tally_all THEN
        RETURN QUERY SELECT {d_columns} FROM {asked} a CROSS JOIN LATERAL (SELECT * FROM {oracle} d WHERE {d_is_asked}) d;
    ELSIF EXISTS (SELECT FROM {asked} a CROSS JOIN unnest(tally_cells.tally_touched) t WHERE {t_is_asked}) THEN
        RETURN QUERY SELECT {new} FROM {asked} a CROSS JOIN unnest(tally_cells.tally_touched) t WHERE {t_is_asked} AND t.tally_is;
    ELSE
        RETURN QUERY SELECT {d_columns} FROM {asked} a CROSS JOIN LATERAL (SELECT * FROM {stored} d WHERE {d_is_asked}) d;
    END IF;
{renamed}
END
$body$ $template$, jsonb_build_object(
        'renamed',     tally.sql_if_renamed(r.root_id),
        'live_at',     tally.part(r, '_live_at'),
        'parameters',  coalesce(tally.typed_list(tally.part(r)::regclass, r.group_by), ''),
        'stored',      tally.part(r),
        'live',        tally.part(r, '_live'),
        'oracle',      def::text,
        'touched_cells', tally.part(r, '_touched_cells'),
        'asked_cell',  tally.sql_pins(r, 'asked'),
        'root_id',     r.root_id,
        'search_path', tally.fixed_path(tally.part(r, '_state')::regclass),
        'd_columns',   tally.list_as_stored(def, tally.part(r)::regclass, tally.columns_of(tally.part(r)::regclass), 'd.'),
        'asked',       tally.sql_asked(r.group_by),
        't_is_asked',  tally.sql_at(def, r.group_by, 't', 'a'),
        'd_is_asked',  tally.sql_at(def, r.group_by, 'd', 'a'),
        'new',         tally.sql_public_row(r)));
    PERFORM tally.seal(format('%s(%s)', tally.part(r, '_live_at'), coalesce(tally.type_list(tally.part(r)::regclass, r.group_by), '')), format('one cell of %s, exact at the reader''s snapshot', tally.part(r)));
END
$generator$;
