-- Merges and requested runs are no jobs of Quartz any more: only what is scheduled by the clock is.
DELETE FROM quartz.qrtz_fired_triggers;
DELETE FROM quartz.qrtz_simple_triggers;
DELETE FROM quartz.qrtz_cron_triggers;
DELETE FROM quartz.qrtz_simprop_triggers;
DELETE FROM quartz.qrtz_blob_triggers;
DELETE FROM quartz.qrtz_triggers;
DELETE FROM quartz.qrtz_job_details;
DROP FUNCTION IF EXISTS control.begin_run(bigint, text);

-- The same request twice, before the first has begun, is one run.
DELETE FROM control.run r USING control.run earlier
WHERE r.state = 'queued' AND earlier.state = 'queued' AND earlier.id < r.id
  AND (r.view, r.dead_letter, r.action, r.sample) IS NOT DISTINCT FROM (earlier.view, earlier.dead_letter, earlier.action, earlier.sample);
CREATE UNIQUE INDEX run_queued ON control.run (view, dead_letter, action, sample) NULLS NOT DISTINCT WHERE state = 'queued';
CREATE INDEX run_unfinished ON control.run (id) WHERE state IN ('queued', 'running');
