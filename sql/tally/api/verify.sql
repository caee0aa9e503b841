-- tally.verify: the rows in which a derived view differs from its oracle, in one snapshot.
--   Parameters name: any derived view; for a rollup, its projection and all rollups above that; sample: share of the keys
--   Returns    view, side ('stored': only there; 'oracle': only there), the row; no rows: all agree
--   Reads      the projection and its definition, for keys that are not pending (pending ones are expected to differ);
--              the rollups' running sums and public rows, and the stored rows below them
--   Locks      ACCESS SHARE on the derived table first, so that no redefinition replaces it meanwhile
--   Raises     TL001, TL005, TL018, TL022, TL023; serialization_failure if a redefinition has replaced it since the caller's fixed snapshot
--   Used by    operators, the API, tally.repair
CREATE OR REPLACE FUNCTION tally.verify(name text, sample float8 DEFAULT 1.0)
RETURNS TABLE (view text, side text, data jsonb) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM tally.verify_by_name(tally.called(name, pg_catalog.current_schemas(true)), sample);
END
$$;
COMMENT ON FUNCTION tally.verify(text, float8) IS 'the rows that differ from the oracle, in one snapshot; none: all agree';

-- tally.verify_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.verify_by_name(name text, sample float8)
RETURNS TABLE (view text, side text, data jsonb) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex' SET array_nulls = on SET quote_all_identifiers = off AS $$
DECLARE
    v tally.derived_view := tally.lookup_root(name);
BEGIN
    PERFORM tally.require_active(v);
    PERFORM tally.require_present(v);
    IF v.kind = 'projection' THEN
        EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE', tally.part(v));
        v := tally.lookup_root(name);
        PERFORM tally.require_current(v);
    END IF;
    IF sample IS NULL OR sample <= 0 OR sample > 1 THEN
        PERFORM tally.fail('TL018', format('sample is %s; it is a share above 0 and up to 1.', sample));
    END IF;
    RETURN QUERY EXECUTE format('SELECT * FROM %s($1)', tally.declarers(v, '_verify')) USING sample;
EXCEPTION WHEN syntax_error OR undefined_table OR undefined_column OR undefined_function OR undefined_object OR invalid_schema_name THEN
    PERFORM tally.refuse_renamed(v.id);
    RAISE;
END
$$;

