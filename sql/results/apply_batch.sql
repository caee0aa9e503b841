-- results.apply_batch: write what the stage holds. Each message is written as a whole or rejected as a whole.
--   Returns    one row per rejected message: its index in the batch, an SQLSTATE of results.error_catalogue, the reason
--   Reads      pg_temp.stage_* as made by results.open_stage and filled by COPY in this transaction
--   Writes     results.taxon, detection, occurrence, classification, job_capture
--   Locks      rows of one table after another, each table's in the order of its key, so that batches never deadlock; it waits for each
--              as long as results.limit_waits allows
--   Raises     foreign_key_violation, whether keys are checked row by row or in sets (results.knows_keys)
--   Notes      READ COMMITTED is assumed: each step sees what other batches committed while it waited. A policy that hides rows from the
--              caller would make jobs and captures unknown, so it is an error instead (row_security).
CREATE OR REPLACE FUNCTION results.apply_batch()
RETURNS TABLE (msg int, sqlstate text, reason text) LANGUAGE plpgsql
SET random_page_cost = 0.1 SET jit = off SET row_security = off AS $$
DECLARE
    grown    boolean := results.analyze_stage();
    may_hold boolean;
    in_sets  boolean;
    touched  bigint[];
BEGIN
    PERFORM results.limit_waits();
    PERFORM results.judge_messages();
    IF grown THEN
        ANALYZE pg_temp.batch_message, pg_temp.batch_reject;
    END IF;
    PERFORM results.resolve_detections();
    IF grown THEN
        ANALYZE pg_temp.batch_detection (det, first_det, capture_id, known, detection_id, occurrence_id);
    END IF;
    PERFORM results.resolve_taxa();
    IF grown THEN
        ANALYZE pg_temp.batch_taxon;
    END IF;
    may_hold := results.may_hold_parents();
    in_sets := may_hold AND results.knows_keys();
    IF in_sets THEN
        PERFORM results.fire_triggers(false);
        PERFORM results.hold_parents();
    ELSIF may_hold THEN
        PERFORM results.hold_places();
    END IF;
    IF results.write_detections() THEN
        PERFORM results.adopt_detections();
    END IF;
    PERFORM results.complete_detections();
    IF in_sets THEN
        PERFORM results.hold_detections();
    END IF;
    IF results.write_classifications() THEN
        PERFORM results.complete_classifications();
    END IF;

    touched := ARRAY(SELECT DISTINCT b.occurrence_id FROM pg_temp.batch_detection b WHERE b.known AND b.occurrence_id IS NOT NULL);
    IF cardinality(touched) > 0 THEN
        PERFORM results.determine(touched);
        IF in_sets THEN
            PERFORM results.hold_determinations(touched);
        END IF;
    END IF;
    PERFORM results.write_job_captures();
    IF in_sets THEN
        PERFORM results.fire_triggers(true);
    END IF;
    RETURN QUERY SELECT r.msg, r.sqlstate, r.reason FROM pg_temp.batch_reject r ORDER BY r.msg;
END
$$;
COMMENT ON FUNCTION results.apply_batch() IS 'write what the stage holds; returns the messages that were rejected';
