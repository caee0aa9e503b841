-- results.begin_replay: take a dead letter to apply it again.
--   Parameters id of the dead letter
--   Returns    the message as it was received
--   Writes     results.dead_letter.replayed_at, in the transaction that applies the message. A rollback leaves the dead letter
--              unchanged. If the message is rejected again, results.record_dead_letters stores that
--   Locks      the dead letter's row, so that it is replayed once at a time
--   Raises     RS030
CREATE OR REPLACE FUNCTION results.begin_replay(id bigint)
RETURNS TABLE (stream text, stream_seq bigint, subject text, headers jsonb, payload bytea) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY UPDATE results.dead_letter l SET replayed_at = now() WHERE l.id = begin_replay.id
        RETURNING l.stream, l.stream_seq, l.subject, l.headers, l.payload;
    IF NOT FOUND THEN
        PERFORM results.fail('RS030', format('There is no dead letter %s.', begin_replay.id));
    END IF;
END
$$;
COMMENT ON FUNCTION results.begin_replay(bigint) IS 'take a dead letter to apply it again';
