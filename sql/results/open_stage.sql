-- results.open_stage: make the session's stage tables, which every commit empties. A session that failed is followed by another,
-- so this is also where sequences are moved.
--   Writes     sequences, see results.advance_sequences; pg_temp.stage_*: filled by COPY, with the columns in the order given here;
--              pg_temp.batch_*: what apply_batch computes from them
--   Locks      none that other sessions could wait for
--   Notes      msg is the index of the message in the batch; det and cls number detections and classifications within the
--              batch. A detection without corners has no box.
CREATE OR REPLACE FUNCTION results.open_stage()
RETURNS void LANGUAGE plpgsql SET client_min_messages = warning AS $$
BEGIN
    -- if the machine at the other end is gone, nobody says so, and the rows of a batch that is not committed would stay locked for hours
    PERFORM set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '3', false);
    PERFORM results.advance_sequences();
    CREATE TEMPORARY TABLE IF NOT EXISTS stage_message (msg int, job_id bigint, pipeline text, errors text) ON COMMIT DELETE ROWS;
    CREATE TEMPORARY TABLE IF NOT EXISTS stage_image (msg int, capture_id bigint) ON COMMIT DELETE ROWS;
    CREATE TEMPORARY TABLE IF NOT EXISTS stage_detection (
        msg int, det int, capture_id bigint, algorithm text, x1 float8, y1 float8, x2 float8, y2 float8,
        crop_url text, detected_at timestamptz) ON COMMIT DELETE ROWS;
    CREATE TEMPORARY TABLE IF NOT EXISTS stage_classification (
        det int, cls int, label text, algorithm text, score float8, terminal boolean, scores float4[], logits float4[],
        score_classes int4[], logit_classes int4[], classified_at timestamptz) ON COMMIT DELETE ROWS;
    CREATE TEMPORARY TABLE IF NOT EXISTS stage_error (msg int, job_id bigint, capture_id bigint, error text) ON COMMIT DELETE ROWS;
    ALTER TABLE pg_temp.stage_classification ALTER scores SET STORAGE EXTERNAL, ALTER logits SET STORAGE EXTERNAL,
        ALTER score_classes SET STORAGE EXTERNAL, ALTER logit_classes SET STORAGE EXTERNAL;

    -- accepted messages (errors: why nothing was found, or NULL), and the errors of rejected ones
    CREATE TEMPORARY TABLE IF NOT EXISTS batch_message (msg int, job_id bigint, finder_id bigint, errors text) ON COMMIT DELETE ROWS;
    CREATE TEMPORARY TABLE IF NOT EXISTS batch_reject (msg int, sqlstate text, reason text) ON COMMIT DELETE ROWS;
    -- detections of accepted messages; first_det is the first with the same box; detection_id is set for new ones too
    CREATE TEMPORARY TABLE IF NOT EXISTS batch_detection (
        det int, first_det int, capture_id bigint, algorithm_id bigint, bbox float8[], crop_url text, detected_at timestamptz,
        captured_at timestamptz, project_id bigint, deployment_id bigint, event_id bigint,
        known boolean, detection_id bigint, occurrence_id bigint) ON COMMIT DELETE ROWS;
    CREATE TEMPORARY TABLE IF NOT EXISTS batch_taxon (label text, taxon_id bigint) ON COMMIT DELETE ROWS;
END
$$;
COMMENT ON FUNCTION results.open_stage() IS 'make the session''s stage tables, once per connection';
