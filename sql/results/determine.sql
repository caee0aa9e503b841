-- results.determine: write the determination of occurrences: a person's, otherwise the best of the algorithms'.
--   Parameters occurrences: ids; unknown and repeated ones are allowed
--   Returns    how many changed
--   Reads      results.identification, detection, classification
--   Writes     results.occurrence.determination_id, determination_score, where they differ
--   Locks      the occurrences, in the order of their ids; everything is read after they are locked
--   Notes      The latest identification that is not withdrawn wins, with score 1.0. Otherwise each algorithm's best-scoring
--              classification is a candidate, and the first by terminal, score, lowest id wins. Without either: NULL.
--              Every look-up is by index, because statistics may be out of date, and a kept plan be made for empty tables.
CREATE OR REPLACE FUNCTION results.determine(occurrences bigint[])
RETURNS bigint LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off AS $$
DECLARE
    changed bigint;
BEGIN
    PERFORM FROM results.occurrence o WHERE o.id = ANY (occurrences) ORDER BY o.id FOR NO KEY UPDATE;

    UPDATE results.occurrence o SET determination_id = n.taxon_id, determination_score = n.score
    FROM (
        SELECT id, coalesce(person.taxon_id, model.taxon_id) AS taxon_id,
               CASE WHEN person.taxon_id IS NOT NULL THEN 1.0 ELSE model.score END AS score
        FROM (SELECT DISTINCT unnest(occurrences)) AS wanted (id)
        LEFT JOIN LATERAL (
            SELECT i.taxon_id FROM results.identification i
            WHERE i.occurrence_id = wanted.id AND NOT i.withdrawn
            ORDER BY i.created_at DESC, i.id DESC LIMIT 1) person ON true
        LEFT JOIN LATERAL (
            SELECT ranked.taxon_id, ranked.score
            FROM (SELECT c.id, c.taxon_id, c.score, c.terminal,
                         rank() OVER (PARTITION BY c.algorithm_id ORDER BY c.score DESC) AS place
                  FROM results.detection d
                  CROSS JOIN LATERAL (SELECT k.* FROM results.classification k WHERE k.detection_id = d.id OFFSET 0) c
                  WHERE d.occurrence_id = wanted.id) ranked
            WHERE ranked.place = 1
            ORDER BY ranked.terminal DESC, ranked.score DESC, ranked.id LIMIT 1) model ON person.taxon_id IS NULL
        ) n
    WHERE o.id = n.id
      AND (o.determination_id, o.determination_score) IS DISTINCT FROM (n.taxon_id, n.score);
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION results.determine(bigint[]) IS 'write the determination of occurrences: a person''s, else the best of the models''';

-- results.identified: determine occurrences again in the transaction in which a person identifies, changes or withdraws.
CREATE OR REPLACE FUNCTION results.identified()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM results.determine(ARRAY(SELECT n.occurrence_id FROM new_rows n));
    ELSIF TG_OP = 'UPDATE' THEN
        PERFORM results.determine(ARRAY(SELECT n.occurrence_id FROM new_rows n UNION SELECT o.occurrence_id FROM old_rows o));
    ELSE
        PERFORM results.determine(ARRAY(SELECT o.occurrence_id FROM old_rows o));
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER determine_inserted AFTER INSERT ON results.identification
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION results.identified();
CREATE OR REPLACE TRIGGER determine_updated AFTER UPDATE ON results.identification
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION results.identified();
CREATE OR REPLACE TRIGGER determine_deleted AFTER DELETE ON results.identification
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION results.identified();
