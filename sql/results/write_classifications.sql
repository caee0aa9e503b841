-- results.write_classifications: insert the classifications that do not exist.
--   Returns    whether some existed
--   Reads      pg_temp.stage_classification, batch_detection, batch_taxon; results.algorithm
--   Writes     results.classification
--   Locks      new rows. Batches with the same detections already wait for each other in results.complete_detections
--   Notes      Within a detection, ids follow the order in the message, because results.determine prefers the lowest. Stage tables
--              are joined by hash, because estimates for them are unreliable.
CREATE OR REPLACE FUNCTION results.write_classifications()
RETURNS boolean LANGUAGE plpgsql
SET enable_nestloop = off AS $$
DECLARE
    wanted bigint;
    made   bigint;
BEGIN
    SELECT count(*) INTO wanted FROM pg_temp.stage_classification c JOIN pg_temp.batch_detection b ON b.det = c.det;
    INSERT INTO results.classification (detection_id, taxon_id, algorithm_id, score, terminal, scores, logits,
                                        score_classes, logit_classes, classified_at)
    SELECT b.detection_id, t.taxon_id, a.id, c.score, c.terminal, c.scores, c.logits,
           c.score_classes, c.logit_classes, c.classified_at
    FROM pg_temp.stage_classification c
    JOIN pg_temp.batch_detection b ON b.det = c.det
    JOIN pg_temp.batch_taxon t ON t.label = c.label
    JOIN results.algorithm a ON a.key = c.algorithm
    ORDER BY b.detection_id, c.cls
    ON CONFLICT (detection_id, taxon_id, algorithm_id, score) DO NOTHING;
    GET DIAGNOSTICS made = ROW_COUNT;
    RETURN made < wanted;
END
$$;
COMMENT ON FUNCTION results.write_classifications() IS 'insert the classifications that do not exist';
