-- results.dead_letters: a page of dead letters, without their payloads.
--   Parameters after: the last id of the previous page, 0 for the first; "limit": rows at most; open: only those that wait; code:
--              only those that wait and have failed with this SQLSTATE, NULL for any
--   Reads      results.dead_letter, by its primary key, or by dead_letter_open or dead_letter_reason; never more than the page,
--              whatever the statistics say
DROP FUNCTION IF EXISTS results.dead_letters(bigint, int);  -- it had fewer parameters
CREATE OR REPLACE FUNCTION results.dead_letters(after bigint DEFAULT 0, "limit" int DEFAULT 100, open boolean DEFAULT false, code text DEFAULT NULL)
RETURNS TABLE (id bigint, stream text, stream_seq bigint, subject text, headers jsonb, payload_bytes int, reason text,
               sqlstate text, first_failed_at timestamptz, last_failed_at timestamptz, attempts int, replayed_at timestamptz)
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    page bigint[];
BEGIN
    IF dead_letters.code IS NOT NULL THEN
        page := ARRAY(SELECT l.id FROM results.dead_letter l
                      WHERE l.replayed_at IS NULL AND l.sqlstate = dead_letters.code AND l.id > dead_letters.after ORDER BY l.sqlstate, l.id LIMIT dead_letters."limit");
    ELSIF dead_letters.open THEN
        page := ARRAY(SELECT l.id FROM results.dead_letter l WHERE l.replayed_at IS NULL AND l.id > dead_letters.after ORDER BY l.id LIMIT dead_letters."limit");
    ELSE
        page := ARRAY(SELECT l.id FROM results.dead_letter l WHERE l.id > dead_letters.after ORDER BY l.id LIMIT dead_letters."limit");
    END IF;
    RETURN QUERY
    SELECT l.id, l.stream, l.stream_seq, l.subject, l.headers, octet_length(l.payload), l.reason,
           l.sqlstate, l.first_failed_at, l.last_failed_at, l.attempts, l.replayed_at
    FROM unnest(page) WITH ORDINALITY w (id, n)
    CROSS JOIN LATERAL (SELECT l.* FROM results.dead_letter l WHERE l.id = w.id OFFSET 0) l ORDER BY w.n;
END
$$;
COMMENT ON FUNCTION results.dead_letters(bigint, int, boolean, text) IS 'a page of dead letters, by id';

-- results.dead_letter_reasons: how many dead letters wait for each SQLSTATE that they have failed with, the most first.
--   Returns    sqlstate; letters; reason: of the oldest of them
--   Reads      results.dead_letter by its index dead_letter_reason, all that wait
CREATE OR REPLACE FUNCTION results.dead_letter_reasons()
RETURNS TABLE (sqlstate text, letters bigint, reason text)
LANGUAGE sql STABLE SET enable_seqscan = off SET jit = off AS $$
    SELECT g.sqlstate, g.letters, (SELECT l.reason FROM results.dead_letter l WHERE l.id = g.oldest)
    FROM (SELECT l.sqlstate, count(*) AS letters, min(l.id) AS oldest FROM results.dead_letter l WHERE l.replayed_at IS NULL GROUP BY l.sqlstate) g
    ORDER BY g.letters DESC, g.sqlstate
$$;
COMMENT ON FUNCTION results.dead_letter_reasons() IS 'how many dead letters wait for each reason';

-- results.dead_letter_count: how many dead letters have not been replayed since they last failed.
--   Reads      results.dead_letter_change alone: some hundred rows at most, however many dead letters there are
CREATE OR REPLACE FUNCTION results.dead_letter_count()
RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(c.difference), 0)::bigint FROM results.dead_letter_change c
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

-- results.dead_letters_changed: statement triggers on results.dead_letter: keep results.dead_letter_count.
--   Writes     results.dead_letter_change: appends the difference; a hundred rows are added up to one
--   Locks      none that anybody waits for
CREATE OR REPLACE FUNCTION results.dead_letters_changed()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n bigint := 0;
BEGIN
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        n := (SELECT count(*) FROM new_rows r WHERE r.replayed_at IS NULL);
    END IF;
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        n := n - (SELECT count(*) FROM old_rows r WHERE r.replayed_at IS NULL);
    ELSIF TG_OP = 'TRUNCATE' THEN
        n := - results.dead_letter_count();
    END IF;
    IF n <> 0 THEN
        INSERT INTO results.dead_letter_change (difference) VALUES (n);
    END IF;
    IF current_setting('transaction_isolation') = 'read committed' AND (SELECT count(*) > 100 FROM results.dead_letter_change) THEN
        WITH taken AS (
            DELETE FROM results.dead_letter_change c
            WHERE c.ctid = ANY (ARRAY(SELECT d.ctid FROM results.dead_letter_change d FOR UPDATE SKIP LOCKED)) RETURNING c.difference)
        INSERT INTO results.dead_letter_change (difference) SELECT sum(t.difference) FROM taken t HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END
$$;

-- results.recount_dead_letters: count the dead letters anew, after their triggers were disabled.
--   Returns    how many have not been replayed since they last failed
--   Writes     results.dead_letter_change
--   Locks      results.dead_letter against writers, until the transaction ends
CREATE OR REPLACE FUNCTION results.recount_dead_letters()
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE results.dead_letter IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO results.dead_letter_change (difference)
    SELECT count(*) - results.dead_letter_count() FROM results.dead_letter l WHERE l.replayed_at IS NULL;
    RETURN results.dead_letter_count();
END
$$;
COMMENT ON FUNCTION results.recount_dead_letters() IS 'count the dead letters anew, after their triggers were disabled';

DO $count$
BEGIN
    IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = 'results.dead_letter'::regclass AND t.tgname = 'dead_letters_truncated') THEN
        RETURN;
    END IF;
    LOCK TABLE results.dead_letter IN SHARE ROW EXCLUSIVE MODE;
    CREATE TRIGGER dead_letters_inserted AFTER INSERT ON results.dead_letter
        REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION results.dead_letters_changed();
    CREATE TRIGGER dead_letters_updated AFTER UPDATE ON results.dead_letter
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION results.dead_letters_changed();
    CREATE TRIGGER dead_letters_deleted AFTER DELETE ON results.dead_letter
        REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION results.dead_letters_changed();
    CREATE TRIGGER dead_letters_truncated AFTER TRUNCATE ON results.dead_letter
        FOR EACH STATEMENT EXECUTE FUNCTION results.dead_letters_changed();
    PERFORM results.recount_dead_letters();
END
$count$;
