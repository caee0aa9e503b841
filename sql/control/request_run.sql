-- control.request_run: record that somebody wants an action done on a derived view.
--   Parameters view, action: refresh, verify, repair, rebuild, pause or resume
--   Returns    the run's id
--   Reads      tally.views
--   Writes     control.run
--   Raises     CT001 no such view, CT002 no such action
--   Called by  POST /api/views/{name}/{action}, which then has the scheduler run it
CREATE OR REPLACE FUNCTION control.request_run(view text, action text)
RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    run bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM tally.views(request_run.view)) THEN
        RAISE EXCEPTION 'There is no derived view %.', request_run.view
            USING ERRCODE = 'CT001', HINT = 'See tally.status, or GET /api/views, for those there are.';
    END IF;
    IF request_run.action NOT IN ('refresh', 'verify', 'repair', 'rebuild', 'pause', 'resume') THEN
        RAISE EXCEPTION 'A derived view has no action %.', request_run.action
            USING ERRCODE = 'CT002', HINT = 'Use refresh, verify, repair, rebuild, pause or resume.';
    END IF;
    INSERT INTO control.run (view, action) VALUES (request_run.view, request_run.action) RETURNING id INTO run;
    RETURN run;
END
$$;
COMMENT ON FUNCTION control.request_run(text, text) IS 'record that an action on a derived view is wanted; returns the run';
