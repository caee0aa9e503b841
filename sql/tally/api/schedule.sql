-- tally.schedule: change when a scheduler brings a derived view up to date.
--   Parameters name: any derived view; for a rollup, its projection's schedule is changed
--              changes: an object with the changes; null restores the default
--                "interval"     text as of type interval ("5s", "1 minute"), or "interval_ms", a number: 100 ms to 1 day
--                "cron"         for a snapshot, instead of an interval: 6 or 7 fields in Quartz's format, in UTC
--                "target_lag"   for a projection, instead of an interval: text ("500ms"), or "target_lag_ms": 100 ms to 1 day. Interval and
--                               max_keys are computed from the cost of merges, and derived views that it reads are merged with it
--                "priority"     -100 to 100, default 0: of views due at the same moment, the highest goes first
--              expected_version: the schedule's version as last read; NULL: not checked
--   Returns    the version after it: one more, if anything differs
--   Writes     tally.derived_view
--   Locks      the view's row in it, until the transaction ends
--   Raises     TL001, TL018, TL021
--   Used by    operators; PATCH /api/views/{name}/schedule
CREATE OR REPLACE FUNCTION tally.schedule(name text, changes jsonb, expected_version integer DEFAULT NULL)
RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    RETURN tally.schedule_by_name(tally.called(name, pg_catalog.current_schemas(true)), changes, expected_version);
END
$$;
COMMENT ON FUNCTION tally.schedule(text, jsonb, integer) IS
    'change interval, target lag, cron or priority of a derived view: {"interval":"5s"}, {"target_lag":"500ms"}, {"cron":"0 0/5 * * * ?"}, {"priority":10}';

-- tally.schedule_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.schedule_by_name(name text, changes jsonb, expected_version integer)
RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    before tally.derived_view := tally.lookup_root(name);
    after  tally.derived_view;
BEGIN
    SELECT * INTO before FROM tally.derived_view d WHERE d.id = before.id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM tally.fail('TL001', format('There is no derived view "%s".', name));
    ELSIF before.schedule_version <> expected_version THEN
        PERFORM tally.fail('TL021', format('The schedule of %s has version %s, not %s: someone else has changed it.',
            tally.part(before), before.schedule_version, expected_version));
    END IF;
    after := tally.changed_schedule(before, changes);
    IF after IS DISTINCT FROM before THEN
        after.schedule_version := before.schedule_version + 1;
        UPDATE tally.derived_view d SET interval_ms = after.interval_ms, cron = after.cron, priority = after.priority, target_lag_ms = after.target_lag_ms,
            schedule_version = after.schedule_version WHERE d.id = after.id;
    END IF;
    RETURN after.schedule_version;
END
$$;

-- tally.changed_schedule: a derived view's row after changes of its schedule, checked. A new cron removes the interval, and a new
-- interval removes the cron.
--   Raises    TL018
CREATE OR REPLACE FUNCTION tally.changed_schedule(v tally.derived_view, changes jsonb)
RETURNS tally.derived_view LANGUAGE plpgsql STABLE AS $$
DECLARE
    unknown text;
    cron    text := btrim(changes ->> 'cron');
    pace    interval := tally.interval_in(changes);
    target  interval := tally.interval_in(changes, 'target_lag');
