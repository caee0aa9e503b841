-- control.note_alerts: store what is wrong now, as an instance sees it: what is new, what has lasted long enough, and what is over.
--   Parameters source: the instance, if it alone can see these; empty if every instance does. seen: an array of objects with rule,
--              subject, level, sentence, remedy and hold (for how many seconds it has to last before it fires)
--   Writes     control.alert, only where something differs. One that never fired leaves no row
--   Locks      one caller at a time for a source
CREATE OR REPLACE FUNCTION control.note_alerts(source text, seen jsonb)
RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('countersink alerts'), hashtext(note_alerts.source));
    INSERT INTO control.alert (source, rule, subject, level, sentence, remedy)
        SELECT note_alerts.source, f.rule, f.subject, f.level, f.sentence, f.remedy FROM jsonb_to_recordset(note_alerts.seen) f(rule text, subject text, level text, sentence text, remedy text)
        WHERE NOT EXISTS (SELECT FROM control.alert a WHERE a.source = note_alerts.source AND a.rule = f.rule AND a.subject = f.subject AND a.resolved_at IS NULL)  -- or each look would use up an id
        ON CONFLICT (source, rule, subject) WHERE resolved_at IS NULL DO NOTHING;
    UPDATE control.alert a SET fired_at = clock_timestamp(), level = f.level, sentence = f.sentence, remedy = f.remedy
        FROM jsonb_to_recordset(note_alerts.seen) f(rule text, subject text, level text, sentence text, remedy text, hold float8)
        WHERE a.source = note_alerts.source AND a.rule = f.rule AND a.subject = f.subject AND a.resolved_at IS NULL AND a.fired_at IS NULL
          AND a.since <= clock_timestamp() - make_interval(secs => f.hold);
    DELETE FROM control.alert a
        WHERE a.source = note_alerts.source AND a.resolved_at IS NULL AND a.fired_at IS NULL AND NOT control.is_among(a, note_alerts.seen);
    UPDATE control.alert a SET resolved_at = clock_timestamp(), attempts = 0, retry_at = NULL
        WHERE a.source = note_alerts.source AND a.resolved_at IS NULL AND NOT control.is_among(a, note_alerts.seen);
    UPDATE control.alert a SET resolved_at = clock_timestamp(), attempts = 0, retry_at = NULL  -- an instance that is gone tells no end of anything
        WHERE a.source <> '' AND a.source <> note_alerts.source AND a.resolved_at IS NULL
          AND NOT EXISTS (SELECT FROM quartz.qrtz_scheduler_state s WHERE s.instance_name = a.source);
END
$$;
COMMENT ON FUNCTION control.note_alerts(text, jsonb) IS 'store what is wrong now, as an instance sees it';

-- control.is_among: whether an alert is among those of an array.
CREATE OR REPLACE FUNCTION control.is_among(alert control.alert, seen jsonb)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM jsonb_to_recordset($2) f(rule text, subject text) WHERE f.rule = $1.rule AND f.subject = $1.subject)
$$;

-- control.is_past: whether an alert has been over for a day, and nobody was told that it had begun: so a webhook that is set up later is not told of a month.
CREATE OR REPLACE FUNCTION control.is_past(alert control.alert)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce($1.sent IS NULL AND $1.resolved_at < clock_timestamp() - interval '1 day', false)
$$;

-- control.alerts: what is wrong, and what was, the newest first, a page at a time.
--   Parameters after: the last id of the previous page, NULL for the first page; most: rows of a page; wanted: firing or resolved, NULL for both
--   Returns    id; rule, subject, instance, level, state, sentence, remedy; since, fired_at, resolved_at; told: what the webhook was told last
--   Reads      control.alert by the index alert_fired
--   Raises     22023 no such state
--   Used by    the API
CREATE OR REPLACE FUNCTION control.alerts(after bigint, most int, wanted text DEFAULT NULL)
RETURNS TABLE (id bigint, rule text, subject text, instance text, level text, state text, sentence text, remedy text,
               since timestamptz, fired_at timestamptz, resolved_at timestamptz, told text)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    IF $3 NOT IN ('firing', 'resolved') THEN
        RAISE EXCEPTION 'An alert has no state %.', $3 USING ERRCODE = '22023', HINT = 'Use firing or resolved.';
    END IF;
    RETURN QUERY
        SELECT a.id, a.rule, nullif(a.subject, ''), nullif(a.source, ''), a.level, CASE WHEN a.resolved_at IS NULL THEN 'firing' ELSE 'resolved' END, a.sentence, a.remedy,
               a.since, a.fired_at, a.resolved_at, a.sent
        FROM control.alert a
        WHERE a.fired_at IS NOT NULL AND ($1 IS NULL OR a.id < $1) AND ($3 IS NULL OR (a.resolved_at IS NULL) = ($3 = 'firing'))
        ORDER BY a.id DESC LIMIT $2;
END
$$;
COMMENT ON FUNCTION control.alerts(bigint, int, text) IS 'what is wrong, and what was';

