-- tally.due: what a scheduler should call, and how often. Rollups are merged with their projection.
--   Returns   name, kind, action ('merge' or 'refresh'), interval in ms (with a target lag: computed from the cost of merges) or cron (null: the scheduler's
--             default), version (changes with the schedule), priority. The highest priority is first, and a view comes after those that it reads
--   Used by    the scheduler, every few seconds
CREATE OR REPLACE FUNCTION tally.due()
RETURNS TABLE (name text, kind text, action text, interval_ms integer, cron text, version integer, priority smallint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT tally.name_of(v.schema_name, v.relation_name), v.kind, CASE v.kind WHEN 'snapshot' THEN 'refresh' ELSE 'merge' END,
           coalesce((tally.merge_plan(v)).interval_ms, v.interval_ms), v.cron, v.schedule_version, v.priority
    FROM tally.derived_view v LEFT JOIN (SELECT r.above, count(*) AS roots FROM tally.root_below r GROUP BY r.above) b ON b.above = v.id
    WHERE v.root_id IS NULL AND v.replaces_id IS NULL AND v.state IN ('filling', 'active')
      AND tally.lost_under(v.id) IS NULL
    ORDER BY v.priority DESC, coalesce(b.roots, 0), 1
$$;
COMMENT ON FUNCTION tally.due() IS 'what a scheduler should call, and how often';
