-- tally.pause: stop merging a projection. Changes are still logged, and _live stays exact.
--   Writes    tally.derived_view
CREATE OR REPLACE FUNCTION tally.pause(name text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.pause_by_name(tally.called(name, pg_catalog.current_schemas(true)));
END
$$;
COMMENT ON FUNCTION tally.pause(text) IS 'stop merging; what changes is still logged, and _live stays exact';

-- tally.pause_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.pause_by_name(name text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v tally.derived_view := tally.lookup_root(name);
BEGIN
    PERFORM tally.require_active(v);
    UPDATE tally.derived_view d SET state = 'paused' WHERE d.id = v.id;
    IF NOT FOUND THEN
        PERFORM tally.pause(name);  -- a redefinition has just replaced it
    END IF;
END
$$;
