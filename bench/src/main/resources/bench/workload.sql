-- What the benches write: installed into a database of their own, never into a user's.
CREATE SCHEMA bench;

-- bench.seed: a project with 3,000 species, 10 deployments, nights of 200 captures and a job.
CREATE FUNCTION bench.seed(captures integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO results.project (id, name) VALUES (1, 'bench');
    INSERT INTO results.taxon (name, rank) SELECT 'Genus ' || i, 'GENUS' FROM generate_series(1, 300) i;
    INSERT INTO results.taxon (name, rank, parent_id)
    SELECT format('Genus %s species %s', t.id, i), 'SPECIES', t.id FROM results.taxon t, generate_series(1, 10) i;
    INSERT INTO results.deployment (project_id, name) SELECT 1, 'deployment ' || i FROM generate_series(1, 10) i;
    INSERT INTO results.event (project_id, deployment_id, group_by)
    SELECT 1, d.id, 'night ' || n FROM results.deployment d, generate_series(1, 1 + captures / 2000) n;
    INSERT INTO results.capture (project_id, deployment_id, event_id, path, captured_at, byte_size)
    SELECT 1, e.deployment_id, e.id, format('%s/%s.jpg', e.id, i), timestamptz '2026-06-01 22:00Z' + e.id * interval '1 day' + i * interval '1 minute', 1000000 + i
    FROM results.event e, generate_series(1, 200) i;
    INSERT INTO results.algorithm (id, key, name, task_type)
    VALUES (1, 'finder', 'finder', 'detection'), (2, 'moth-or-not', 'moth-or-not', 'classification'), (3, 'species', 'species', 'classification');
    INSERT INTO results.pipeline (id, slug, name) VALUES (1, 'moths', 'moths');
    INSERT INTO results.pipeline_algorithm (pipeline_id, algorithm_id) SELECT 1, a FROM generate_series(1, 3) a;
    INSERT INTO results.job (id, project_id, pipeline_id, name, total_captures) VALUES (1, 1, 1, 'bench', captures);
END
$$;

-- bench.jobs: as many jobs, numbered from 1, of which seed has made the first.
CREATE FUNCTION bench.jobs(n integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO results.job (id, project_id, pipeline_id, name) SELECT i, 1, 1, 'bench' FROM generate_series(2, n) i
$$;

-- bench.write: n detections on captures that follow one another, each with an occurrence and two classifications: three
-- INSERTs, as an application would send them. The salt makes boxes of different calls differ. Returns n.
CREATE FUNCTION bench.write(n integer, salt integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    first_occurrence bigint;
    first_detection  bigint;
BEGIN
    WITH o AS (
        INSERT INTO results.occurrence (project_id, deployment_id, event_id, determination_id, determination_score)
        SELECT 1, c.deployment_id, c.event_id, 301 + (i * 7919 + salt) % 2900, (i % 100) / 100.0
        FROM generate_series(0, n - 1) i JOIN results.capture c ON c.id = 1 + (salt * 31 + i / 6) % 2000 RETURNING id)
    SELECT min(id) INTO first_occurrence FROM o;
    WITH d AS (
        INSERT INTO results.detection (capture_id, occurrence_id, algorithm_id, bbox, detected_at)
        SELECT 1 + (salt * 31 + i / 6) % 2000, first_occurrence + i, 1, ARRAY[i, salt, i + 10, salt + 10], now()
        FROM generate_series(0, n - 1) i RETURNING id)
    SELECT min(id) INTO first_detection FROM d;
    INSERT INTO results.classification (detection_id, taxon_id, algorithm_id, score, terminal, classified_at)
    SELECT first_detection + i, 301 + (i * 7919 + salt + a) % 2900, a, (i % 100) / 100.0, a = 3, now()
    FROM generate_series(0, n - 1) i, generate_series(2, 3) a;
    RETURN n;
END
$$;

-- bench.without_triggers: the same tables, keys and indexes, and nothing derived from them.
CREATE FUNCTION bench.without_triggers() RETURNS void LANGUAGE sql AS $$
    SELECT results.drop_charts();
    SELECT tally.drop('results.fact');
    SELECT tally.drop('results.job_fact');
$$;

-- bench.pending: delta rows of both projections. It is asked often, so it must not take time from what is measured.
CREATE FUNCTION bench.pending() RETURNS bigint LANGUAGE sql AS $$
    SELECT (SELECT count(*) FROM results.fact_delta) + (SELECT count(*) FROM results.job_fact_delta)
$$;

-- bench.processed: captures that the stored counts show as processed.
CREATE FUNCTION bench.processed() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(p.processed), 0)::bigint FROM results.job_progress p WHERE p.job_id = 1
$$;

-- bench.committed: how many captures a job has committed. It is asked often, so it counts only those after a number up to which none is missing.
CREATE FUNCTION bench.committed(known bigint, OUT captures bigint, OUT complete bigint) LANGUAGE sql STABLE AS $$
    SELECT known + count(*), known + count(*) FILTER (WHERE j.capture_id = known + j.place)
    FROM (SELECT j.capture_id, row_number() OVER (ORDER BY j.capture_id) AS place FROM results.job_capture j WHERE j.capture_id > known) j
$$;

-- bench.settle: statistics for what was just seeded, and no checkpoint of it in the middle of a measurement.
CREATE PROCEDURE bench.settle() LANGUAGE plpgsql AS $$
BEGIN
    ANALYZE;
    CHECKPOINT;
END
$$;
