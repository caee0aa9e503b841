-- results.write_job_captures: store for every capture in a message whether the job processed it or failed on it.
--   Reads      pg_temp.batch_message, batch_reject, stage_image, stage_detection, stage_error
--   Writes     results.job_capture: failed may become processed, but not the reverse; the first error is kept
--   Locks      its rows, in the order (job_id, capture_id)
--   Notes      The captures of a message with errors have failed, except those for which it has a detection.
CREATE OR REPLACE FUNCTION results.write_job_captures()
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO results.job_capture AS jc (job_id, capture_id, status, error)
    SELECT s.job_id, s.capture_id,
           CASE WHEN bool_or(s.processed) THEN 'processed' ELSE 'failed' END,
           CASE WHEN NOT bool_or(s.processed) THEN (array_agg(s.error ORDER BY s.msg))[1] END
    FROM (SELECT m.job_id, i.capture_id, m.errors IS NULL AS processed, m.errors AS error, m.msg
          FROM pg_temp.batch_message m JOIN pg_temp.stage_image i ON i.msg = m.msg
          UNION ALL
          SELECT m.job_id, d.capture_id, true, NULL, m.msg
          FROM pg_temp.batch_message m JOIN pg_temp.stage_detection d ON d.msg = m.msg
          UNION ALL
          SELECT e.job_id, e.capture_id, false, e.error, e.msg
          FROM pg_temp.stage_error e
          WHERE e.capture_id IS NOT NULL AND NOT EXISTS (SELECT FROM pg_temp.batch_reject r WHERE r.msg = e.msg)) s
    GROUP BY s.job_id, s.capture_id
    ORDER BY s.job_id, s.capture_id
    ON CONFLICT (job_id, capture_id) DO UPDATE SET status = 'processed', error = NULL
        WHERE excluded.status = 'processed' AND jc.status = 'failed';
END
$$;
COMMENT ON FUNCTION results.write_job_captures() IS 'say of every capture that a message names whether the job processed it or failed on it';
