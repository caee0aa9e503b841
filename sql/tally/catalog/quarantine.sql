-- tally.is_fault_of_key: whether an error is about the data of a key, rather than about the server, a lock, a
-- cancelled statement or the definition as a whole; only the former is worth halving the keys for.
CREATE OR REPLACE FUNCTION tally.is_fault_of_key(state text)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT left(state, 2) IN ('21', '22', '23', 'P0') OR state IN ('54000', '38000', '39000', '2F000', '34000', 'TL019')
$$;

-- tally.put_in_quarantine: note a key that cannot be evaluated; its stored rows stay as they are.
--   Parameters hint: of the error; INSERT … ON CONFLICT has one when two rows of one identity come at once, and is
--              told in the words of tally.refuse_twice
--   Writes    tally.quarantine
CREATE OR REPLACE FUNCTION tally.put_in_quarantine(view_id integer, key jsonb, state text, message text, hint text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF state = '21000' AND hint <> '' THEN
        state := 'TL019';
        message := tally.told_twice(tally.view_by_id(view_id));
    END IF;
    INSERT INTO tally.quarantine AS q (view_id, key, sqlstate, error) VALUES (put_in_quarantine.view_id, put_in_quarantine.key, state, message)
    ON CONFLICT ON CONSTRAINT quarantine_pkey DO UPDATE SET sqlstate = excluded.sqlstate, error = excluded.error, quarantined_at = now();
END
$$;

-- tally.refuse_twice: raise TL019: a definition returns several rows where the identity allows one.
CREATE OR REPLACE FUNCTION tally.refuse_twice(view_id integer)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.fail('TL019', tally.told_twice(tally.view_by_id(view_id)));
END
$$;
CREATE OR REPLACE FUNCTION tally.told_twice(v tally.derived_view)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('%s returns more than one row for the same (%s).', v.definition, tally.column_list(v.identity))
$$;

-- tally.record_merge: note in the catalog what a merge did and up to which writer the projection is merged.
--   Writes    tally.merge_state, tally.derived_view (the first fill is over)
CREATE OR REPLACE FUNCTION tally.record_merge(view_id integer, result tally.merge_result, through xid8)
RETURNS void LANGUAGE sql AS $$
    UPDATE tally.merge_state m
    SET merged_through = through,
        system_identifier = (SELECT c.system_identifier FROM pg_control_system() c),
        last_merge_at = clock_timestamp(),
        keys_merged = m.keys_merged + coalesce(result.keys, 0),
        rows_changed = m.rows_changed + coalesce(result.changed, 0),
        error = NULL, error_sqlstate = NULL, failures = 0, retry_at = NULL
    WHERE m.view_id = record_merge.view_id;
    UPDATE tally.derived_view v SET state = 'active'
    WHERE v.id = record_merge.view_id AND v.state = 'filling' AND NOT result.more
$$;

-- tally.record_sweep: note in the catalog how far a sweep has come.
--   Writes    tally.merge_state
CREATE OR REPLACE FUNCTION tally.record_sweep(view_id integer, keys bigint, from_start boolean, to_end boolean)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF to_end THEN
        UPDATE tally.merge_state m SET swept = NULL, to_sweep = NULL WHERE m.view_id = record_sweep.view_id AND m.swept IS NOT NULL;
    ELSE
        UPDATE tally.merge_state m SET swept = CASE WHEN from_start THEN 0 ELSE coalesce(m.swept, 0) END + keys,
            to_sweep = CASE WHEN from_start THEN tally.estimate_keys(tally.view_by_id(m.view_id)) ELSE m.to_sweep END
        WHERE m.view_id = record_sweep.view_id;
    END IF;
END
$$;

-- tally.estimate_keys: about how many keys a sweep goes through, by the planner's statistics.
CREATE OR REPLACE FUNCTION tally.estimate_keys(v tally.derived_view)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE format('EXPLAIN (FORMAT json) SELECT FROM %s', coalesce((SELECT g.relation FROM tally.guides(v) g LIMIT 1), v.definition)) INTO plan;
    RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::bigint;
END
$$;
