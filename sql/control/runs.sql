-- control.runs: requested runs, the newest first, a page at a time.
--   Parameters after: the last id of the previous page, NULL for the first page; most: rows of a page; view: only its runs, NULL
--              for all; state: queued, running, done or failed, NULL for all; since, until: requested at or after the one and before
--              the other, NULL for any time
--   Returns    rows of control.run
--   Reads      control.run by the indexes run_state and run_view_state: of each state as many rows as a page has, whatever the filter
--   Raises     22023 no such state
DROP FUNCTION IF EXISTS control.runs(bigint, int);  -- it had fewer parameters
DROP FUNCTION IF EXISTS control.runs(bigint, int, text, text);
CREATE OR REPLACE FUNCTION control.runs(after bigint, most int, view text DEFAULT NULL, state text DEFAULT NULL,
                                        since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS SETOF control.run LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    states    text[] := '{queued,running,done,failed}';
    beginning timestamptz := coalesce(runs.since, '-infinity');
    ending    timestamptz := coalesce(runs.until, 'infinity');
    below     bigint := 0;  -- none of those requested at the very end
    last_at   timestamptz;
    last_id   bigint;
BEGIN
    IF runs.state <> ALL (states) THEN
        RAISE EXCEPTION 'A run has no state %.', runs.state USING ERRCODE = '22023', HINT = 'Use queued, running, done or failed.';
    END IF;
    IF runs.state IS NOT NULL THEN
        states := ARRAY[runs.state];
    END IF;
    IF runs.after IS NOT NULL THEN
        -- If it is deleted, the one before it stands for it.
        SELECT r.requested_at, least(runs.after, r.id + 1) INTO last_at, last_id FROM control.run r WHERE r.id <= runs.after ORDER BY r.id DESC LIMIT 1;
        IF NOT FOUND THEN
            RETURN;
        ELSIF last_at < ending THEN
            ending := last_at;
            below := last_id;
        END IF;
    END IF;
    IF runs.view IS NULL THEN
        RETURN QUERY SELECT r.* FROM unnest(states) s CROSS JOIN LATERAL (
                SELECT x.* FROM control.run x WHERE x.state = s AND (x.requested_at, x.id) < (ending, below) AND x.requested_at >= beginning
                ORDER BY x.requested_at DESC, x.id DESC LIMIT runs.most) r
            ORDER BY r.requested_at DESC, r.id DESC LIMIT runs.most;
    ELSE
        RETURN QUERY SELECT r.* FROM unnest(states) s CROSS JOIN LATERAL (
                SELECT x.* FROM control.run x WHERE x.view = runs.view AND x.state = s AND (x.requested_at, x.id) < (ending, below) AND x.requested_at >= beginning
                ORDER BY x.requested_at DESC, x.id DESC LIMIT runs.most) r
            ORDER BY r.requested_at DESC, r.id DESC LIMIT runs.most;
    END IF;
END
$$;
COMMENT ON FUNCTION control.runs(bigint, int, text, text, timestamptz, timestamptz) IS 'requested runs, the newest first, a page at a time';