BEGIN
    SELECT k INTO unknown FROM jsonb_object_keys(changes) k WHERE k NOT IN ('interval', 'interval_ms', 'cron', 'priority', 'target_lag', 'target_lag_ms') LIMIT 1;
    IF unknown IS NOT NULL THEN
        PERFORM tally.fail('TL018', format('A schedule has no "%s"; it has interval or interval_ms, target_lag or target_lag_ms, cron and priority.', unknown));
    ELSIF cron IS NOT NULL AND pace IS NOT NULL THEN
        PERFORM tally.fail('TL018', format('An interval and the cron "%s" were given; a view has one or the other.', cron));
    ELSIF cron IS NOT NULL AND v.kind <> 'snapshot' THEN
        PERFORM tally.fail('TL018', format('%s is a %s, which is merged at an interval; only a snapshot has a cron.', tally.part(v), v.kind));
    ELSIF cron IS NOT NULL AND (jsonb_typeof(changes -> 'cron') <> 'string' OR length(cron) > 120
                                OR cardinality(regexp_split_to_array(cron, '\s+')) NOT IN (6, 7)) THEN
        PERFORM tally.fail('TL018', format('cron is "%s"; it must have 6 or 7 fields (second, minute, hour, day of month, month, day of week, year), 120 characters at most.', cron));
    ELSIF pace NOT BETWEEN interval '100 ms' AND interval '1 day' THEN
        PERFORM tally.fail('TL018', format('interval is %s; it must be at least 100 ms and at most 1 day.', pace));
    END IF;
    IF target IS NOT NULL AND v.kind <> 'projection' THEN
        PERFORM tally.fail('TL018', format('%s is a %s; only a projection has a target_lag.', tally.part(v), v.kind));
    ELSIF target IS NOT NULL AND (pace IS NOT NULL OR cron IS NOT NULL) THEN
        PERFORM tally.fail('TL018', format('A target_lag of %s and an interval were given; with a target the interval is found.', target));
    ELSIF target NOT BETWEEN interval '100 ms' AND interval '1 day' THEN
        PERFORM tally.fail('TL018', format('target_lag is %s; it must be at least 100 ms and at most 1 day.', target));
    END IF;
    IF changes ?| '{target_lag,target_lag_ms}' OR pace IS NOT NULL THEN
        v.target_lag_ms := round(extract(epoch FROM target) * 1000);
    END IF;
    IF target IS NOT NULL THEN
        v.interval_ms := NULL;
    END IF;
    IF changes ?| '{interval,interval_ms}' OR cron IS NOT NULL THEN
        v.interval_ms := round(extract(epoch FROM pace) * 1000);
    END IF;
    IF changes ? 'cron' OR pace IS NOT NULL THEN
        v.cron := cron;
    END IF;
    IF changes ? 'priority' THEN
        IF jsonb_typeof(changes -> 'priority') NOT IN ('number', 'null')
           OR (changes ->> 'priority')::numeric NOT BETWEEN -100 AND 100 OR (changes ->> 'priority')::numeric % 1 <> 0 THEN
            PERFORM tally.fail('TL018', format('priority is %s; it must be a whole number from -100 to 100.', changes -> 'priority'));
        END IF;
        v.priority := coalesce((changes ->> 'priority')::numeric, 0);
    END IF;
    RETURN v;
END
$$;

DROP FUNCTION IF EXISTS tally.interval_in(jsonb);

-- tally.interval_in: the interval, or the target lag, in the changes of a schedule; NULL if there is none.
--   Parameters field: interval or target_lag; the same name with _ms holds a number
--   Raises    TL018
CREATE OR REPLACE FUNCTION tally.interval_in(changes jsonb, field text DEFAULT 'interval')
RETURNS interval LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF jsonb_typeof(changes) IS DISTINCT FROM 'object' THEN
        PERFORM tally.fail('TL018', format('The changes are %s; they must be an object such as {"interval":"5s"}.', coalesce(changes::text, 'NULL')));
    ELSIF changes ?& ARRAY[field, field || '_ms'] THEN
        PERFORM tally.fail('TL018', format('Both %1$s and %1$s_ms were given; one says it all.', field));
    END IF;
    CASE jsonb_typeof(changes -> (field || '_ms'))
        WHEN 'number' THEN RETURN (changes ->> (field || '_ms'))::float8 * interval '1 ms';
        WHEN 'null' THEN RETURN NULL;
        ELSE IF changes ? (field || '_ms') THEN
            PERFORM tally.fail('TL018', format('%s_ms is %s; it must be a number.', field, changes -> (field || '_ms')));
        END IF;
    END CASE;
    IF jsonb_typeof(changes -> field) NOT IN ('string', 'null') THEN
        PERFORM tally.fail('TL018', format('%s is %s; it must be text with a unit, such as "5s".', field, changes -> field));
    END IF;
    RETURN make_interval(secs => extract(epoch FROM (changes ->> field)::interval)::float8);  -- so that months and days are compared as the time that they take
EXCEPTION WHEN invalid_datetime_format OR datetime_field_overflow OR interval_field_overflow OR numeric_value_out_of_range THEN
    PERFORM tally.fail('TL018', format('%s is %s; it must be a time such as "5s" or "1 minute".', field, coalesce(changes -> field, changes -> (field || '_ms'))));
    RETURN NULL;  -- not reached
END
$$;
