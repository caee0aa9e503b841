-- What the demo puts into its own database, beside schema results: a project to work on, and a report at the end.
CREATE SCHEMA demo;

-- demo.seed: a project with a tree of 3,300 taxa, deployments, nights, captures and jobs.
--   Returns    nothing; capture i of 1..captures belongs to job 1 + (i - 1) % jobs
CREATE FUNCTION demo.seed(captures integer, jobs integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    per_night integer := greatest(10, least(300, captures / 12));
BEGIN
    INSERT INTO results.project (id, name, score_threshold) VALUES (1, 'Moths of a demo', 0.4);
    INSERT INTO results.taxon (name, rank) VALUES ('Lepidoptera', 'ORDER');
    INSERT INTO results.taxon (name, rank, parent_id)
    SELECT 'Family ' || i, 'FAMILY', t.id FROM results.taxon t, generate_series(1, 30) i WHERE t.name = 'Lepidoptera';
    INSERT INTO results.taxon (name, rank, parent_id)
    SELECT 'Genus ' || i, 'GENUS', t.id FROM generate_series(1, 300) i JOIN results.taxon t ON t.name = 'Family ' || 1 + i % 30;
    INSERT INTO results.taxon (name, rank, parent_id)
    SELECT format('%s species %s', t.name, i), 'SPECIES', t.id FROM results.taxon t, generate_series(1, 10) i WHERE t.rank = 'GENUS';
    INSERT INTO results.deployment (id, project_id, name)
    SELECT i, 1, (ARRAY['Meadow', 'Forest edge', 'Bog', 'Orchard'])[i] FROM generate_series(1, 4) i;
    INSERT INTO results.event (id, project_id, deployment_id, group_by)
    SELECT n, 1, 1 + (n - 1) % 4, to_char(date '2026-06-01' + (n - 1) / 4, 'YYYY-MM-DD') FROM generate_series(1, 1 + (captures - 1) / per_night) n;
    INSERT INTO results.capture (id, project_id, deployment_id, event_id, path, captured_at, byte_size)
    SELECT i, 1, e.deployment_id, e.id, format('%s/%s.jpg', e.group_by, i),
           e.group_by::date + time '22:00' + (i - 1) % per_night * interval '1 minute', 1000000 + i
    FROM generate_series(1, captures) i JOIN results.event e ON e.id = 1 + (i - 1) / per_night;
    INSERT INTO results.algorithm (id, key, name, task_type)
    VALUES (1, 'finder', 'finder', 'detection'), (2, 'moth-or-not', 'moth-or-not', 'classification'), (3, 'species', 'species', 'classification');
    INSERT INTO results.pipeline (id, slug, name) VALUES (1, 'moths', 'moths');
    INSERT INTO results.pipeline_algorithm (pipeline_id, algorithm_id) SELECT 1, a FROM generate_series(1, 3) a;
    INSERT INTO results.job (id, project_id, pipeline_id, name, total_captures)
    SELECT j, 1, 1, 'job ' || j, captures / jobs + (j <= captures % jobs)::int FROM generate_series(1, jobs) j;
END
$$;

-- demo.progress: captures that the stored counts show as done, delta rows not merged, and the age of the oldest (s).
CREATE FUNCTION demo.progress(OUT done bigint, OUT pending bigint, OUT lag float8) LANGUAGE sql STABLE AS $$
    SELECT (SELECT coalesce(sum(j.processed + j.failed), 0) FROM results.job_progress j), sum(s.pending), max(s.lag)
    FROM tally.status s WHERE s.kind = 'projection'
$$;

-- demo.report: the counts by deployment and by event, the dead letters: a table in text, line by line.
CREATE FUNCTION demo.report() RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT format('%-14s %-12s %9s %11s %12s %6s', 'deployment', 'night', 'captures', 'detections', 'occurrences', 'taxa')
    UNION ALL
    (SELECT format('%-14s %-12s %9s %11s %12s %6s', d.name, e.group_by, c.captures, c.detections, c.occurrences, c.taxa)
     FROM results.event_counts c JOIN results.event e ON e.id = c.event_id JOIN results.deployment d ON d.id = e.deployment_id
     ORDER BY d.name, e.group_by LIMIT 40)
    UNION ALL
    (SELECT format('%-14s %-12s %9s %11s %12s %6s', d.name, 'all ' || c.events, c.captures, c.detections, c.occurrences, c.taxa)
     FROM results.deployment_counts c JOIN results.deployment d ON d.id = c.deployment_id ORDER BY d.name)
    UNION ALL
    SELECT format('%-14s %-12s %9s %11s %12s %6s', 'project', '', c.captures, c.detections, c.occurrences, c.taxa) FROM results.project_counts c
    UNION ALL
    SELECT format('dead letter %s on %s: %s (%s)', l.id, l.subject, l.reason, l.sqlstate) FROM results.dead_letters(0, 20) l
$$;

-- demo.compare: every count, stored and live, against its oracle, both ways; in one snapshot.
--   Returns    rows compared, and rows that are not in both
CREATE FUNCTION demo.compare(OUT compared bigint, OUT different bigint) LANGUAGE plpgsql STABLE AS $$
DECLARE
    view text;
    n    bigint;
    d    bigint;
BEGIN
    compared := 0;
    different := 0;
    FOR view IN SELECT s.name FROM tally.status s WHERE s.kind <> 'snapshot' LOOP
        EXECUTE format('SELECT (SELECT count(*) FROM %2$s) * 2, (SELECT count(*) FROM ('
            || '(TABLE %1$s EXCEPT ALL TABLE %2$s) UNION ALL (TABLE %2$s EXCEPT ALL TABLE %1$s) UNION ALL '
            || '(TABLE %1$s_live EXCEPT ALL TABLE %2$s) UNION ALL (TABLE %2$s EXCEPT ALL TABLE %1$s_live)) x)', view, view || '_def') INTO n, d;
        compared := compared + n;
        different := different + d;
    END LOOP;
END
$$;
