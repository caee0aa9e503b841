-- results.complete_classifications: fill in scores and logits that existing classifications lack.
--   Reads      pg_temp.stage_classification, batch_detection, batch_taxon; results.algorithm
--   Writes     results.classification.scores, logits: the first values in the batch
--   Locks      its rows. Batches with the same detections already wait for each other in results.complete_detections
--   Notes      It looks up by index whatever the statistics say, as results.resolve_detections does.
CREATE OR REPLACE FUNCTION results.complete_classifications()
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE results.classification k 
        SET scores = coalesce(k.scores, n.scores),
            score_classes = CASE WHEN k.scores IS NULL THEN n.score_classes ELSE k.score_classes END,
            logits = coalesce(k.logits, n.logits),
            logit_classes = CASE WHEN k.logits IS NULL THEN n.logit_classes ELSE k.logit_classes END
    FROM (SELECT b.detection_id, t.taxon_id, a.id AS algorithm_id, c.score,
                 (array_agg(c.cls ORDER BY c.cls) FILTER (WHERE c.scores IS NOT NULL))[1] AS scores_cls,
                 (array_agg(c.cls ORDER BY c.cls) FILTER (WHERE c.logits IS NOT NULL))[1] AS logits_cls
          FROM pg_temp.stage_classification c
          JOIN pg_temp.batch_detection b ON b.det = c.det
          JOIN pg_temp.batch_taxon t ON t.label = c.label
          JOIN results.algorithm a ON a.key = c.algorithm
          GROUP BY 1, 2, 3, 4) g
    LEFT JOIN LATERAL (SELECT s.scores, s.score_classes FROM pg_temp.stage_classification s WHERE s.cls = g.scores_cls) s ON true
    LEFT JOIN LATERAL (SELECT l.logits, l.logit_classes FROM pg_temp.stage_classification l WHERE l.cls = g.logits_cls) l ON true
    CROSS JOIN LATERAL (SELECT s.scores, s.score_classes, l.logits, l.logit_classes) n
    CROSS JOIN LATERAL (
        SELECT c.id FROM results.classification c
        WHERE c.detection_id = g.detection_id AND c.taxon_id + 0 = g.taxon_id AND c.algorithm_id + 0 = g.algorithm_id
          AND c.score = g.score
        OFFSET 0) f
    WHERE k.id = f.id
      AND (k.scores IS NULL AND n.scores IS NOT NULL OR k.logits IS NULL AND n.logits IS NOT NULL);
END
$$;
COMMENT ON FUNCTION results.complete_classifications() IS 'fill in scores and logits that existing classifications lack';
