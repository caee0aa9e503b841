-- results.complete_detections: add what existing detections lack and a message has: a crop_url, an occurrence.
--   Reads      pg_temp.batch_detection
--   Writes     results.detection, results.occurrence; pg_temp.batch_detection.occurrence_id
--   Locks      all known detections of the batch, in the order of their ids. So two batches with the same ones classify and
--              determine them one after the other
CREATE OR REPLACE FUNCTION results.complete_detections()
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_temp.batch_detection b WHERE b.known OR b.det <> b.first_det) THEN
        RETURN;
    END IF;
    PERFORM FROM results.detection d
    WHERE d.id = ANY (ARRAY(SELECT b.detection_id FROM pg_temp.batch_detection b WHERE b.known))
    ORDER BY d.id FOR NO KEY UPDATE;

    UPDATE results.detection d SET crop_url = n.crop_url
    FROM (SELECT DISTINCT ON (b.detection_id) b.detection_id, b.crop_url
          FROM pg_temp.batch_detection b WHERE b.crop_url IS NOT NULL AND (b.known OR b.det <> b.first_det)
          ORDER BY b.detection_id, b.det) n
    WHERE d.id = n.detection_id AND coalesce(d.crop_url, '') = '';

    -- read again under the lock, because another batch may have set it in the meantime
    WITH lonely AS (
        SELECT DISTINCT ON (b.detection_id) b.detection_id, nextval('results.occurrence_id_seq') AS occurrence_id,
               b.project_id, b.deployment_id, b.event_id
        FROM pg_temp.batch_detection b JOIN results.detection d ON d.id = b.detection_id
        WHERE b.known AND d.bbox IS NOT NULL AND d.occurrence_id IS NULL
    ), given AS (
        UPDATE results.detection d SET occurrence_id = l.occurrence_id FROM lonely l WHERE d.id = l.detection_id
    )
    INSERT INTO results.occurrence (id, project_id, deployment_id, event_id)
    SELECT l.occurrence_id, l.project_id, l.deployment_id, l.event_id FROM lonely l;

    UPDATE pg_temp.batch_detection b SET occurrence_id = d.occurrence_id
    FROM results.detection d
    WHERE b.known AND d.id = b.detection_id AND d.occurrence_id IS DISTINCT FROM b.occurrence_id;
END
$$;
COMMENT ON FUNCTION results.complete_detections() IS 'fill in what is missing in detections that were found again';
