-- results.begin_replay: take a dead letter to publish it again.
--   Parameters id of the dead letter
--   Returns    what is to be published
--   Writes     results.dead_letter.replayed_at; commit after the publication
--   Locks      the dead letter's row
--   Raises     RS030
--   Called by  the admin API
CREATE OR REPLACE FUNCTION results.begin_replay(id bigint)
RETURNS TABLE (subject text, headers jsonb, payload bytea) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY UPDATE results.dead_letter l SET replayed_at = now() WHERE l.id = begin_replay.id
        RETURNING l.subject, l.headers, l.payload;
    IF NOT FOUND THEN
        PERFORM results.fail('RS030', format('There is no dead letter %s.', begin_replay.id));
    END IF;
END
$$;
COMMENT ON FUNCTION results.begin_replay(bigint) IS 'take a dead letter to publish it again';
