-- results.adopt_detections: take over the rows of another writer who inserted the same boxes or null markers first.
--   Reads      results.detection, by (capture_id, bbox)
--   Writes     pg_temp.batch_detection
--   Locks      none
--   Raises     RS007 if a box was neither inserted nor found: its reserved id belongs to another row
--   Notes      It looks up by index whatever the statistics say, as results.resolve_detections does.
CREATE OR REPLACE FUNCTION results.adopt_detections()
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE pg_temp.batch_detection b SET known = true, detection_id = f.id, occurrence_id = f.occurrence_id
    FROM pg_temp.batch_detection n
    CROSS JOIN LATERAL (
        SELECT d.id, d.occurrence_id FROM results.detection d
        WHERE d.capture_id = n.capture_id AND d.id <> n.detection_id
          AND (d.bbox = n.bbox OR d.bbox IS NULL AND n.bbox IS NULL AND d.algorithm_id + 0 = n.algorithm_id)
        OFFSET 0) f
    WHERE NOT n.known AND b.det = n.det;

    -- Classifications would be written to somebody else's detection.
    IF EXISTS (
        SELECT FROM pg_temp.batch_detection b
        WHERE NOT b.known AND (   -- a count is always looked up by index
            SELECT count(*) FROM results.detection d
            WHERE d.id = b.detection_id AND d.capture_id = b.capture_id AND d.bbox IS NOT DISTINCT FROM b.bbox) = 0) THEN
        PERFORM results.fail('RS007', 'A detection was neither inserted nor found: the sequence of results.detection is behind its'
                                      ' rows, or a trigger leaves rows out.');
    END IF;
END
$$;
COMMENT ON FUNCTION results.adopt_detections() IS 'take the rows of another writer who was first with the same boxes';
