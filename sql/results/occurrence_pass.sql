-- results.occurrence_pass: the filter of every count, pass(o), for every occurrence. The rule is written only here.
--   passes     its score reaches the project's threshold (inclusive; a NULL score fails); if the project includes any taxa,
--              the determination or one of its ancestors is among them; none of them is excluded (exclusion beats
--              inclusion; without a determination nothing is excluded)
--   Notes      It only does look-ups by index, so its cost for one occurrence is constant.
CREATE OR REPLACE VIEW results.occurrence_pass AS
SELECT o.id, o.project_id, o.deployment_id, o.event_id, o.determination_id, o.determination_score,
       coalesce(o.determination_score >= p.score_threshold, false)
       AND (NOT EXISTS (SELECT FROM results.project_included_taxon i WHERE i.project_id = o.project_id)
            OR EXISTS (SELECT FROM results.project_included_taxon i
                       WHERE i.project_id = o.project_id AND i.taxon_id = ANY (t.ancestor_ids || t.id)))
       AND NOT EXISTS (SELECT FROM results.project_excluded_taxon e
                       WHERE e.project_id = o.project_id AND e.taxon_id = ANY (t.ancestor_ids || t.id)) AS passes
FROM results.occurrence o
JOIN results.project p ON p.id = o.project_id
LEFT JOIN results.taxon t ON t.id = o.determination_id;
COMMENT ON VIEW results.occurrence_pass IS 'pass(o): which occurrences the counts count';
