-- control.instances: the instances of the program, as the scheduler knows them.
--   Returns    name; checked_in_at and silent: when it last told that it lives, and for how many seconds it has not; overdue: longer than
--              twice the interval in which it should; jobs: fired by the clock and at work; runs: requested and at work
--   Reads      quartz.qrtz_scheduler_state, quartz.qrtz_fired_triggers; control.run by the index run_unfinished
--   Used by    the dashboard, the metrics
CREATE OR REPLACE FUNCTION control.instances()
RETURNS TABLE (name text, checked_in_at timestamptz, silent float8, overdue boolean, jobs bigint, runs bigint)
LANGUAGE sql STABLE AS $$
    SELECT s.instance_name, c.at, c.silent, c.silent > 2 * s.checkin_interval / 1000.0,
           (SELECT count(*) FROM quartz.qrtz_fired_triggers f WHERE f.instance_name = s.instance_name AND f.state = 'EXECUTING'),
           (SELECT count(*) FROM control.run r WHERE r.state IN ('queued', 'running') AND r.state = 'running' AND r.instance = s.instance_name)
    FROM quartz.qrtz_scheduler_state s
    CROSS JOIN LATERAL (SELECT to_timestamp(s.last_checkin_time / 1000.0) AS at,
                               greatest(extract(epoch FROM clock_timestamp() - to_timestamp(s.last_checkin_time / 1000.0)), 0)::float8 AS silent) c
    ORDER BY s.instance_name
$$;
COMMENT ON FUNCTION control.instances() IS 'the instances of the program, as the scheduler knows them';
