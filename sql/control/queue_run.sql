-- control.queue_run: store a run, unless the same one waits already.
--   Parameters view, or dead_letter; action, sample: as of control.run
--   Returns    the run's id, or that of the one that waits
--   Writes     control.run
CREATE OR REPLACE FUNCTION control.queue_run(view text, dead_letter bigint, action text, sample float8)
RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    run bigint;
BEGIN
    LOOP
        INSERT INTO control.run (view, dead_letter, action, sample)
        VALUES (queue_run.view, queue_run.dead_letter, queue_run.action, queue_run.sample) ON CONFLICT DO NOTHING RETURNING id INTO run;
        IF run IS NULL THEN
            SELECT r.id INTO run FROM control.run r WHERE r.state = 'queued'
              AND (r.view, r.dead_letter, r.action, r.sample) IS NOT DISTINCT FROM (queue_run.view, queue_run.dead_letter, queue_run.action, queue_run.sample);
        END IF;
        EXIT WHEN run IS NOT NULL;  -- else it has begun between the two
    END LOOP;
    RETURN run;
END
$$;
COMMENT ON FUNCTION control.queue_run(text, bigint, text, float8) IS 'store a run, unless the same one waits already; returns its id';
