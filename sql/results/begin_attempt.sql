-- results.begin_attempt: note that a message which was delivered again and again is tried once more.
--   Parameters stream, stream_seq, published_at: the message; a stream made anew gives its numbers again, so the time takes part
--   Returns    how many attempts have begun without an end, this one included
--   Writes     results.delivery_attempt, in a transaction of its own before the attempt: what ends the program leaves the count
--   Locks      its row
CREATE OR REPLACE FUNCTION results.begin_attempt(stream text, stream_seq bigint, published_at timestamptz)
RETURNS int LANGUAGE sql AS $$
    INSERT INTO results.delivery_attempt AS a (stream, stream_seq, published_at) VALUES ($1, $2, $3)
    ON CONFLICT ON CONSTRAINT delivery_attempt_pkey DO UPDATE SET attempts = a.attempts + 1, last_begun_at = now()
    RETURNING attempts
$$;
COMMENT ON FUNCTION results.begin_attempt(text, bigint, timestamptz) IS 'note that a message is tried again';

-- results.end_attempt: forget the attempts of a message that has come to an outcome.
--   Writes     results.delivery_attempt; also rows of long ago, whose messages left the stream in another way
CREATE OR REPLACE FUNCTION results.end_attempt(stream text, stream_seq bigint, published_at timestamptz)
RETURNS void LANGUAGE sql AS $$
    DELETE FROM results.delivery_attempt a
    WHERE (a.stream, a.stream_seq, a.published_at) = ($1, $2, $3) OR a.last_begun_at < now() - interval '30 days'
$$;
COMMENT ON FUNCTION results.end_attempt(text, bigint, timestamptz) IS 'forget the attempts of a message';
