-- results.record_dead_letter: keep a message that cannot be applied.
--   Parameters stream, stream_seq, subject, headers, payload: the message; reason, sqlstate: what is wrong with it
--   Returns    the dead letter's id
--   Writes     results.dead_letter; the same message again counts an attempt
CREATE OR REPLACE FUNCTION results.record_dead_letter(
    stream text, stream_seq bigint, subject text, headers jsonb, payload bytea, reason text, sqlstate text)
RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO results.dead_letter AS l (stream, stream_seq, subject, headers, payload, reason, sqlstate)
    VALUES ($1, $2, $3, coalesce($4, '{}'), coalesce($5, ''), $6, $7)
    ON CONFLICT (stream, stream_seq, sha256(payload)) DO UPDATE
        SET attempts = l.attempts + 1, last_failed_at = now(), reason = excluded.reason, sqlstate = excluded.sqlstate,
            replayed_at = NULL
    RETURNING id
$$;
COMMENT ON FUNCTION results.record_dead_letter(text, bigint, text, jsonb, bytea, text, text) IS 'keep a message that cannot be applied';
