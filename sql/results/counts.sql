-- The counts, and the tables that they are kept from. Each results.<name> declared here is a stored table, with its live view
-- <name>_live and its oracle <name>_def. They are declared once; running this file again changes nothing.
--   results.fact      capture_counts, event_counts, deployment_counts, project_counts, taxon_counts
--   results.job_fact  job_progress
DO $declare$
BEGIN
    IF tally.exists('results.fact') THEN
        RETURN;
    END IF;
    PERFORM tally.create_projection('results.fact', 'results.fact_def', key => '{kind,id}');

    -- columns and expands are derived from fact_def: SELECT * FROM tally.explain('results.fact') shows them
    PERFORM tally.watch('results.fact', s.relation)
    FROM unnest('{results.deployment,results.event,results.capture,results.detection,results.occurrence,results.project,
                  results.project_included_taxon,results.project_excluded_taxon,results.taxon}'::regclass[]) AS s (relation);

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
    PERFORM tally.watch('results.job_fact', s.relation)
    FROM unnest('{results.job,results.job_capture,results.detection,results.classification,results.pipeline_algorithm}'::regclass[]) AS s (relation);
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
