-- control.runs: requested runs, the newest first, a page at a time.
--   Parameters after: the last id of the previous page, NULL for the first page; most: rows of a page; view: only its runs, NULL
--              for all; state: queued, running, done or failed, NULL for all; since, until: requested at or after the one and before
--              the other, NULL for any time
--   Returns    rows of control.run
--   Reads      control.run by its primary key, by view or by time: never more rows than it returns, unless they are chosen by a state
--   Raises     22023 no such state
DROP FUNCTION IF EXISTS control.runs(bigint, int);  -- it had fewer parameters
DROP FUNCTION IF EXISTS control.runs(bigint, int, text, text);
CREATE OR REPLACE FUNCTION control.runs(after bigint, most int, view text DEFAULT NULL, state text DEFAULT NULL,
                                        since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS SETOF control.run LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    below bigint := coalesce(runs.after, 9223372036854775807);
    beginning timestamptz := coalesce(runs.since, '-infinity');
    ending timestamptz := coalesce(runs.until, 'infinity');
BEGIN
    IF runs.state NOT IN ('queued', 'running', 'done', 'failed') THEN
        RAISE EXCEPTION 'A run has no state %.', runs.state USING ERRCODE = '22023', HINT = 'Use queued, running, done or failed.';
    END IF;
    IF runs.view IS NULL THEN
        RETURN QUERY SELECT r.* FROM control.run r
            WHERE r.id < below AND (runs.state IS NULL OR r.state = runs.state) AND r.requested_at >= beginning AND r.requested_at < ending
            ORDER BY r.id DESC LIMIT runs.most;
    ELSE
        RETURN QUERY SELECT r.* FROM control.run r
            WHERE r.view = runs.view AND r.id < below AND (runs.state IS NULL OR r.state = runs.state) AND r.requested_at >= beginning AND r.requested_at < ending
            ORDER BY r.id DESC LIMIT runs.most;
    END IF;
END
$$;
COMMENT ON FUNCTION control.runs(bigint, int, text, text, timestamptz, timestamptz) IS 'requested runs, the newest first, a page at a time';
