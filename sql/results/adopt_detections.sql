-- results.adopt_detections: take over the rows of another writer who inserted the same boxes or null markers first.
--   Reads      results.detection, by (capture_id, bbox)
--   Writes     pg_temp.batch_detection
--   Locks      none
CREATE OR REPLACE FUNCTION results.adopt_detections()
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE pg_temp.batch_detection b SET known = true, detection_id = d.id, occurrence_id = d.occurrence_id
    FROM results.detection d
    WHERE NOT b.known AND d.id <> b.detection_id AND d.capture_id = b.capture_id
      AND (d.bbox = b.bbox OR d.bbox IS NULL AND b.bbox IS NULL AND d.algorithm_id = b.algorithm_id);
END
$$;
COMMENT ON FUNCTION results.adopt_detections() IS 'take the rows of another writer who was first with the same boxes';
