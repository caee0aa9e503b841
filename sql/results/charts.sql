-- The charts of a project, as snapshots. Each is refreshed by its cron if what it reads has changed, so reading a chart computes
-- nothing. They read the stored counts: writers pay nothing for them, and they are as of the last merge before their refresh.
--   Times      local to the deployment (results.deployment.time_zone). A capture without captured_at is in no chart. An
--              occurrence belongs to the night of its event, which starts with the event's first capture
--   Notes      tally.drop and tally.redefine refuse views that others are built on. So call results.drop_charts() first, and
--              results.create_charts() afterwards.

-- results.create_charts: make the charts, if they are not there.
--   Writes    results.event_start, and four materialized views with their declarations
--   Locks     as tally.activate
CREATE OR REPLACE FUNCTION results.create_charts()
RETURNS void LANGUAGE plpgsql AS $create$
BEGIN
    CREATE OR REPLACE VIEW results.event_start AS
    SELECT e.id AS event_id, c.first_captured_at AT TIME ZONE d.time_zone AS started_at
    FROM results.event e
    JOIN results.event_counts c ON c.event_id = e.id
    JOIN results.deployment d ON d.id = e.deployment_id
    WHERE c.first_captured_at IS NOT NULL;
    COMMENT ON VIEW results.event_start IS
        'when a night''s session started, local time; SELECT results.drop_charts() removes it with the charts, results.create_charts() makes them again';

    IF tally.exists('results.captures_by_hour') THEN
        RETURN;
    END IF;

    -- How captures and detections are spread over the night: by hour of the day (0 to 23), over all nights of a project.
    CREATE MATERIALIZED VIEW results.captures_by_hour AS
    SELECT f.project_id, extract(hour FROM f.captured_at AT TIME ZONE d.time_zone)::smallint AS hour,
           sum(f.captures) AS captures, sum(f.detections) AS detections
    FROM results.fact f JOIN results.deployment d ON d.id = f.deployment_id
    WHERE f.kind = 'capture' AND f.captured_at IS NOT NULL
    GROUP BY 1, 2;
    CREATE UNIQUE INDEX captures_by_hour_key ON results.captures_by_hour (project_id, hour);
    COMMENT ON MATERIALIZED VIEW results.captures_by_hour IS 'captures and passing detections of a project by hour of the day, local time';

    -- Occurrences that pass, by the first day of the month in which their night started.
    CREATE MATERIALIZED VIEW results.occurrences_by_month AS
    SELECT f.project_id, date_trunc('month', s.started_at)::date AS month, sum(f.occurrences) AS occurrences
    FROM results.fact f JOIN results.event_start s ON s.event_id = f.event_id
    WHERE f.kind = 'occurrence' AND f.occurrences > 0
    GROUP BY 1, 2;
    CREATE UNIQUE INDEX occurrences_by_month_key ON results.occurrences_by_month (project_id, month);
    COMMENT ON MATERIALIZED VIEW results.occurrences_by_month IS 'passing occurrences of a project by month, local time';

    -- For each night with taxa that are new to the project: how many are new, and how many there are since the first night.
    CREATE MATERIALIZED VIEW results.taxa_over_time AS
    SELECT n.project_id, n.night, count(*) AS new_taxa,
           (sum(count(*)) OVER (PARTITION BY n.project_id ORDER BY n.night))::bigint AS taxa
    FROM (SELECT f.project_id, f.taxon_id, min(s.started_at)::date AS night
          FROM results.fact f JOIN results.event_start s ON s.event_id = f.event_id
          WHERE f.kind = 'occurrence' AND f.taxon_id IS NOT NULL
          GROUP BY 1, 2) n
    GROUP BY 1, 2;
    CREATE UNIQUE INDEX taxa_over_time_key ON results.taxa_over_time (project_id, night);
    COMMENT ON MATERIALIZED VIEW results.taxa_over_time IS 'taxa of a project accumulated over its nights: new ones, and all so far';

    -- The twenty taxa with the most passing occurrences; of equals, the one with the lowest id first.
    CREATE MATERIALIZED VIEW results.top_taxa AS
    SELECT t.project_id, t.place, t.taxon_id, t.occurrences
    FROM (SELECT c.project_id, c.taxon_id, c.occurrences,
                 row_number() OVER (PARTITION BY c.project_id ORDER BY c.occurrences DESC, c.taxon_id)::smallint AS place
          FROM results.taxon_counts c) t
    WHERE t.place <= 20;
    CREATE UNIQUE INDEX top_taxa_key ON results.top_taxa (project_id, place);
    COMMENT ON MATERIALIZED VIEW results.top_taxa IS 'the twenty most seen taxa of a project';

    PERFORM tally.create_snapshot('results.captures_by_hour');
    PERFORM tally.schedule('results.captures_by_hour', '{"cron":"0 0/5 * * * ?"}');
    PERFORM tally.create_snapshot('results.occurrences_by_month');
    PERFORM tally.schedule('results.occurrences_by_month', '{"cron":"15 0/5 * * * ?"}');
    PERFORM tally.create_snapshot('results.taxa_over_time');
    PERFORM tally.schedule('results.taxa_over_time', '{"cron":"30 0/5 * * * ?"}');
    PERFORM tally.create_snapshot('results.top_taxa');
    PERFORM tally.schedule('results.top_taxa', '{"cron":"45 0/5 * * * ?"}');
    PERFORM tally.activate('results.captures_by_hour');
    PERFORM tally.activate('results.occurrences_by_month');
    PERFORM tally.activate('results.taxa_over_time');
    PERFORM tally.activate('results.top_taxa');
END
$create$;
COMMENT ON FUNCTION results.create_charts() IS 'make the charts, if they are not there';

-- results.drop_charts: remove the charts, so that the views below them can be dropped or redefined.
--   Writes    drops the four materialized views, their triggers and results.event_start
--   Locks     ACCESS EXCLUSIVE on what they read, until the transaction ends
CREATE OR REPLACE FUNCTION results.drop_charts()
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    chart text;
BEGIN
    FOREACH chart IN ARRAY '{results.captures_by_hour,results.occurrences_by_month,results.taxa_over_time,results.top_taxa}'::text[] LOOP
        IF tally.exists(chart) THEN
            PERFORM tally.drop(chart);
        END IF;
        EXECUTE format('DROP MATERIALIZED VIEW IF EXISTS %s', chart);
    END LOOP;
    DROP VIEW IF EXISTS results.event_start;
END
$$;
COMMENT ON FUNCTION results.drop_charts() IS 'remove the charts, so that what they read can be dropped or redefined';

DO $declare$ BEGIN PERFORM results.create_charts(); END $declare$;
