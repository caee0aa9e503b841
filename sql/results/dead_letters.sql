-- results.dead_letters: a page of dead letters, without their payloads.
--   Parameters after: the last id of the previous page, 0 for the first; "limit": rows at most
--   Reads      results.dead_letter, by its primary key
CREATE OR REPLACE FUNCTION results.dead_letters(after bigint DEFAULT 0, "limit" int DEFAULT 100)
RETURNS TABLE (id bigint, stream text, stream_seq bigint, subject text, headers jsonb, payload_bytes int, reason text,
               sqlstate text, first_failed_at timestamptz, last_failed_at timestamptz, attempts int, replayed_at timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT l.id, l.stream, l.stream_seq, l.subject, l.headers, octet_length(l.payload), l.reason,
           l.sqlstate, l.first_failed_at, l.last_failed_at, l.attempts, l.replayed_at
    FROM results.dead_letter l WHERE l.id > $1 ORDER BY l.id LIMIT $2
$$;
COMMENT ON FUNCTION results.dead_letters(bigint, int) IS 'a page of dead letters, by id';

-- results.dead_letter_count: how many dead letters have not been replayed since they last failed.
CREATE OR REPLACE FUNCTION results.dead_letter_count()
RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT count(*) FROM results.dead_letter WHERE replayed_at IS NULL
$$;
COMMENT ON FUNCTION results.dead_letter_count() IS 'how many dead letters have not been replayed since they last failed';

-- results.dead_letter_payload: the bytes of a dead letter, as they were received.
--   Parameters id
--   Reads      results.dead_letter
--   Raises     RS030
CREATE OR REPLACE FUNCTION results.dead_letter_payload(id bigint)
RETURNS bytea LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    bytes bytea;
BEGIN
    SELECT l.payload INTO bytes FROM results.dead_letter l WHERE l.id = dead_letter_payload.id;
    IF NOT FOUND THEN
        PERFORM results.fail('RS030', format('There is no dead letter %s.', dead_letter_payload.id));
    END IF;
    RETURN bytes;
END
$$;
COMMENT ON FUNCTION results.dead_letter_payload(bigint) IS 'the bytes of a dead letter';
