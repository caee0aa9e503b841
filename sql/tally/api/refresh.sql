-- tally.refresh: bring a derived view up to date now.
--   Parameters name: any derived view. A projection, also that under a rollup, is merged until nothing is left. A
--              snapshot is refreshed if one of its sources has changed. At the end, what tally.write_back has pending is written
--   Returns    the sum of what the merges did
--   Locks      waits for a running merge; otherwise as tally.merge
--   Used by    operators, the API
CREATE OR REPLACE FUNCTION tally.refresh(name text)
RETURNS tally.merge_result LANGUAGE plpgsql AS $$
BEGIN
    RETURN tally.refresh_by_name(tally.called(name, pg_catalog.current_schemas(true)));
END
$$;
COMMENT ON FUNCTION tally.refresh(text) IS 'bring a derived view up to date now: merge until nothing is left';

-- tally.refresh_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.refresh_by_name(name text)
RETURNS tally.merge_result LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on
SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex' SET array_nulls = on SET quote_all_identifiers = off AS $$
DECLARE
    v     tally.derived_view := tally.lock_root(name);
    step  tally.merge_result;
    total tally.merge_result := ROW('nothing', 0, 0, 0, 0, false, NULL);
BEGIN
    PERFORM tally.require_active(v);
    PERFORM tally.require_present(v);
    PERFORM tally.require_firing(v);
    IF v.state = 'paused' THEN
        PERFORM tally.fail('TL005', format('%s is paused.', tally.part(v)));
    END IF;
    UPDATE tally.derived_view d SET swap_at = clock_timestamp() WHERE d.replaces_id = v.id AND d.swap_at > clock_timestamp();
    LOOP
        step := tally.merge_and_advance(v, 50000);
        EXIT WHEN step.outcome = 'nothing' AND NOT step.more;
        total := ROW(step.outcome, total.consumed + step.consumed, total.keys + step.keys, total.changed + step.changed,
                     total.quarantined + step.quarantined, false, step.error);
        EXIT WHEN step.outcome = 'failed' OR NOT step.more;
    END LOOP;
    step.changed := tally.write_all_back(v.id);
    IF step.changed > 0 THEN
        total.changed := total.changed + step.changed;
        total.outcome := CASE total.outcome WHEN 'nothing' THEN 'merged' ELSE total.outcome END;
    END IF;
    RETURN total;
END
$$;
