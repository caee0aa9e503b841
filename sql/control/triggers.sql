-- control.triggers: what the scheduler fires by the clock, and when.
--   Returns    view: whose cron it is, NULL for the maintenance; name; state: as Quartz calls it, in small letters (waiting, acquired,
--              blocked while it is at work, error, …); next_fire_at, previous_fire_at; late: by how many seconds it should have fired by now
--   Reads      quartz.qrtz_triggers
--   Used by    the dashboard, the metrics
CREATE OR REPLACE FUNCTION control.triggers()
RETURNS TABLE (view text, name text, state text, next_fire_at timestamptz, previous_fire_at timestamptz, late float8)
LANGUAGE sql STABLE AS $$
    SELECT CASE t.trigger_group WHEN 'views' THEN t.trigger_name END, t.trigger_name, lower(t.trigger_state), f.next, f.previous,
           CASE WHEN t.trigger_state IN ('WAITING', 'ACQUIRED') THEN greatest(extract(epoch FROM clock_timestamp() - f.next), 0)::float8 ELSE 0 END
    FROM quartz.qrtz_triggers t
    CROSS JOIN LATERAL (SELECT to_timestamp(nullif(t.next_fire_time, -1) / 1000.0) AS next, to_timestamp(nullif(nullif(t.prev_fire_time, -1), 0) / 1000.0) AS previous) f
    ORDER BY t.trigger_group, t.trigger_name
$$;
COMMENT ON FUNCTION control.triggers() IS 'what the scheduler fires by the clock, and when';
