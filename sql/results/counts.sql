-- The counts, and what makes them change. Each results.<name> declared here is a stored table with its exact twin
-- <name>_live and its oracle <name>_def. Declared once: later runs change nothing.
--   results.fact      capture_counts, event_counts, deployment_counts, project_counts, taxon_counts
--   results.job_fact  job_progress
DO $declare$
BEGIN
    IF tally.exists('results.fact') THEN
        RETURN;
    END IF;
    PERFORM tally.create_projection('results.fact', 'results.fact_def', key => '{kind,id}');

    -- what changes a row of its own
    PERFORM tally.watch('results.fact', 'results.deployment', '{id}', expand => $$ SELECT 'deployment'::results.fact_kind, id FROM changed $$);
    PERFORM tally.watch('results.fact', 'results.event', '{id}', expand => $$ SELECT 'event'::results.fact_kind, id FROM changed $$);
    PERFORM tally.watch('results.fact', 'results.capture', '{id}', expand => $$ SELECT 'capture'::results.fact_kind, id FROM changed $$);
    PERFORM tally.watch('results.fact', 'results.detection', '{capture_id,occurrence_id}', expand => $$
        SELECT 'capture'::results.fact_kind, capture_id FROM changed
        UNION ALL
        SELECT 'occurrence'::results.fact_kind, occurrence_id FROM changed WHERE occurrence_id IS NOT NULL $$);
    PERFORM tally.watch('results.fact', 'results.occurrence', '{id}', expand => $$
        SELECT 'occurrence'::results.fact_kind, id FROM changed
        UNION ALL
        SELECT 'capture'::results.fact_kind, d.capture_id FROM results.detection d JOIN changed c ON d.occurrence_id = c.id $$);

    -- what changes whether occurrences pass, and so their captures
    PERFORM tally.watch('results.fact', 'results.project', '{id}', expand => $$
        SELECT 'project'::results.fact_kind, id FROM changed
        UNION ALL
        SELECT 'occurrence'::results.fact_kind, o.id FROM results.occurrence o JOIN changed c ON o.project_id = c.id
        UNION ALL
        SELECT 'capture'::results.fact_kind, d.capture_id
        FROM changed c JOIN results.occurrence o ON o.project_id = c.id JOIN results.detection d ON d.occurrence_id = o.id $$);
    PERFORM tally.watch('results.fact', l.relation, '{project_id}', expand => $$
        SELECT 'occurrence'::results.fact_kind, o.id FROM results.occurrence o JOIN changed c ON o.project_id = c.project_id
        UNION ALL
        SELECT 'capture'::results.fact_kind, d.capture_id
        FROM changed c JOIN results.occurrence o ON o.project_id = c.project_id JOIN results.detection d ON d.occurrence_id = o.id $$)
    FROM (VALUES ('results.project_included_taxon'::regclass), ('results.project_excluded_taxon')) AS l (relation);
    PERFORM tally.watch('results.fact', 'results.taxon', '{id}', expand => $$
        SELECT 'occurrence'::results.fact_kind, o.id FROM results.occurrence o JOIN changed c ON o.determination_id = c.id
        UNION ALL
        SELECT 'capture'::results.fact_kind, d.capture_id
        FROM changed c JOIN results.occurrence o ON o.determination_id = c.id JOIN results.detection d ON d.occurrence_id = o.id $$);

    PERFORM tally.create_rollup('results.capture_counts', 'results.fact', '{capture_id}', '{
        "detections": "sum(detections)",
        "processed":  "bool_or(processed)"}', filter => 'capture_id IS NOT NULL');
    PERFORM tally.create_rollup('results.event_counts', 'results.fact', '{event_id}', '{
        "captures":          "sum(captures)",
        "first_captured_at": "min(captured_at)",
        "last_captured_at":  "max(captured_at)",
        "detections":        "sum(detections)",
        "occurrences":       "sum(occurrences)",
        "taxa":              "count(distinct taxon_id)"}', filter => 'event_id IS NOT NULL');
    PERFORM tally.create_rollup('results.deployment_counts', 'results.fact', '{deployment_id}', '{
        "events":            "sum(events)",
        "captures":          "sum(captures)",
        "bytes":             "sum(bytes)",
        "first_captured_at": "min(captured_at)",
        "last_captured_at":  "max(captured_at)",
        "detections":        "sum(detections)",
        "occurrences":       "sum(occurrences)",
        "taxa":              "count(distinct taxon_id)"}', filter => 'deployment_id IS NOT NULL');
    PERFORM tally.create_rollup('results.project_counts', 'results.fact', '{project_id}', '{
        "captures":    "sum(captures)",
        "detections":  "sum(detections)",
        "occurrences": "sum(determined)",
        "taxa":        "count(distinct taxon_id)"}');
    PERFORM tally.create_rollup('results.taxon_counts', 'results.fact', '{project_id,taxon_id}', '{
        "occurrences":      "sum(occurrences)",
        "best_score":       "max(score)",
        "last_detected_at": "max(last_detected_at)"}', filter => 'taxon_id IS NOT NULL');
    PERFORM tally.activate('results.fact');
END
$declare$;

DO $declare$
BEGIN
    IF tally.exists('results.job_fact') THEN
        RETURN;
    END IF;
    PERFORM tally.create_projection('results.job_fact', 'results.job_fact_def', key => '{job_id,capture_id}');
    PERFORM tally.watch('results.job_fact', 'results.job', '{id}', expand => $$
        SELECT id, 0::bigint FROM changed
        UNION ALL
        SELECT jc.job_id, jc.capture_id FROM results.job_capture jc JOIN changed c ON jc.job_id = c.id $$);
    PERFORM tally.watch('results.job_fact', 'results.job_capture', '{job_id,capture_id}');
    PERFORM tally.watch('results.job_fact', 'results.detection', '{capture_id}', expand => $$
        SELECT jc.job_id, jc.capture_id FROM results.job_capture jc JOIN changed c ON jc.capture_id = c.capture_id $$);
    PERFORM tally.watch('results.job_fact', 'results.classification', '{detection_id}', expand => $$
        SELECT jc.job_id, jc.capture_id
        FROM changed c JOIN results.detection d ON d.id = c.detection_id JOIN results.job_capture jc ON jc.capture_id = d.capture_id $$);
    PERFORM tally.watch('results.job_fact', 'results.pipeline_algorithm', '{pipeline_id}', expand => $$
        SELECT jc.job_id, jc.capture_id
        FROM changed c JOIN results.job j ON j.pipeline_id = c.pipeline_id JOIN results.job_capture jc ON jc.job_id = j.id $$);
    PERFORM tally.create_rollup('results.job_progress', 'results.job_fact', '{job_id}', '{
        "total":                    "sum(total)",
        "processed":                "sum(processed)",
        "failed":                   "sum(failed)",
        "captures_with_detections": "sum(captures_with_detections)",
        "detections":               "sum(detections)",
        "classifications":          "sum(classifications)"}');
    PERFORM tally.activate('results.job_fact');
END
$declare$;
