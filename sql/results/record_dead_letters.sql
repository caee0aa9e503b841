-- results.record_dead_letters: keep messages that cannot be applied.
--   Parameters arrays of the same length, one element per message: stream, stream_seq, subject, headers (JSON), payload, and
--              reason and sqlstate: why it was rejected
--   Returns    the number of messages
--   Writes     results.dead_letter; for a known message it counts another attempt
--   Locks      its rows, in the order of their key, so that batches never deadlock
CREATE OR REPLACE FUNCTION results.record_dead_letters(
    streams text[], stream_seqs bigint[], subjects text[], headers text[], payloads bytea[], reasons text[], sqlstates text[])
RETURNS bigint LANGUAGE sql AS $$
    WITH letter AS (
        SELECT DISTINCT ON (m.stream, m.stream_seq, m.digest) m.*
        FROM (SELECT u.*, sha256(u.payload) AS digest
              FROM unnest($1, $2, $3, $4, $5, $6, $7) u (stream, stream_seq, subject, headers, payload, reason, sqlstate)) m
        ORDER BY m.stream, m.stream_seq, m.digest
    ), kept AS (
        INSERT INTO results.dead_letter AS l (stream, stream_seq, subject, headers, payload, reason, sqlstate)
        SELECT m.stream, m.stream_seq, m.subject, m.headers::jsonb, m.payload, m.reason, m.sqlstate
        FROM letter m ORDER BY m.stream, m.stream_seq, m.digest
        ON CONFLICT (stream, stream_seq, sha256(payload)) DO UPDATE
            SET attempts = l.attempts + 1, last_failed_at = now(), reason = excluded.reason, sqlstate = excluded.sqlstate,
                replayed_at = NULL
        RETURNING l.id
    )
    SELECT count(*) FROM kept
$$;
COMMENT ON FUNCTION results.record_dead_letters(text[], bigint[], text[], text[], bytea[], text[], text[]) IS
    'keep messages that cannot be applied';
