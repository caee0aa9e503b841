-- tally.make_rollup: make what a declared rollup needs, and fill it if its projection is active.
CREATE OR REPLACE FUNCTION tally.make_rollup(r tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    base tally.derived_view := tally.view_by_id(r.source_id);
    root tally.derived_view := tally.view_by_id(r.root_id);
    extremum name;
BEGIN
    PERFORM tally.generate_oracle(r, base);
    PERFORM tally.generate_state(r);
    FOR extremum IN SELECT DISTINCT x.argument FROM tally.measures_of(r) x WHERE x.function IN ('min', 'max') LOOP
        EXECUTE format('CREATE INDEX %I ON %s (%s, %I) WHERE %4$I IS NOT NULL',
            tally.extremum_index(r, extremum), tally.part(base), tally.column_list(r.group_by), extremum);
    END LOOP;
    IF r.serves_id IS NOT NULL THEN
        RETURN;  -- the rollup that it serves makes the functions of both
    END IF;
    PERFORM tally.generate_rollup_apply(f) FROM tally.derived_view f WHERE f.serves_id = r.id;
    PERFORM tally.generate_rollup_apply(r);
    IF root.state <> 'defined' THEN
        PERFORM tally.generate_above(base);
        PERFORM tally.fill_rollup(f) FROM tally.derived_view f WHERE f.serves_id = r.id;
        PERFORM tally.fill_rollup(r);
        PERFORM tally.generate_rollup_live(f) FROM tally.derived_view f WHERE f.serves_id = r.id;
        PERFORM tally.generate_rollup_live(r);
    END IF;
END
$$;

-- tally.extremum_index: the index of a rollup's source by which an extremum is looked up again.
CREATE OR REPLACE FUNCTION tally.extremum_index(r tally.derived_view, argument name)
RETURNS name LANGUAGE sql IMMUTABLE AS $$
    SELECT left(format('tally_%s_%s', r.id, argument), 63)::name
$$;

-- tally.generate_above: make a view's apply function anew, so that it hands up to every rollup above it.
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
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE tally.render('CREATE OR REPLACE VIEW {oracle} AS SELECT {columns} FROM {source} d{filter} GROUP BY {groups}', jsonb_build_object(
        'oracle',  tally.part(r, '_def'),
        'columns', concat_ws(', ', tally.column_list(r.group_by, 'd.'),
                       (SELECT string_agg(format('%s AS %I', tally.sql_oracle(m), m.name), ', ') FROM tally.measures_of(r) m)),
        'source',  CASE base.kind WHEN 'projection' THEN base.definition::text ELSE tally.part(base, '_def') END,
        'filter',  coalesce(' WHERE ' || r.filter, ''),
        'groups',  tally.column_list(r.group_by, 'd.')));
    EXECUTE format('COMMENT ON VIEW %s IS %L', tally.part(r, '_def'), 'the oracle of ' || tally.part(r) || ': computes it from scratch');
EXCEPTION WHEN undefined_function THEN
    PERFORM tally.fail('TL009', format('A measure of %s does not fit its column: %s.', tally.part(r), SQLERRM));
END
$$;

-- tally.generate_state: the tables of a rollup and the type of its cells.
CREATE OR REPLACE FUNCTION tally.generate_state(r tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    def    regclass := tally.part(r, '_def')::regclass;
    groups text := tally.column_definitions(def, r.group_by);
    sums   text := (SELECT string_agg(format('%I %s', s.col, s.type), ', ') FROM tally.sums_of(r) s);
    olds   text := (SELECT string_agg(format(', %I %s', 'old_' || m.name, tally.type_of(def, m.name)), '') FROM tally.measures_of(r) m);
BEGIN
    EXECUTE format('CREATE TYPE %s AS (%s, %s)', tally.part(r, '_cell'), groups, sums);
    EXECUTE tally.render($template$
CREATE TABLE {state} (
    {groups}, {sums}, was_rows bigint NOT NULL DEFAULT 0{olds},
    tally_version bigint NOT NULL DEFAULT 0, tally_epoch bigint NOT NULL DEFAULT 0{public_row}
) WITH (fillfactor = 80)$template$, jsonb_build_object(
        'state',      tally.part(r, '_state'),
        'groups',     groups,
        'sums',       sums,
        'olds',       coalesce(olds, ''),
        'public_row', CASE WHEN r.serves_id IS NULL THEN ', tally_row tid' ELSE '' END));
    EXECUTE format('CREATE UNIQUE INDEX ON %s (%s, tally_epoch DESC) NULLS NOT DISTINCT', tally.part(r, '_state'), tally.column_list(r.group_by));
    IF r.serves_id IS NULL THEN  -- a row a cell, but no unique index: to check that, each update would walk through all versions of its cell
        EXECUTE format('CREATE TABLE %s WITH (fillfactor = 80) AS TABLE %s WITH NO DATA', tally.part(r), tally.part(r, '_def'));
        EXECUTE format('CREATE INDEX ON %s (%s)', tally.part(r), tally.column_list(r.group_by));
    END IF;
    PERFORM tally.identify_rows(tally.relation_of(r, s)) FROM unnest('{"",_state}'::text[]) s WHERE tally.relation_of(r, s) IS NOT NULL;
    PERFORM tally.comment_rollup(r);
END
$$;

-- tally.comment_rollup: say at a rollup's tables and type what they are.
CREATE OR REPLACE FUNCTION tally.comment_rollup(r tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('COMMENT ON TYPE %s IS %L', tally.part(r, '_cell'), 'what is added to a cell of ' || tally.part(r));
    EXECUTE format('COMMENT ON TABLE %s IS %L', tally.part(r, '_state'), 'the running sums of ' || tally.part(r));
    IF r.serves_id IS NULL AND tally.is_own_comment(obj_description(tally.relation_of(r), 'pg_class')) THEN
        EXECUTE format('COMMENT ON TABLE %s IS %L', tally.part(r), format('%s by %s; exact now: %s; from scratch: %s',
            tally.part(tally.view_by_id(r.source_id)), tally.column_list(r.group_by), tally.part(r, '_live'), tally.part(r, '_def')));
    END IF;
END
$$;

-- tally.fill_rollup: compute a rollup from what its source stores, in place of what it holds.
CREATE OR REPLACE FUNCTION tally.fill_rollup(r tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    base tally.derived_view := tally.view_by_id(r.source_id);
    cells text := (SELECT string_agg(quote_ident(s.col), ', ') FROM tally.sums_of(r) s);
    f    tally.derived_view;
BEGIN
    UPDATE tally.merge_state m SET rows_changed = m.rows_changed WHERE m.view_id = r.root_id;  -- for tally.require_latest
    EXECUTE format('DELETE FROM %s', tally.part(r, '_state'));
    EXECUTE format('INSERT INTO %s (%s, %s) %s', tally.part(r, '_state'), tally.column_list(r.group_by), cells,
        tally.sql_cells(r, format('(SELECT 1 AS tally_sign, * FROM %s)', tally.part(base)), false));
    FOR f IN SELECT * FROM tally.derived_view d WHERE d.serves_id = r.id LOOP
        EXECUTE tally.render('UPDATE {state} s SET {counts} FROM (SELECT {groups}, count(*) AS tally_n FROM {finer} GROUP BY {groups}) f WHERE {same_cell}', jsonb_build_object(
            'state',     tally.part(r, '_state'),
            'counts',    (SELECT string_agg(format('%I = f.tally_n', 'n_' || m.name), ', ') FROM tally.measures_of(r) m
                          WHERE m.function = 'count_distinct' AND m.argument = f.group_by[cardinality(f.group_by)]),
            'groups',    tally.column_list(r.group_by),
            'finer',     tally.part(f, '_state'),
            'same_cell', tally.sql_not_distinct(tally.part(r, '_state')::regclass, r.group_by, 's', 'f')));
    END LOOP;
    IF r.serves_id IS NULL THEN
        EXECUTE format('DELETE FROM %s', tally.part(r));
        EXECUTE format('INSERT INTO %s SELECT %s FROM %s s', tally.part(r),
            concat_ws(', ', tally.column_list(r.group_by, 's.'), (SELECT string_agg(tally.sql_final(m, 's'), ', ') FROM tally.measures_of(r) m)), tally.part(r, '_state'));
    END IF;
END
$$;
