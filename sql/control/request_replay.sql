-- control.request_replay: store a request to apply a dead letter again.
--   Parameters dead_letter: its id
--   Returns    the run's id; of one that waits for the same dead letter already, that one's
--   Reads      results.dead_letter
--   Writes     control.run
--   Raises     RS030
CREATE OR REPLACE FUNCTION control.request_replay(dead_letter bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM results.dead_letter l WHERE l.id = dead_letter) THEN
        PERFORM results.fail('RS030', format('There is no dead letter %s.', dead_letter));
    END IF;
    RETURN control.queue_run(NULL, dead_letter, 'replay', NULL);
END
$$;
COMMENT ON FUNCTION control.request_replay(bigint) IS 'record that a dead letter is to be applied again; returns the run';
