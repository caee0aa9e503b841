-- results.write_detections: insert new detections and null markers. Each box gets an occurrence that is already determined.
--   Returns    whether another writer has inserted some of them first
--   Reads      pg_temp.batch_detection, batch_taxon, stage_classification
--   Writes     results.detection, results.occurrence
--   Locks      the new boxes, in the order (capture_id, bbox): a second batch waits for the first, then finds its rows
--   Notes      It is one statement, so that a box which another writer has just inserted leaves no occurrence behind: foreign keys
--              are checked at its end. It joins only stage tables, by hash, because estimates for them are unreliable.
--              The order of best is that of results.determine.
CREATE OR REPLACE FUNCTION results.write_detections()
RETURNS boolean LANGUAGE plpgsql
SET enable_nestloop = off AS $$
DECLARE
    wanted bigint;
    made   bigint;
BEGIN
    SELECT count(*) INTO wanted FROM pg_temp.batch_detection b WHERE NOT b.known AND b.det = b.first_det;
    WITH detection AS (
        INSERT INTO results.detection (id, capture_id, occurrence_id, algorithm_id, bbox, crop_url, captured_at, detected_at)
        SELECT b.detection_id, b.capture_id, b.occurrence_id, b.algorithm_id, b.bbox, b.crop_url, b.captured_at, b.detected_at
        FROM pg_temp.batch_detection b WHERE NOT b.known AND b.det = b.first_det
        ORDER BY b.capture_id, b.bbox, b.algorithm_id
        ON CONFLICT DO NOTHING
        RETURNING id, occurrence_id
    ), ranked AS (
        SELECT b.first_det, t.taxon_id, c.score, c.terminal, c.cls,
               rank() OVER (PARTITION BY b.first_det, c.algorithm ORDER BY c.score DESC) AS place
        FROM pg_temp.batch_detection b
        JOIN pg_temp.stage_classification c ON c.det = b.det
        JOIN pg_temp.batch_taxon t ON t.label = c.label
        WHERE NOT b.known
    ), best AS (
        SELECT DISTINCT ON (r.first_det) r.first_det, r.taxon_id, r.score
        FROM ranked r WHERE r.place = 1 ORDER BY r.first_det, r.terminal DESC, r.score DESC, r.cls
    ), occurrence AS (
        INSERT INTO results.occurrence (id, project_id, deployment_id, event_id, determination_id, determination_score)
        SELECT b.occurrence_id, b.project_id, b.deployment_id, b.event_id, best.taxon_id, best.score
        FROM detection d
        JOIN pg_temp.batch_detection b ON b.detection_id = d.id AND b.det = b.first_det
        LEFT JOIN best ON best.first_det = b.det
        WHERE d.occurrence_id IS NOT NULL
        ORDER BY b.occurrence_id
    )
    SELECT count(*) INTO made FROM detection;
    RETURN made < wanted;
END
$$;
COMMENT ON FUNCTION results.write_detections() IS 'insert new detections and null markers, each box with its occurrence';
