-- results.judge_messages: decide which messages can be applied.
--   Reads      pg_temp.stage_*, results.job, pipeline, pipeline_algorithm, algorithm, capture
--   Writes     pg_temp.batch_reject: one row per rejected message, with the first error found;
--              pg_temp.batch_message: the other result messages
--   Locks      none
CREATE OR REPLACE FUNCTION results.judge_messages()
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO pg_temp.batch_reject (msg, sqlstate, reason)
    WITH message AS (
        SELECT m.msg, m.job_id, j.project_id, m.pipeline, true AS is_result
        FROM pg_temp.stage_message m LEFT JOIN results.job j ON j.id = m.job_id
        UNION ALL
        SELECT e.msg, e.job_id, j.project_id, NULL, false
        FROM pg_temp.stage_error e LEFT JOIN results.job j ON j.id = e.job_id
    ), named_capture AS (
        SELECT i.msg, i.capture_id FROM pg_temp.stage_image i
        UNION SELECT d.msg, d.capture_id FROM pg_temp.stage_detection d
        UNION SELECT e.msg, e.capture_id FROM pg_temp.stage_error e WHERE e.capture_id IS NOT NULL
    ), named_algorithm AS (
        SELECT d.algorithm AS key FROM pg_temp.stage_detection d
        UNION SELECT c.algorithm FROM pg_temp.stage_classification c
    ), unknown_algorithm AS (
        SELECT coalesce(n.key, '') AS key FROM named_algorithm n
        WHERE NOT EXISTS (SELECT FROM results.algorithm a WHERE a.key = n.key)
    ), fault (msg, sqlstate, reason) AS (
        SELECT m.msg, 'RS001', format('There is no job %s.', coalesce(m.job_id::text, 'in the subject'))
        FROM message m WHERE m.project_id IS NULL
        UNION ALL
        SELECT m.msg, 'RS002', format('There is no pipeline %L.', m.pipeline)
        FROM message m
        WHERE m.is_result AND NOT EXISTS (SELECT FROM results.pipeline p WHERE p.slug = m.pipeline)
        UNION ALL
        SELECT d.msg, 'RS003', format('There is no algorithm with key %L.', u.key)
        FROM unknown_algorithm u JOIN pg_temp.stage_detection d ON coalesce(d.algorithm, '') = u.key
        UNION ALL
        SELECT d.msg, 'RS003', format('There is no algorithm with key %L.', u.key)
        FROM unknown_algorithm u
        JOIN pg_temp.stage_classification c ON coalesce(c.algorithm, '') = u.key
        JOIN pg_temp.stage_detection d ON d.det = c.det
        UNION ALL
        SELECT m.msg, CASE WHEN c.id IS NULL THEN 'RS004' ELSE 'RS005' END,
               CASE WHEN c.id IS NULL THEN format('There is no capture %s.', n.capture_id)
                    ELSE format('Capture %s belongs to project %s, job %s to project %s.', c.id, c.project_id, m.job_id, m.project_id) END
        FROM named_capture n JOIN message m ON m.msg = n.msg
        LEFT JOIN LATERAL (SELECT c.id, c.project_id FROM results.capture c WHERE c.id = n.capture_id OFFSET 0) c ON true
        WHERE c.project_id IS DISTINCT FROM m.project_id AND m.project_id IS NOT NULL
        UNION ALL
        SELECT m.msg, 'RS006', format('Pipeline %L has %s algorithms that find, not one.', m.pipeline, f.finders)
        FROM message m JOIN results.finder f ON f.slug = m.pipeline WHERE f.finders <> 1
    )
    SELECT DISTINCT ON (fault.msg) fault.msg, fault.sqlstate, fault.reason FROM fault ORDER BY fault.msg, fault.sqlstate, fault.reason;

    INSERT INTO pg_temp.batch_message (msg, job_id, finder_id, errors)
    SELECT m.msg, m.job_id, f.algorithm_id, m.errors
    FROM pg_temp.stage_message m JOIN results.finder f ON f.slug = m.pipeline
    WHERE NOT EXISTS (SELECT FROM pg_temp.batch_reject r WHERE r.msg = m.msg);
END
$$;
COMMENT ON FUNCTION results.judge_messages() IS 'tell the messages that can be applied from those that cannot';
