-- results.analyze_stage: update the statistics of the stage if its size has another order of magnitude than last time.
--   Returns    whether it did
--   Locks      none that other sessions could wait for
--   Notes      Plans are kept for the session, and a plan made for a single message is slow for thousands. A plan made for many is
--              good enough for few, so batches of changing size do not analyze each time. The session keeps the last size, in
--              pages, in the setting countersink.stage_pages.
CREATE OR REPLACE FUNCTION results.analyze_stage()
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    pages    bigint := 1 + pg_relation_size('pg_temp.stage_classification') / 8192
                         + pg_relation_size('pg_temp.stage_image') / 8192;
    analyzed bigint := nullif(current_setting('countersink.stage_pages', true), '');
BEGIN
    IF pages < 4 * analyzed AND 32 * pages > analyzed THEN
        RETURN false;
    END IF;
    PERFORM set_config('countersink.stage_pages', pages::text, false);
    ANALYZE pg_temp.stage_message, pg_temp.stage_image, pg_temp.stage_detection,
            pg_temp.stage_classification (det, cls, label, algorithm, score), pg_temp.stage_error;
    RETURN true;
END
$$;
COMMENT ON FUNCTION results.analyze_stage() IS 'let the planner know the size of the stage when it has changed much';