-- tally.require_current: raise serialization_failure if a derived view's table is not the one that the snapshot sees. The engine's
-- catalog would then describe the previous table.
CREATE OR REPLACE FUNCTION tally.require_current(v tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass(tally.part(v)) IS DISTINCT FROM (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                                                    WHERE n.nspname = v.schema_name AND c.relname = v.relation_name) THEN
        RAISE serialization_failure USING MESSAGE = format('%s was redefined after the snapshot of this transaction was taken.', tally.part(v)),
            HINT = 'Try again in a new transaction.';
    END IF;
END
$$;

-- tally.sql_verify: SELECT of the rows in which a projection differs from its definition. Rows are joined by identity, compared as in a
-- merge: of equal spellings either may be stored, because a GROUP BY returns any of them. Other columns are compared by image.
CREATE OR REPLACE FUNCTION tally.sql_verify(v tally.derived_view, sample float8)
RETURNS text LANGUAGE sql VOLATILE AS $generator$
    SELECT tally.render($template$SELECT * FROM (
    WITH pending AS MATERIALIZED (SELECT {collated_key} FROM {pending}() k),
    stored AS (SELECT d.*, true AS tally_here FROM {table} d WHERE {not_pending} AND {sampled}),
    fresh AS (SELECT d.*, true AS tally_here FROM {definition} d WHERE {not_pending} AND {sampled}),
    difference AS (
        SELECT s.tally_here AS in_stored, f.tally_here AS in_oracle, to_jsonb(s.*) - 'tally_here' AS stored_row, to_jsonb(f.*) - 'tally_here' AS oracle_row
        FROM stored s FULL JOIN fresh f ON ROW({stored_identity})::{identity} = ROW({fresh_identity})::{identity}  -- as a type of its own: NULLs count as equal
        WHERE s.tally_here IS NULL OR f.tally_here IS NULL OR ROW({stored_values})::record *<> ROW({fresh_values})::record)
    SELECT {view}::text, 'stored'::text, stored_row FROM difference WHERE in_stored
    UNION ALL SELECT {view}, 'oracle', oracle_row FROM difference WHERE in_oracle) projection_difference$template$, jsonb_build_object(
        'view',            quote_literal(tally.part(v)),
        'table',           tally.part(v),
        'definition',      v.definition,
        'pending',         tally.part(v, '_pending'),
        'collated_key',    tally.collated_list(v.definition, v.key, 'k.'),
        'not_pending',     tally.sql_not_in(v.definition, v.key, 'pending', 'd'),
        'sampled',         CASE WHEN sample >= 1 THEN 'true' ELSE format('mod(abs(hashtextextended(ROW(%s)::text, %s)), 1000000) < %s',
                               tally.column_list(v.key, 'd.'), (random() * 1e9)::bigint, sample * 1000000) END,
        'identity',        tally.part(v, '_identity'),
        'stored_identity', tally.column_list(v.identity, 's.'),
        'fresh_identity',  tally.column_list(v.identity, 'f.'),
        'stored_values',   tally.column_list(c, 's.'),
        'fresh_values',    coalesce(tally.list_as_stored(v.definition, tally.part(v)::regclass, c, 'f.'), '')))
    FROM (SELECT ARRAY(SELECT c FROM unnest(tally.columns_of(v.definition)) WITH ORDINALITY u(c, n) WHERE c <> ALL (v.identity) ORDER BY n)) x(c)
$generator$;

-- tally.sql_verify_rollup: SELECT of the cells in which a rollup differs from what is stored below it.
CREATE OR REPLACE FUNCTION tally.sql_verify_rollup(r tally.derived_view)
RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    base   tally.derived_view := tally.view_by_id(r.source_id);
    below  text := CASE WHEN base.serves_id IS NULL THEN tally.part(base) ELSE tally.part(base, '_state') END;
    groups text := nullif(tally.column_list(r.group_by, 'd.'), '');
    seen   text := concat_ws(', ', groups, (SELECT string_agg(format('d.%I', m.name), ', ') FROM tally.measures_of(r) m));
    truth  text := format('SELECT %s FROM %s d%s %s',
        concat_ws(', ', groups, (SELECT string_agg(format('%s AS %I', tally.sql_oracle(m), m.name), ', ') FROM tally.measures_of(r) m)),
        below, coalesce(' WHERE ' || r.filter, ''), tally.sql_group_by(r));
    sums   text := format('SELECT %s FROM %s s WHERE %s', concat_ws(', ', nullif(tally.column_list(r.group_by, 's.'), ''),
        (SELECT string_agg(tally.sql_final(m, 's') || format(' AS %I', m.name), ', ') FROM tally.measures_of(r) m)), tally.part(r, '_state'), tally.sql_there(r, 's.cell_rows'));
BEGIN
    IF r.serves_id IS NOT NULL THEN  -- only the existence of cells and their numbers of rows
        truth := format('SELECT %s, count(*) AS cell_rows FROM %s d%s GROUP BY %s', groups, below, coalesce(' WHERE ' || r.filter, ''), groups);
        sums := format('SELECT %s, s.cell_rows FROM %s s', tally.column_list(r.group_by, 's.'), tally.part(r, '_state'));
        RETURN format('SELECT * FROM (SELECT %1$L::text, ''stored''::text, to_jsonb(x.*) FROM (%2$s EXCEPT ALL %3$s) x UNION ALL SELECT %1$L, ''oracle'', to_jsonb(x.*) FROM (%3$s EXCEPT ALL %2$s) x) cells_%4$s',
            tally.part(r), sums, truth, r.id);
    END IF;
    RETURN tally.render($sql$SELECT * FROM (
    WITH truth AS MATERIALIZED ({truth}),
    seen AS MATERIALIZED (SELECT {seen} FROM {table} d),
    sums AS MATERIALIZED ({sums})
    SELECT {name}::text, 'stored'::text, to_jsonb(x.*) FROM (TABLE seen EXCEPT ALL TABLE truth) x
    UNION ALL SELECT {name}, 'oracle', to_jsonb(x.*) FROM (TABLE truth EXCEPT ALL TABLE seen) x
    UNION ALL SELECT {name}, 'stored', to_jsonb(x.*) FROM (TABLE sums EXCEPT ALL TABLE truth) x
    UNION ALL SELECT {name}, 'oracle', to_jsonb(x.*) FROM ((TABLE truth EXCEPT ALL TABLE sums) EXCEPT ALL (TABLE truth EXCEPT ALL TABLE seen)) x) {alias}$sql$,
        jsonb_build_object('name', quote_literal(tally.part(r)), 'truth', truth, 'seen', seen, 'table', tally.part(r), 'sums', sums, 'alias', format('cells_%s', r.id)));
END
$$;

-- tally.sql_verify_snapshot: SELECT of the rows in which a materialized view differs from its query; no rows if a refresh is due.
CREATE OR REPLACE FUNCTION tally.sql_verify_snapshot(v tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format($sql$SELECT * FROM (
        SELECT %1$L::text, 'stored'::text, to_jsonb(x.*) FROM (SELECT * FROM %1$s EXCEPT ALL (%2$s)) x
        UNION ALL SELECT %1$L, 'oracle', to_jsonb(x.*) FROM ((%2$s) EXCEPT ALL SELECT * FROM %1$s) x) d
        WHERE NOT EXISTS (SELECT FROM %3$s)$sql$,
        v.definition, rtrim(pg_get_viewdef(v.definition), ';'), tally.part(v, '_delta'))
$$;

-- tally.sql_verify_all: SELECT of the rows in which a projection and the rollups above it, or a snapshot, differ from their oracles. It is
-- one statement, so that all are read in one snapshot.
CREATE OR REPLACE FUNCTION tally.sql_verify_all(view_id integer, sample float8)
RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT CASE v.kind WHEN 'snapshot' THEN tally.sql_verify_snapshot(v) ELSE tally.sql_verify(v, sample) || coalesce((
        SELECT string_agg(' UNION ALL ' || tally.sql_verify_rollup(r), '' ORDER BY r.id) FROM tally.derived_view r WHERE r.root_id = v.id), '')
        || coalesce(tally.sql_verify_split(v), '') END
    FROM tally.view_by_id(view_id) v
$$;
