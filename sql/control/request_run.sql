-- control.request_run: store a request for an action on a derived view.
--   Parameters view, action: refresh, verify, repair, rebuild, pause or resume; sample: for verify, the share of the keys,
--              above 0 and up to 1, NULL for all
--   Returns    the run's id; of a run that was requested with the same words and has not begun, that one's
--   Reads      tally.views
--   Writes     control.run
--   Raises     TL001 no such view, 22023 no such action, or an invalid sample
CREATE OR REPLACE FUNCTION control.request_run(view text, action text, sample float8 DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM tally.views(request_run.view)) THEN
        PERFORM tally.fail('TL001', format('There is no derived view %s.', request_run.view));
    END IF;
    IF request_run.action NOT IN ('refresh', 'verify', 'repair', 'rebuild', 'pause', 'resume') THEN
        RAISE EXCEPTION 'A derived view has no action %.', request_run.action
            USING ERRCODE = '22023', HINT = 'Use refresh, verify, repair, rebuild, pause or resume.';
    END IF;
    IF request_run.sample IS NOT NULL AND (request_run.action <> 'verify' OR NOT (request_run.sample > 0 AND request_run.sample <= 1)) THEN
        RAISE EXCEPTION 'The sample of % is %.', request_run.action, request_run.sample
            USING ERRCODE = '22023', HINT = 'verify takes one, above 0 and up to 1; the others take none.';
    END IF;
    RETURN control.queue_run(request_run.view, NULL, request_run.action, request_run.sample);
END
$$;
COMMENT ON FUNCTION control.request_run(text, text, float8) IS 'record that an action on a derived view is wanted; returns the run';
