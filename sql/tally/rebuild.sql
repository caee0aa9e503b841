-- tally.rebuild: enqueue every key of a projection, stored or defined.
--   Writes    one row of the delta table; the next merges expand it
CREATE OR REPLACE FUNCTION tally.rebuild(name text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v tally.derived_view := tally.lookup_root(name);
BEGIN
    PERFORM tally.require_active(v);
    EXECUTE format('INSERT INTO %s (tally_source) VALUES (-1)', tally.part(v, '_delta'));
END
$$;
COMMENT ON FUNCTION tally.rebuild(text) IS 'enqueue every key: all of it is evaluated again, in bounded steps';
