-- results.fact_def: the rows that counts add up. One row per project, deployment, event, capture and occurrence, with its
-- contribution to the counts of its project, deployment and event: zero if it contributes nothing, never NULL.
--   Notes      Each arm finds its key by an index of its base table, and is skipped for keys of another kind.
--              A row of kind project, deployment or event makes sure that it has counts, even if they are zero.
--   Columns    taxon_id, score and last_detected_at only if the occurrence passes and has an event;
--              occurrences: passes and has an event (its deployment's and event's count);
--              determined: passes, has a real detection and a determination (the project's count);
--              detections: of a capture: those with a box whose occurrence passes
CREATE OR REPLACE VIEW results.fact_def AS
SELECT 'project'::results.fact_kind AS kind, p.id, p.id AS project_id, NULL::bigint AS deployment_id, NULL::bigint AS event_id,
       NULL::bigint AS capture_id, 0 AS events, 0 AS captures, 0::bigint AS bytes, NULL::timestamptz AS captured_at,
       0 AS detections, false AS processed, 0 AS occurrences, 0 AS determined,
       NULL::bigint AS taxon_id, NULL::float8 AS score, NULL::timestamptz AS last_detected_at
FROM results.project p
UNION ALL
SELECT 'deployment'::results.fact_kind, d.id, d.project_id, d.id, NULL, NULL, 0, 0, 0, NULL, 0, false, 0, 0, NULL, NULL, NULL
FROM results.deployment d
UNION ALL
SELECT 'event'::results.fact_kind, e.id, e.project_id, e.deployment_id, e.id, NULL, 1, 0, 0, NULL, 0, false, 0, 0, NULL, NULL, NULL
FROM results.event e
UNION ALL
SELECT 'capture'::results.fact_kind, c.id, c.project_id, c.deployment_id, c.event_id, c.id, 0, 1, coalesce(c.byte_size, 0),
       c.captured_at, seen.detections, seen.processed, 0, 0, NULL, NULL, NULL
FROM results.capture c
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE d.bbox IS NOT NULL AND o.passes)::int AS detections, count(*) > 0 AS processed
    FROM results.detection d LEFT JOIN results.occurrence_pass o ON o.id = d.occurrence_id
    WHERE d.capture_id = c.id) seen
UNION ALL
SELECT 'occurrence'::results.fact_kind, o.id, o.project_id, o.deployment_id, o.event_id, NULL, 0, 0, 0, NULL, 0, false,
       counts.in_event::int,
       (counts.passes AND o.determination_id IS NOT NULL AND seen.real)::int,
       CASE WHEN counts.in_event THEN o.determination_id END,
       CASE WHEN counts.in_event THEN o.determination_score END,
       CASE WHEN counts.in_event THEN seen.last_detected_at END
FROM results.occurrence_pass o
CROSS JOIN LATERAL (SELECT o.passes AS passes OFFSET 0) pass   -- evaluated once
CROSS JOIN LATERAL (SELECT pass.passes, pass.passes AND o.event_id IS NOT NULL AS in_event) counts
CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(d.bbox IS NOT NULL), false) AS real, max(d.detected_at) AS last_detected_at
    FROM results.detection d WHERE d.occurrence_id = o.id) seen;
COMMENT ON VIEW results.fact_def IS 'what counts are made of: a row per project, deployment, event, capture and occurrence';
