-- results.hold_places: keep the projects, deployments and events of a batch until the transaction ends, before anything below them is locked. So
-- whoever deletes one of them, and with it what is in it, never waits for a batch that waits for him.
--   Returns    the table in which one was deleted since it was found; otherwise NULL
--   Reads      pg_temp.batch_detection
--   Locks      FOR KEY SHARE, as foreign keys do: project, deployment and event, each in the order of its ids
CREATE OR REPLACE FUNCTION results.hold_places()
RETURNS text LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    ids  bigint[] := ARRAY(SELECT DISTINCT b.project_id FROM pg_temp.batch_detection b);
    lost text;
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM results.project p WHERE p.id = ANY (ids) ORDER BY p.id FOR KEY SHARE) held) < cardinality(ids) THEN
        lost := 'project';
    END IF;
    ids := ARRAY(SELECT DISTINCT b.deployment_id FROM pg_temp.batch_detection b WHERE b.deployment_id IS NOT NULL);
    IF (SELECT count(*) FROM (SELECT FROM results.deployment d WHERE d.id = ANY (ids) ORDER BY d.id FOR KEY SHARE) held) < cardinality(ids) THEN
        lost := coalesce(lost, 'deployment');
    END IF;
    ids := ARRAY(SELECT DISTINCT b.event_id FROM pg_temp.batch_detection b WHERE b.event_id IS NOT NULL);
    IF (SELECT count(*) FROM (SELECT FROM results.event e WHERE e.id = ANY (ids) ORDER BY e.id FOR KEY SHARE) held) < cardinality(ids) THEN
        lost := coalesce(lost, 'event');
    END IF;
    RETURN lost;
END
$$;
COMMENT ON FUNCTION results.hold_places() IS 'keep the projects, deployments and events of a batch';