-- control.take_notice: take up one alert of which the webhook has to be told. For lease no other instance takes it up, nor its end, so that an end is never told
-- before its beginning. Of one rule and subject, what is older is told first. What control.is_past says is told no more.
--   Parameters lease
--   Returns    a row of control.alerts, or none; attempts: how often it was tried, with this time
--   Writes     control.alert
--   Used by    the webhook
CREATE OR REPLACE FUNCTION control.take_notice(lease interval DEFAULT interval '30 s')
RETURNS TABLE (id bigint, rule text, subject text, instance text, level text, state text, sentence text, remedy text,
               since timestamptz, fired_at timestamptz, resolved_at timestamptz, attempts int)
LANGUAGE sql AS $$
    UPDATE control.alert a SET taken_until = clock_timestamp() + $1, attempts = a.attempts + 1
    WHERE a.id = (SELECT n.id FROM control.alert n
                  WHERE n.fired_at IS NOT NULL AND (n.sent IS NULL OR n.resolved_at IS NOT NULL AND n.sent = 'firing')
                    AND (n.retry_at IS NULL OR n.retry_at <= clock_timestamp()) AND (n.taken_until IS NULL OR n.taken_until <= clock_timestamp()) AND NOT control.is_past(n)
                    AND NOT EXISTS (SELECT FROM control.alert o
                                    WHERE o.fired_at IS NOT NULL AND (o.sent IS NULL OR o.resolved_at IS NOT NULL AND o.sent = 'firing') AND NOT control.is_past(o)
                                      AND o.id < n.id AND o.source = n.source AND o.rule = n.rule AND o.subject = n.subject)
                  ORDER BY n.id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING a.id, a.rule, nullif(a.subject, ''), nullif(a.source, ''), a.level, CASE WHEN a.resolved_at IS NULL THEN 'firing' ELSE 'resolved' END, a.sentence, a.remedy,
              a.since, a.fired_at, a.resolved_at, a.attempts
$$;
COMMENT ON FUNCTION control.take_notice(interval) IS 'take up one alert of which the webhook has to be told';

-- control.untold_notices: what the webhook has still to be told.
--   Returns    notices: how many; oldest: for how many seconds the oldest has waited, 0 if none does
--   Reads      control.alert by the index alert_unsent
CREATE OR REPLACE FUNCTION control.untold_notices()
RETURNS TABLE (notices bigint, oldest float8)
LANGUAGE sql STABLE AS $$
    SELECT count(*), coalesce(max(extract(epoch FROM clock_timestamp() - CASE WHEN a.sent IS NULL THEN a.fired_at ELSE a.resolved_at END)), 0)::float8
    FROM control.alert a
    WHERE a.fired_at IS NOT NULL AND (a.sent IS NULL OR a.resolved_at IS NOT NULL AND a.sent = 'firing') AND NOT control.is_past(a)
$$;
COMMENT ON FUNCTION control.untold_notices() IS 'what the webhook has still to be told';

-- control.finish_notice: store whether the webhook took a notice. One that it did not take is tried again after 2 s, then 4 s and so on, up to 5 min; its end, if
-- that has come meanwhile, at once. When it takes one, it is there again: whatever else waits is tried at once.
--   Parameters id; state: of which it was told; taken
--   Writes     control.alert
CREATE OR REPLACE FUNCTION control.finish_notice(id bigint, state text, taken boolean)
RETURNS void LANGUAGE sql AS $$
    UPDATE control.alert a SET sent = CASE WHEN $3 THEN $2 ELSE a.sent END, attempts = CASE WHEN $3 THEN 0 ELSE a.attempts END, taken_until = NULL,
        retry_at = CASE WHEN $3 OR $2 = 'firing' AND a.resolved_at IS NOT NULL THEN NULL
                        ELSE clock_timestamp() + least(make_interval(secs => 2 ^ least(a.attempts, 12)), interval '5 min') END
    WHERE a.id = $1;
    UPDATE control.alert a SET retry_at = NULL
    WHERE $3 AND a.retry_at IS NOT NULL AND a.fired_at IS NOT NULL AND (a.sent IS NULL OR a.resolved_at IS NOT NULL AND a.sent = 'firing')
$$;
COMMENT ON FUNCTION control.finish_notice(bigint, text, boolean) IS 'store whether the webhook took a notice';

-- control.forget_alerts: delete the alerts that were resolved longer ago; returns how many.
CREATE OR REPLACE FUNCTION control.forget_alerts(older_than interval)
RETURNS bigint LANGUAGE sql AS $$
    WITH gone AS (DELETE FROM control.alert a WHERE a.resolved_at < clock_timestamp() - $1 RETURNING 1) SELECT count(*) FROM gone
$$;
COMMENT ON FUNCTION control.forget_alerts(interval) IS 'delete the alerts that were resolved longer ago';

-- control.leads: whether an instance is the one that notes what every instance sees: the first by name of those that live.
--   Reads      quartz.qrtz_scheduler_state
CREATE OR REPLACE FUNCTION control.leads(instance text)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT min(i.name) FROM control.instances() i WHERE NOT i.overdue OR i.name = $1) = $1, false)
$$;
