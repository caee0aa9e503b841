-- results.job_fact_def: the rows that the progress of jobs adds up. One row per job (capture_id 0) with its total, and one per
-- capture that the job processed or failed on.
--   Columns    detections: those of a processed capture with a box; classifications: of a processed capture, by algorithms of
--              the job's pipeline
CREATE OR REPLACE VIEW results.job_fact_def AS
SELECT j.id AS job_id, 0::bigint AS capture_id, j.total_captures AS total, 0 AS processed, 0 AS failed,
       0 AS captures_with_detections, 0 AS detections, 0 AS classifications
FROM results.job j
UNION ALL
SELECT jc.job_id, jc.capture_id, 0, (jc.status = 'processed')::int, (jc.status = 'failed')::int,
       (seen.detections > 0)::int, seen.detections, seen.classifications
FROM results.job_capture jc
JOIN results.job j ON j.id = jc.job_id
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE d.bbox IS NOT NULL)::int AS detections, coalesce(sum(made.classifications), 0)::int AS classifications
    FROM results.detection d
    CROSS JOIN LATERAL (
        SELECT count(*) AS classifications
        FROM results.classification k
        WHERE k.detection_id = d.id
          AND k.algorithm_id IN (SELECT pa.algorithm_id FROM results.pipeline_algorithm pa WHERE pa.pipeline_id = j.pipeline_id)) made
    WHERE d.capture_id = jc.capture_id AND jc.status = 'processed') seen;
COMMENT ON VIEW results.job_fact_def IS 'what the progress of jobs is made of: a row per job, and per capture it processed or failed on';
