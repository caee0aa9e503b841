-- tally.generate_upkeep: the functions with which others can verify and repair a derived view. They run with its declarer's rights, so that
-- code called by a definition never runs with the rights of the caller, or of the role that installed the engine.
--   Makes     <view>_verify(sample) RETURNS TABLE (view, side, data), of a projection or a snapshot
--             <snapshot>_refresh() RETURNS tally.merge_result
--             <view>_enqueue(): see tally.enqueue_sweep
--             <projection>_repair() RETURNS bigint, <projection>_mend()
CREATE OR REPLACE FUNCTION tally.generate_upkeep(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {verify}(sample float8) RETURNS TABLE (view text, side text, data jsonb) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    RETURN QUERY EXECUTE tally.sql_verify_all({view_id}, sample);
END
$body$ $template$, jsonb_build_object('verify', tally.part(v, '_verify'), 'view_id', v.id));
    PERFORM tally.seal(tally.part(v, '_verify') || '(float8)', 'the rows in which ' || tally.part(v) || ' and what is above it differ from their oracles');
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {enqueue}() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
    INSERT INTO {delta} (tally_source) VALUES ({sweep})
$body$ $template$, jsonb_build_object('enqueue', tally.part(v, '_enqueue'), 'delta', tally.part(v, '_delta'), 'sweep', tally.delta_code('sweep')));
    PERFORM tally.seal(tally.part(v, '_enqueue') || '()', 'puts every key of ' || tally.part(v) || ' into its delta table');
    IF v.kind = 'snapshot' THEN
        EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {refresh}() RETURNS tally.merge_result LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
    SELECT r.* FROM tally.view_by_id({view_id}) v CROSS JOIN LATERAL tally.refresh_snapshot(v) r
$body$ $template$, jsonb_build_object('refresh', tally.part(v, '_refresh'), 'view_id', v.id));
        PERFORM tally.seal(tally.part(v, '_refresh') || '()', 'refreshes ' || tally.part(v) || ' if something that it reads has changed');
        RETURN;
    END IF;
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {repair}() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
    SELECT tally.enqueue_differing({view_id})
$body$ $template$, jsonb_build_object('repair', tally.part(v, '_repair'), 'view_id', v.id));
    PERFORM tally.seal(tally.part(v, '_repair') || '()', 'enqueues the keys of ' || tally.part(v) || ' that differ from the definition');
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {mend}() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
    SELECT tally.mend_rollups({view_id})
$body$ $template$, jsonb_build_object('mend', tally.part(v, '_mend'), 'view_id', v.id));
    PERFORM tally.seal(tally.part(v, '_mend') || '()', 'computes the rollups above ' || tally.part(v) || ' again that do not add up');
END
$generator$;
