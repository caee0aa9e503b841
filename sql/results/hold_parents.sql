-- results.hold_parents: check the foreign keys of a batch's new rows before they are written, and keep their parents until the transaction
-- ends: what the triggers of these keys do for every row, done once for every parent.
--   Reads      pg_temp.stage_*, batch_message, batch_reject, batch_detection, batch_taxon
--   Locks      FOR KEY SHARE, as foreign keys do: those of results.hold_places, then capture, job, taxon and algorithm, each in the order of its ids.
--              Whoever deletes one of them waits, and then finds the rows of this batch; or this waits for him, and then raises
--   Raises     foreign_key_violation if one was deleted since it was found, so that the batch is tried again
--   Notes      A lock also keeps the key of an algorithm as it is, so that who looks it up again finds the same row. Every look-up is by
--              index, because statistics may be out of date.
CREATE OR REPLACE FUNCTION results.hold_parents()
RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    failed   bigint[] := ARRAY(SELECT e.msg FROM pg_temp.stage_error e
                               WHERE e.capture_id IS NOT NULL AND NOT EXISTS (SELECT FROM pg_temp.batch_reject r WHERE r.msg = e.msg));
    lost     text := results.hold_places();
    ids      bigint[];
    keys     text[];
BEGIN
    IF lost IS NOT NULL THEN
        PERFORM results.lost_parent(lost);
    END IF;

    ids := ARRAY(SELECT b.capture_id FROM pg_temp.batch_detection b
                 UNION SELECT i.capture_id FROM pg_temp.batch_message m JOIN pg_temp.stage_image i ON i.msg = m.msg
                 UNION SELECT e.capture_id FROM pg_temp.stage_error e WHERE e.msg = ANY (failed));
    IF (SELECT count(*) FROM (SELECT FROM results.capture c WHERE c.id = ANY (ids) ORDER BY c.id FOR KEY SHARE) held) < cardinality(ids) THEN
        PERFORM results.lost_parent('capture');
    END IF;

    ids := ARRAY(SELECT m.job_id FROM pg_temp.batch_message m
                 UNION SELECT e.job_id FROM pg_temp.stage_error e WHERE e.msg = ANY (failed));
    IF (SELECT count(*) FROM (SELECT FROM results.job j WHERE j.id = ANY (ids) ORDER BY j.id FOR KEY SHARE) held) < cardinality(ids) THEN
        PERFORM results.lost_parent('job');
    END IF;

    ids := ARRAY(SELECT DISTINCT t.taxon_id FROM pg_temp.batch_taxon t WHERE t.taxon_id IS NOT NULL);
    IF (SELECT count(*) FROM (SELECT FROM results.taxon t WHERE t.id = ANY (ids) ORDER BY t.id FOR KEY SHARE) held) < cardinality(ids) THEN
        PERFORM results.lost_parent('taxon');
    END IF;

    keys := ARRAY(SELECT DISTINCT c.algorithm FROM pg_temp.stage_classification c JOIN pg_temp.batch_detection b ON b.det = c.det);
    ids := ARRAY(SELECT b.algorithm_id FROM pg_temp.batch_detection b
                 UNION SELECT a.id FROM results.algorithm a WHERE a.key = ANY (keys));
    IF (SELECT count(*) FROM (SELECT FROM results.algorithm a WHERE a.id = ANY (ids) ORDER BY a.id FOR KEY SHARE) held) < cardinality(ids)
       OR (SELECT count(*) FROM results.algorithm a WHERE a.key = ANY (keys) AND a.id = ANY (ids)) < cardinality(keys) THEN
        PERFORM results.lost_parent('algorithm');
    END IF;
END
$$;
COMMENT ON FUNCTION results.hold_parents() IS 'check the foreign keys of a batch set by set, and keep the parents';

-- results.hold_detections: the same for the known detections, which results.complete_detections has locked.
CREATE OR REPLACE FUNCTION results.hold_detections()
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_temp.batch_detection b
               WHERE b.known AND NOT EXISTS (SELECT FROM results.detection d WHERE d.id = b.detection_id OFFSET 0)) THEN
        PERFORM results.lost_parent('detection');
    END IF;
END
$$;
COMMENT ON FUNCTION results.hold_detections() IS 'check that the known detections of a batch are still there';

-- results.hold_determinations: the same for the taxa of occurrences that were determined again.
--   Locks      the taxa FOR KEY SHARE, in the order of their ids
--   Notes      results.determine takes a taxon from a classification. Whoever deletes that taxon deletes the classification, but did not see
--              the new determination. So the taxon is looked up again once it is locked.
CREATE OR REPLACE FUNCTION results.hold_determinations(occurrences bigint[])
RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    ids bigint[] := ARRAY(SELECT DISTINCT o.determination_id FROM results.occurrence o
                          WHERE o.id = ANY (occurrences) AND o.determination_id IS NOT NULL);
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM results.taxon t WHERE t.id = ANY (ids) ORDER BY t.id FOR KEY SHARE) held) < cardinality(ids) THEN
        PERFORM results.lost_parent('taxon');
    END IF;
END
$$;
COMMENT ON FUNCTION results.hold_determinations(bigint[]) IS 'check the taxa of occurrences that a batch has determined again';

-- results.lost_parent: raise what a foreign key would raise.
CREATE OR REPLACE FUNCTION results.lost_parent(parent text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
        MESSAGE = format('A row of results.%s was deleted while a batch that needs it was written.', parent),
        HINT = 'Send the batch again.';
END
$$;
