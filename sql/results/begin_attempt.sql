-- results.begin_attempt: count one more attempt at a message that was delivered several times.
--   Parameters stream, stream_seq, published_at: the message. The time is needed because a stream that was made again reuses numbers
--   Returns    how many attempts have begun but not ended, with this one
--   Writes     results.delivery_attempt, in a separate transaction before the attempt, so that a crash does not lose the count
--   Locks      its row
CREATE OR REPLACE FUNCTION results.begin_attempt(stream text, stream_seq bigint, published_at timestamptz)
RETURNS int LANGUAGE sql AS $$
    INSERT INTO results.delivery_attempt AS a (stream, stream_seq, published_at) VALUES ($1, $2, $3)
    ON CONFLICT ON CONSTRAINT delivery_attempt_pkey DO UPDATE SET attempts = a.attempts + 1, last_begun_at = now()
    RETURNING attempts
$$;
COMMENT ON FUNCTION results.begin_attempt(text, bigint, timestamptz) IS 'note that a message is tried again';

-- results.end_attempt: delete the attempts of a message that has been applied or rejected.
--   Writes     results.delivery_attempt; also deletes old rows, whose messages left the stream in another way
CREATE OR REPLACE FUNCTION results.end_attempt(stream text, stream_seq bigint, published_at timestamptz)
RETURNS void LANGUAGE sql AS $$
    DELETE FROM results.delivery_attempt a
    WHERE (a.stream, a.stream_seq, a.published_at) = ($1, $2, $3) OR a.last_begun_at < now() - interval '30 days'
$$;
COMMENT ON FUNCTION results.end_attempt(text, bigint, timestamptz) IS 'forget the attempts of a message';
