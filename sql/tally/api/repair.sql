-- tally.repair: repair what tally.verify would report: enqueue the keys that differ, and compute again the rollups that differ from the
-- sum of the rows below them.
--   Returns    how many keys were enqueued
--   Writes     the delta table; rollups that differ
--   Locks      the projection's advisory lock, so that no merge runs meanwhile
CREATE OR REPLACE FUNCTION tally.repair(name text)
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN tally.repair_by_name(tally.called(name, pg_catalog.current_schemas(true)));
END
$$;
COMMENT ON FUNCTION tally.repair(text) IS 'enqueue the keys that verify would report, and mend rollups that do not add up';

-- tally.repair_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.repair_by_name(name text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex' SET array_nulls = on SET quote_all_identifiers = off AS $$
DECLARE
    v        tally.derived_view := tally.lock_root(name);
    enqueued bigint;
BEGIN
    PERFORM tally.require_active(v);
    PERFORM tally.require_present(v);
    IF v.kind = 'snapshot' THEN
        PERFORM tally.rebuild(name);
        RETURN 1;
    END IF;
    EXECUTE format('SELECT %s()', tally.declarers(v, '_repair')) INTO enqueued;
    EXECUTE format('SELECT %s()', tally.declarers(v, '_mend'));
    RETURN enqueued;
EXCEPTION WHEN syntax_error OR undefined_table OR undefined_column OR undefined_function OR undefined_object OR invalid_schema_name THEN
    PERFORM tally.refuse_renamed(v.id);
    RAISE;
END
$$;

-- tally.enqueue_differing: enqueue the keys of a projection that differ from its definition; returns how many.
--   Writes    the delta table
CREATE OR REPLACE FUNCTION tally.enqueue_differing(view_id integer)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v        tally.derived_view := tally.view_by_id(view_id);
    enqueued bigint;
BEGIN
    EXECUTE format('INSERT INTO %1$s (%2$s) SELECT DISTINCT %3$s FROM (%4$s) AS x(view, side, data) CROSS JOIN LATERAL jsonb_populate_record(NULL::%5$s, x.data) p',
        tally.part(v, '_delta'), tally.column_list(v.key), tally.column_list(v.key, 'p.'), tally.sql_verify(v, 1.0), tally.part(v));
    GET DIAGNOSTICS enqueued = ROW_COUNT;
    RETURN enqueued;
END
$$;

-- tally.mend_rollups: compute again the rollups of a projection that differ from the sum of the stored rows below them.
--   Writes    those rollups
CREATE OR REPLACE FUNCTION tally.mend_rollups(view_id integer)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    r     tally.derived_view;
    wrong boolean;
BEGIN
    FOR r IN SELECT * FROM tally.rollups_above(view_id) LOOP
        EXECUTE format('SELECT EXISTS (%s)', tally.sql_verify_rollup(r)) INTO wrong;
        IF wrong THEN
            PERFORM tally.fill_rollup(r);
        END IF;
    END LOOP;
END
$$;
