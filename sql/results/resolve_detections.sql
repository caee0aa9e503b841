-- results.resolve_detections: find the row id of every detection of the accepted messages, or reserve one for a new row.
--   Reads      pg_temp.stage_detection, stage_image, batch_message; results.capture, detection, algorithm
--   Writes     pg_temp.batch_detection
--   Locks      none
--   Notes      Equal boxes in a batch are one detection. A capture without a box gets a null marker of the pipeline's finder, unless
--              the message says that finding failed. OFFSET 0 forces look-ups by index, because statistics may be out of date; + 0
--              hides an index that would find every detection of an algorithm.
CREATE OR REPLACE FUNCTION results.resolve_detections()
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO pg_temp.batch_detection
    WITH given AS (
        SELECT d.det, d.capture_id, a.id AS algorithm_id, d.x1, d.y1, d.x2, d.y2, d.crop_url, d.detected_at
        FROM pg_temp.batch_message m
        JOIN pg_temp.stage_detection d ON d.msg = m.msg
        JOIN results.algorithm a ON a.key = d.algorithm
        UNION ALL
        SELECT -row_number() OVER (), i.capture_id, m.finder_id, NULL, NULL, NULL, NULL, NULL, now()
        FROM pg_temp.batch_message m
        JOIN pg_temp.stage_image i ON i.msg = m.msg
        WHERE m.errors IS NULL
          AND NOT EXISTS (SELECT FROM pg_temp.stage_detection d WHERE d.msg = i.msg AND d.capture_id = i.capture_id)
    ), same AS (
        SELECT g.*, first_value(g.det) OVER (
            PARTITION BY g.capture_id, g.x1, g.y1, g.x2, g.y2, CASE WHEN g.x1 IS NULL THEN g.algorithm_id END ORDER BY g.det) AS first_det
        FROM given g
    ), boxed AS (
        SELECT s.*, CASE WHEN num_nulls(s.x1, s.y1, s.x2, s.y2) = 0 THEN ARRAY[s.x1, s.y1, s.x2, s.y2] END AS bbox FROM same s
    )
    SELECT b.det, b.first_det, b.capture_id, b.algorithm_id, b.bbox, nullif(b.crop_url, ''), b.detected_at,
           c.captured_at, c.project_id, c.deployment_id, c.event_id, k.id IS NOT NULL,
           CASE WHEN k.id IS NOT NULL THEN k.id
                WHEN b.det = b.first_det THEN nextval('results.detection_id_seq') END,
           CASE WHEN k.id IS NOT NULL THEN k.occurrence_id
                WHEN b.det = b.first_det AND b.bbox IS NOT NULL THEN nextval('results.occurrence_id_seq') END
    FROM boxed b
    CROSS JOIN LATERAL (SELECT c.* FROM results.capture c WHERE c.id = b.capture_id OFFSET 0) c
    LEFT JOIN LATERAL (
        SELECT d.id, d.occurrence_id FROM results.detection d WHERE d.capture_id = b.capture_id AND d.bbox = b.bbox
        UNION ALL
        SELECT d.id, d.occurrence_id FROM results.detection d
        WHERE b.bbox IS NULL AND d.capture_id = b.capture_id AND d.algorithm_id + 0 = b.algorithm_id AND d.bbox IS NULL
        OFFSET 0) k ON true;

    UPDATE pg_temp.batch_detection b SET detection_id = f.detection_id, occurrence_id = f.occurrence_id
    FROM pg_temp.batch_detection f
    WHERE b.det <> b.first_det AND f.det = b.first_det AND b.detection_id IS NULL;
END
$$;
COMMENT ON FUNCTION results.resolve_detections() IS 'give every detection of the accepted messages its row''s id';
