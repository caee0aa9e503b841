-- tally.rebuild: enqueue every key of a projection, both stored keys and those in the definition. Wrong rollups are computed again.
--   Writes    one row of the delta table, for which the next merges sweep through the keys; rollups that differ. Every key is written back once
--   Locks     the projection's advisory lock, so that no merge runs meanwhile
CREATE OR REPLACE FUNCTION tally.rebuild(name text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.rebuild_by_name(tally.called(name, pg_catalog.current_schemas(true)));
END
$$;
COMMENT ON FUNCTION tally.rebuild(text) IS 'enqueue every key: all of it is evaluated again, in bounded steps';

-- tally.rebuild_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.rebuild_by_name(name text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex' SET array_nulls = on SET quote_all_identifiers = off AS $$
DECLARE
    v tally.derived_view := tally.lock_root(name);
BEGIN
    PERFORM tally.require_active(v);
    PERFORM tally.require_present(v);
    IF v.kind = 'projection' THEN
        EXECUTE format('SELECT %s()', tally.declarers(v, '_mend'));
    END IF;
    PERFORM tally.enqueue_sweep(v);
    PERFORM tally.write_every_key(v.id);
EXCEPTION WHEN syntax_error OR undefined_table OR undefined_column OR undefined_function OR undefined_object OR invalid_schema_name THEN
    PERFORM tally.refuse_renamed(v.id);
    RAISE;
END
$$;
