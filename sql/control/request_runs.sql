-- control.request_runs: request an action on several derived views, all or none; the same request with the same key is only one.
--   Parameters views, action, sample: as control.request_run; who: the name of the token; key: of the sender's choice, NULL for none
--   Returns    the runs' ids, in the order of the views
--   Writes     control.run, control.idempotency_key
--   Locks      the row of the key: the same request at the same time waits, and returns the same runs
--   Raises     as control.request_run and control.claim_key
CREATE OR REPLACE FUNCTION control.request_runs(views text[], action text, sample float8, who text, key text)
RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    runs bigint[] := control.claim_key($4, $5, jsonb_build_object('action', $2, 'views', to_jsonb($1), 'sample', $3));
BEGIN
    IF runs IS NULL THEN
        runs := ARRAY(SELECT control.request_run(v.name, $2, $3) FROM unnest($1) WITH ORDINALITY v(name, n) ORDER BY v.n);
        PERFORM control.settle_key($4, $5, runs);
    END IF;
    RETURN runs;
END
$$;
COMMENT ON FUNCTION control.request_runs(text[], text, float8, text, text) IS 'request an action on several derived views, once for a key; returns the runs';

-- control.request_replay_once: control.request_replay, once for a key.
--   Raises     as control.request_replay and control.claim_key
CREATE OR REPLACE FUNCTION control.request_replay_once(dead_letter bigint, who text, key text)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    runs bigint[] := control.claim_key($2, $3, jsonb_build_object('action', 'replay', 'dead_letter', $1));
BEGIN
    IF runs IS NULL THEN
        runs := ARRAY[control.request_replay($1)];
        PERFORM control.settle_key($2, $3, runs);
    END IF;
    RETURN runs[1];
END
$$;
COMMENT ON FUNCTION control.request_replay_once(bigint, text, text) IS 'request that a dead letter is applied again, once for a key';

-- control.request_replays: request that the dead letters that wait are applied again, a page of them at a time; once for a key.
--   Parameters sqlstate: only those that have failed with it, NULL for all; after: the last dead letter of the previous page, 0 for the
--              first; most: of a page; who, key: as control.request_runs
--   Returns    the runs, and for each its dead letter, in the order of these
--   Reads      results.dead_letters
--   Writes     control.run, control.idempotency_key
--   Raises     as control.claim_key
CREATE OR REPLACE FUNCTION control.request_replays(sqlstate text, after bigint, most int, who text, key text)
RETURNS TABLE (run bigint, dead_letter bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    runs bigint[] := control.claim_key($4, $5, jsonb_build_object('action', 'replay', 'sqlstate', $1, 'after', $2, 'most', $3));
BEGIN
    IF runs IS NULL THEN
        runs := ARRAY(SELECT control.queue_run(NULL, l.id, 'replay', NULL) FROM results.dead_letters($2, $3, true, $1) l ORDER BY l.id);
        PERFORM control.settle_key($4, $5, runs);
    END IF;
    RETURN QUERY SELECT r.id, r.dead_letter FROM control.run r WHERE r.id = ANY (runs) ORDER BY r.dead_letter;
END
$$;
COMMENT ON FUNCTION control.request_replays(text, bigint, int, text, text) IS 'request that the dead letters that wait for a reason are applied again';

-- control.claim_key: note that a request with a key has come, and forget keys that are older than a day.
--   Returns    NULL if it is new, or has no key; else the runs that it has become
--   Writes     control.idempotency_key
--   Raises     22023 invalid key; TL018 another request had this key
CREATE OR REPLACE FUNCTION control.claim_key(who text, key text, request jsonb)
RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    known control.idempotency_key;
BEGIN
    IF $2 IS NULL THEN
        RETURN NULL;
    ELSIF length($2) NOT BETWEEN 1 AND 255 THEN
        RAISE EXCEPTION 'An Idempotency-Key has 1 to 255 characters, this one has %.', length($2) USING ERRCODE = '22023', HINT = 'Send a UUID, say.';
    END IF;
    DELETE FROM control.idempotency_key i USING (
        SELECT o.who, o.key FROM control.idempotency_key o WHERE o.made_at < clock_timestamp() - interval '1 day' FOR UPDATE SKIP LOCKED) old
    WHERE i.who = old.who AND i.key = old.key;
    INSERT INTO control.idempotency_key (who, key, request) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    SELECT i.* INTO STRICT known FROM control.idempotency_key i WHERE i.who = $1 AND i.key = $2;
    IF known.request <> $3 THEN
        RAISE EXCEPTION 'Another request had the Idempotency-Key %, at %.', quote_literal($2), to_char(known.made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            USING ERRCODE = 'TL018', HINT = 'Send a new key with each new request, and the old one only to repeat a request.';
    END IF;
    RETURN known.runs;
END
$$;
COMMENT ON FUNCTION control.claim_key(text, text, jsonb) IS 'note that a request with an Idempotency-Key has come';

-- control.settle_key: note what runs a request with a key has become.
--   Writes     control.idempotency_key
CREATE OR REPLACE FUNCTION control.settle_key(who text, key text, runs bigint[])
RETURNS void LANGUAGE sql AS $$
    UPDATE control.idempotency_key i SET runs = $3 WHERE i.who = $1 AND i.key = $2
$$;
COMMENT ON FUNCTION control.settle_key(text, text, bigint[]) IS 'note what runs a request with an Idempotency-Key has become';
