-- tally.make_rollup: make what a declared rollup needs, and fill it if its projection is active.
CREATE OR REPLACE FUNCTION tally.make_rollup(r tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    base tally.derived_view := tally.view_by_id(r.source_id);
    root tally.derived_view := tally.view_by_id(r.root_id);
BEGIN
    PERFORM tally.generate_oracle(r, base);
    PERFORM tally.generate_state(r);
    PERFORM tally.make_extremum_index(r, base, x.argument) FROM tally.measures_of(r) x WHERE x.function IN ('min', 'max') GROUP BY x.argument;
    IF r.serves_id IS NOT NULL THEN
        RETURN;  -- the rollup that it serves makes the functions of both
    END IF;
    PERFORM tally.generate_rollup_apply(f) FROM tally.derived_view f WHERE f.serves_id = r.id;
    PERFORM tally.generate_rollup_apply(r);
    IF root.state <> 'defined' THEN
        PERFORM tally.generate_above(base);
    END IF;
    PERFORM tally.fill_rollup(f) FROM tally.derived_view f WHERE f.serves_id = r.id;
    PERFORM tally.fill_rollup(r);  -- also from an empty source: a rollup without groups always has its one cell
    IF root.state <> 'defined' THEN
        PERFORM tally.generate_rollup_live(f) FROM tally.derived_view f WHERE f.serves_id = r.id;
        PERFORM tally.generate_rollup_live(r);
    END IF;
END
$$;

-- tally.make_extremum_index: the index on a rollup's source that finds the next extremum. Values that may be too long for an
-- index entry are left out of it.
CREATE OR REPLACE FUNCTION tally.make_extremum_index(r tally.derived_view, base tally.derived_view, argument name)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    type    oid  := tally.type_id(tally.part(base)::regclass, argument);
    columns text := concat_ws(', ', nullif(tally.column_list(r.group_by), ''), tally.sql_short(type, quote_ident(argument)));
BEGIN
    IF columns <> '' THEN
        EXECUTE format('CREATE INDEX %I ON %s (%s) WHERE %s', tally.extremum_index(r, argument), tally.part(base), columns,
            replace(tally.sql_has(type, argument), 'd.', ''));
    END IF;
END
$$;

-- tally.extremum_index: the name of that index.
CREATE OR REPLACE FUNCTION tally.extremum_index(r tally.derived_view, argument name)
RETURNS name LANGUAGE sql IMMUTABLE AS $$
    SELECT left(format('tally_%s_%s', r.id, argument), 63)::name
$$;

-- tally.generate_above: generate a view's apply function again, so that it passes differences up to every rollup above it.
CREATE OR REPLACE FUNCTION tally.generate_above(v tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF v.kind = 'projection' THEN
        PERFORM tally.generate_apply(v);
        PERFORM tally.generate_sweep_range(v);
    ELSE
        PERFORM tally.generate_rollup_apply(v);
    END IF;
END
$$;

-- tally.generate_oracle: <rollup>_def, the plain view that computes a rollup from the oracle of its source.
CREATE OR REPLACE FUNCTION tally.generate_oracle(r tally.derived_view, base tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    EXECUTE tally.render('CREATE OR REPLACE VIEW {oracle} AS SELECT {columns} FROM {source} d{filter} {group_by}', jsonb_build_object(
        'oracle',   tally.part(r, '_def'),
        'columns',  concat_ws(', ', nullif(tally.column_list(r.group_by, 'd.'), ''),
                        (SELECT string_agg(format('%s AS %I', tally.sql_oracle(m), m.name), ', ') FROM tally.measures_of(r) m)),
        'source',   CASE base.kind WHEN 'projection' THEN base.definition::text ELSE tally.part(base, '_def') END,
        'filter',   coalesce(' WHERE ' || r.filter, ''),
        'group_by', tally.sql_group_by(r)));
    EXECUTE format('COMMENT ON VIEW %s IS %L', tally.part(r, '_def'), 'the oracle of ' || tally.part(r) || ': computes it from scratch');
END
$$;

-- tally.renew_state: upgrade a rollup made by an older engine: the types of its cells, and the running sums and indexes that it lacks.
-- The caller drops its functions before and fills it afterwards.
--   Returns   whether there was something to do
CREATE OR REPLACE FUNCTION tally.renew_state(r tally.derived_view)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    state regclass := tally.relation_of(r, '_state');
    cell  name[]   := r.group_by || ARRAY(SELECT s.col FROM tally.sums_of(r) s);
    made  record;
BEGIN
    IF state IS NULL OR tally.columns_of(tally.relation_of(r, '_cell')) = cell AND tally.columns_of(tally.relation_of(r, '_touched')) = tally.touched_columns(r) THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TYPE IF EXISTS %s, %s', tally.part(r, '_cell'), tally.part(r, '_touched'));
    PERFORM tally.generate_cell_types(r);
    FOR made IN SELECT c AS col FROM unnest(tally.state_columns(r)) c WHERE c <> ALL (tally.columns_of(state)) LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN %s', state, tally.sql_columns(r, r.group_by || made.col, made.col));
    END LOOP;
    IF tally.has_hashed_index(r) THEN
        FOR made IN SELECT x.indexrelid::regclass AS index FROM pg_index x WHERE x.indrelid = state LOOP
            EXECUTE format('DROP INDEX %s', made.index);
        END LOOP;
        PERFORM tally.generate_state_index(r);
    END IF;
    FOR made IN SELECT DISTINCT m.argument FROM tally.measures_of(r) m WHERE m.function IN ('min', 'max') AND tally.is_wide(tally.argument_type(m)) LOOP
        EXECUTE format('DROP INDEX IF EXISTS %I.%I', (tally.view_by_id(r.source_id)).schema_name, tally.extremum_index(r, made.argument));
        PERFORM tally.make_extremum_index(r, tally.view_by_id(r.source_id), made.argument);
    END LOOP;
    RETURN true;
END
$$;

-- tally.generate_cell_types makes the types of a rollup's cells; tally.generate_state_index makes the index of its running sums.
CREATE OR REPLACE FUNCTION tally.generate_cell_types(r tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    EXECUTE format('CREATE TYPE %s AS (%s)', tally.part(r, '_cell'), tally.sql_columns(r, r.group_by || ARRAY(SELECT s.col FROM tally.sums_of(r) s)));
    EXECUTE format('CREATE TYPE %s AS (%s)', tally.part(r, '_touched'), tally.sql_columns(r, tally.touched_columns(r)));
END
$$;
CREATE OR REPLACE FUNCTION tally.generate_state_index(r tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    EXECUTE format('CREATE %sINDEX ON %s (%s)%s', CASE WHEN tally.has_hashed_index(r) THEN '' ELSE 'UNIQUE ' END, tally.part(r, '_state'),
        concat_ws(', ', (SELECT string_agg(tally.sql_index_term(r, '_state', c), ', ' ORDER BY n) FROM unnest(r.group_by) WITH ORDINALITY u(c, n)), 'tally_epoch DESC'),
        CASE WHEN tally.has_hashed_index(r) THEN '' ELSE ' NULLS NOT DISTINCT' END);
END
$$;

-- tally.generate_state: the tables of a rollup and the types of its cells.
CREATE OR REPLACE FUNCTION tally.generate_state(r tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    PERFORM tally.generate_cell_types(r);
    EXECUTE format('CREATE TABLE %s (%s) WITH (fillfactor = 80)', tally.part(r, '_state'), tally.sql_columns(r, tally.state_columns(r)));
    EXECUTE format('ALTER TABLE %s ALTER tally_version SET DEFAULT 0, ALTER tally_epoch SET DEFAULT 0', tally.part(r, '_state'));
    PERFORM tally.generate_state_index(r);
    IF r.serves_id IS NULL THEN  -- one row a cell, but no unique index: checking it would read all versions of the cell at each update
        EXECUTE format('CREATE TABLE %s WITH (fillfactor = 80) AS TABLE %s WITH NO DATA', tally.part(r), tally.part(r, '_def'));
        PERFORM tally.allow_nulls(tally.part(r)::regclass);
        IF r.group_by <> '{}' THEN
            EXECUTE format('CREATE INDEX ON %s (%s)', tally.part(r), tally.column_list(r.group_by));
        END IF;
    END IF;
    PERFORM tally.identify_rows(tally.relation_of(r, s)) FROM unnest('{"",_state}'::text[]) s WHERE tally.relation_of(r, s) IS NOT NULL;
    PERFORM tally.comment_rollup(r);
END
$$;

-- tally.has_hashed_index: whether the index of a rollup's running sums has a hash instead of a column. Then two cells may have equal entries.
CREATE OR REPLACE FUNCTION tally.has_hashed_index(r tally.derived_view)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(bool_or(tally.sql_index_term(r, '_state', c) <> quote_ident(c)), false) FROM unnest(r.group_by) c
$$;

-- tally.sql_columns: columns of a rollup's inner tables and types (groups, running sums, old_m, new_m, tally_…), with their types.
--   Parameters columns: the groups first; wanted: return only this one
CREATE OR REPLACE FUNCTION tally.sql_columns(r tally.derived_view, columns name[], wanted name DEFAULT NULL)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(format('%I %s', c.col, coalesce(s.type, tally.column_type(tally.part(r, '_def')::regclass, coalesce(m.name, g)),
               CASE c.col WHEN 'tally_was' THEN 'boolean' WHEN 'tally_is' THEN 'boolean' WHEN 'tally_tid' THEN 'tid' WHEN 'tally_row' THEN 'tid' ELSE 'bigint' END)), ', ' ORDER BY c.n)
    FROM unnest(columns) WITH ORDINALITY c(col, n)
    LEFT JOIN unnest(r.group_by) g ON g = c.col AND c.n <= cardinality(r.group_by)
    LEFT JOIN tally.sums_of(r) s ON s.col = c.col AND c.n > cardinality(r.group_by)
    LEFT JOIN tally.measure m ON m.rollup_id = r.id AND c.col IN ('old_' || m.name, 'new_' || m.name) AND c.n > cardinality(r.group_by) AND s.col IS NULL
    WHERE wanted IS NULL OR c.col = wanted AND c.n > cardinality(r.group_by)
$$;

-- tally.comment_rollup: put a comment on each table and type of a rollup.
CREATE OR REPLACE FUNCTION tally.comment_rollup(r tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    EXECUTE format('COMMENT ON TYPE %s IS %L', tally.part(r, '_cell'), 'what is added to a cell of ' || tally.part(r));
    EXECUTE format('COMMENT ON TYPE %s IS %L', tally.part(r, '_touched'), 'a cell of ' || tally.part(r) || ' in the middle of a merge');
    EXECUTE format('COMMENT ON TABLE %s IS %L', tally.part(r, '_state'), 'the running sums of ' || tally.part(r));
    IF r.serves_id IS NULL AND tally.is_own_comment(obj_description(tally.relation_of(r), 'pg_class')) THEN
        EXECUTE format('COMMENT ON TABLE %s IS %L', tally.part(r), format('%s by %s; exact now: %s; from scratch: %s',
            tally.part(tally.view_by_id(r.source_id)), tally.column_list(r.group_by), tally.part(r, '_live'), tally.part(r, '_def')));
    END IF;
END
$$;

-- tally.fill_rollup: replace the contents of a rollup, computed from the stored rows of its source.
CREATE OR REPLACE FUNCTION tally.fill_rollup(r tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    base tally.derived_view := tally.view_by_id(r.source_id);
    f    tally.derived_view;
BEGIN
    UPDATE tally.merge_state m SET rows_changed = m.rows_changed WHERE m.view_id = r.root_id;  -- for tally.require_latest
    EXECUTE format('DELETE FROM %s', tally.part(r, '_state'));
    EXECUTE tally.render('INSERT INTO {state} ({columns}) SELECT {columns} FROM ({cells}) c', jsonb_build_object(
        'state',   tally.part(r, '_state'),
        'columns', tally.column_list(r.group_by || ARRAY(SELECT s.col FROM tally.sums_of(r) s WHERE s.adding <> 'left')),
        'cells',   tally.sql_cells(r, format('(SELECT 1 AS tally_sign, * FROM %s)', tally.part(base)), false)));
    FOR f IN SELECT * FROM tally.derived_view d WHERE d.serves_id = r.id LOOP
        EXECUTE tally.render('UPDATE {state} s SET {counts} FROM (SELECT {groups}count(*) AS tally_n FROM {finer} d {group_by}) f WHERE {same_cell}', jsonb_build_object(
            'state',     tally.part(r, '_state'),
            'counts',    (SELECT string_agg(format('%I = f.tally_n', 'n_' || m.name), ', ') FROM tally.measures_of(r) m
                          WHERE m.function = 'count_distinct' AND m.argument = f.group_by[cardinality(f.group_by)]),
            'groups',    coalesce((SELECT string_agg(format('d.%I, ', g), '' ORDER BY n) FROM unnest(r.group_by) WITH ORDINALITY u(g, n)), ''),
            'finer',     tally.part(f, '_state'),
            'group_by',  tally.sql_group_by(r),
            'same_cell', coalesce(tally.sql_not_distinct(tally.part(r, '_state')::regclass, r.group_by, 's', 'f'), 'true')));
    END LOOP;
    IF r.serves_id IS NULL THEN
        EXECUTE format('DELETE FROM %s', tally.part(r));
        EXECUTE tally.render('INSERT INTO {table} SELECT {row} FROM {state} s', jsonb_build_object(
            'table', tally.part(r),
            'row',   concat_ws(', ', nullif(tally.column_list(r.group_by, 's.'), ''), (SELECT string_agg(tally.sql_final(m, 's'), ', ') FROM tally.measures_of(r) m)),
            'state', tally.part(r, '_state')));
    END IF;
END
$$;
