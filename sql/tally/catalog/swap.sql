-- tally.advance: take the redefinition of a projection one step further: a bounded merge of the replacement. Once that has caught up,
-- it is verified; once it is verified, it is swapped in.
--   Parameters v; next: its replacement; max_keys; result: what the merge of the projection itself did
--   Returns    result, with the replacement's work added
--   Locks      the replacement's advisory lock, tried, never waited for; those of tally.swap, given up after half a second
CREATE OR REPLACE FUNCTION tally.advance(v tally.derived_view, next tally.derived_view, max_keys integer, result tally.merge_result)
RETURNS tally.merge_result LANGUAGE plpgsql AS $$
DECLARE
    step tally.merge_result;
BEGIN
    IF (SELECT m.retry_at > clock_timestamp() FROM tally.merge_state m WHERE m.view_id = next.id)
       OR NOT pg_try_advisory_xact_lock(tally.lock_class(), next.id) THEN
        RETURN result;
    END IF;
    step := tally.run_merge(next, max_keys);
    IF step.outcome = 'merged' THEN
        result := ROW('merged', result.consumed + step.consumed, result.keys + step.keys, result.changed + step.changed,
                      result.quarantined + step.quarantined, result.more OR step.more, result.error);
    END IF;
    IF step.outcome IN ('merged', 'nothing') AND NOT step.more AND coalesce(next.swap_at <= clock_timestamp(), true) THEN
        result.more := tally.put_in_place(v, next) OR result.more;
    END IF;
    RETURN result;
END
$$;

-- tally.put_in_place: verify a replacement that has caught up, or swap it in if it is verified. The reason for a delay is stored.
--   Returns    whether the next merge can continue at once
--   Writes     what tally.swap writes; tally.derived_view, tally.merge_state
CREATE OR REPLACE FUNCTION tally.put_in_place(v tally.derived_view, next tally.derived_view)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    differ bigint;
BEGIN
    IF tally.follow_rollups(v, next) OR next.verified_at IS NULL THEN
        SELECT count(*) INTO differ FROM tally.verify(tally.part(next));
        IF differ = 0 THEN
            UPDATE tally.derived_view d SET verified_at = clock_timestamp(), verified_by = pg_current_xact_id() WHERE d.id = next.id;
            RETURN true;
        END IF;
        PERFORM tally.repair(tally.part(next));
        PERFORM tally.hold_swap(next.id, 'TL020', format('%s rows of %s differ from its definition; their keys are evaluated again.', differ, tally.part(next)));
    ELSIF current_setting('transaction_isolation') = 'read committed' AND NOT tally.swap(v, next) THEN
        PERFORM tally.hold_swap(next.id, 'TL015', format('The swap waits for a transaction that holds %s or a source, or reads with an older snapshot, here or on a replica.', tally.part(v)));
    END IF;
    RETURN false;
EXCEPTION
    WHEN operator_intervention OR insufficient_resources OR transaction_rollback OR object_not_in_prerequisite_state
      OR system_error OR connection_exception OR internal_error OR program_limit_exceeded THEN
        RAISE;
    WHEN OTHERS THEN
        PERFORM tally.hold_swap(next.id, SQLSTATE, SQLERRM);
        RETURN false;
END
$$;

-- tally.hold_swap: store why a replacement is not in place yet, and when to try again. Pauses grow, because writers have to wait for a
-- moment at each attempt.
--   Writes     tally.derived_view, tally.merge_state
CREATE OR REPLACE FUNCTION tally.hold_swap(view_id integer, state text, message text)
RETURNS void LANGUAGE sql AS $$
    UPDATE tally.derived_view d SET swap_at = clock_timestamp()
        + greatest(interval '1 second', least(interval '5 minutes', clock_timestamp() - coalesce(d.verified_at, d.created_at))) WHERE d.id = view_id;
    UPDATE tally.merge_state m SET error = message, error_sqlstate = state WHERE m.view_id = hold_swap.view_id;
$$;

-- tally.swap: put a verified replacement in a projection's place, with its rollups.
--   Returns    whether it could. For a moment there must be no writers, and no readers of the old tables; then the last changes are
--              merged. Also, nobody may hold a snapshot that sees the new tables as they were before they were filled
--   Writes     names: <name>_next becomes <name>; the old tables, functions and triggers are dropped
--   Locks      ACCESS EXCLUSIVE on the sources and on both sets of derived tables, until the transaction ends
CREATE OR REPLACE FUNCTION tally.swap(v tally.derived_view, next tally.derived_view)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    patience text := current_setting('lock_timeout');
    step     tally.merge_result;
BEGIN
    PERFORM tally.require_unused(v);
    IF tally.older_snapshot(next.verified_by) THEN
        RETURN false;
    END IF;
    PERFORM tally.interrupt_autovacuum(tally.watched_tables(v) || ARRAY(SELECT tally.relation_of(d) FROM tally.derived_view d WHERE v.id IN (d.id, d.root_id) AND d.serves_id IS NULL));
    PERFORM set_config('lock_timeout', '500ms', true);
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', (
        SELECT string_agg(t, ', ') FROM (
            SELECT tally.part(d) AS t FROM tally.derived_view d WHERE v.id IN (d.id, d.root_id) AND d.serves_id IS NULL
            UNION ALL (SELECT s.relation::text FROM tally.source s WHERE s.projection_id = v.id AND s.columns IS NOT NULL ORDER BY s.relation::oid)) x));
    LOOP
        step := tally.run_merge(next, 50000);
        EXIT WHEN NOT step.more;
    END LOOP;
    IF step.outcome = 'failed' THEN
        RETURN false;
    END IF;
    PERFORM tally.take_over(v, next);
    PERFORM set_config('lock_timeout', patience, true);
    RETURN true;
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    RETURN false;
WHEN undefined_table THEN
    IF NOT tally.is_renamed(v.id) THEN
        RAISE;
    END IF;
    RETURN false;  -- the next merge follows
END
$$;

-- tally.older_snapshot: whether another session of this database, or one on a physical replica, may read with a snapshot that does not see
-- what a transaction wrote. A replica tells of its snapshots only with hot_standby_feedback.
--   Reads      pg_stat_activity, whose column backend_xmin every role may see. That of a walsender, which is in no database, is the replica's,
--              unless it has a slot
CREATE OR REPLACE FUNCTION tally.older_snapshot(writer xid8)
RETURNS boolean LANGUAGE sql VOLATILE AS $$
    SELECT EXISTS (SELECT FROM pg_stat_activity a WHERE (a.datname = current_database() OR a.datid IS NULL) AND a.usesysid IS NOT NULL AND a.pid <> pg_backend_pid()
                   AND age(a.backend_xmin) >= age(writer::xid))
        OR EXISTS (SELECT FROM pg_replication_slots s WHERE age(s.xmin) >= age(writer::xid))
$$;

-- tally.take_over: drop what was made for a projection, and give its names, schedule, grants and other settings to its replacement.
CREATE OR REPLACE FUNCTION tally.take_over(v tally.derived_view, next tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    n        record;
    command  text;
    settings text[] := ARRAY(
        SELECT c.command FROM tally.derived_view o JOIN tally.derived_view y ON y.replaces_id = o.id CROSS JOIN unnest('{"",_live,_def}'::text[]) s
        CROSS JOIN LATERAL tally.settings_of(tally.relation_of(o, s), tally.part(o, s), tally.columns_of(tally.relation_of(y, s))) c(command)
        WHERE v.id IN (o.id, o.root_id) AND (s <> '_def' OR o.kind = 'rollup') AND tally.relation_of(o, s) IS NOT NULL)
        || ARRAY(SELECT g.command FROM tally.derived_view o JOIN tally.derived_view y ON y.replaces_id = o.id CROSS JOIN LATERAL tally.live_at_grants(o, y) g(command)
                 WHERE v.id IN (o.id, o.root_id));
BEGIN
    PERFORM tally.require_carried(v);
    CREATE TEMP TABLE tally_indexes ON COMMIT DROP AS  -- an index with the same definition gets the old one's name
        SELECT i.index, o.name FROM tally.derived_view d JOIN tally.derived_view y ON y.replaces_id = d.id CROSS JOIN unnest('{"",_delta,_state}'::text[]) s
        CROSS JOIN LATERAL tally.indexes_of(tally.relation_of(d, s)) o JOIN LATERAL tally.indexes_of(tally.relation_of(y, s)) i ON i.body = o.body AND i.nth = o.nth
        WHERE v.id IN (d.id, d.root_id);
    CREATE TEMP TABLE tally_names ON COMMIT DROP AS
        SELECT d.id, d.schema_name, d.relation_name AS old_name, coalesce(o.relation_name, replace(d.relation_name, r.relation_name, ro.relation_name)) AS new_name,
               o.interval_ms, o.cron, o.target_lag_ms, o.priority, o.schedule_version, o.created_at
        FROM tally.derived_view d LEFT JOIN tally.derived_view o ON o.id = d.replaces_id
        LEFT JOIN tally.derived_view r ON r.id = d.serves_id LEFT JOIN tally.derived_view ro ON ro.id = r.replaces_id
        WHERE next.id IN (d.id, d.root_id);
    UPDATE tally.merge_state m SET keys_merged = m.keys_merged + o.keys_merged, rows_changed = m.rows_changed + o.rows_changed
    FROM tally.merge_state o WHERE m.view_id = next.id AND o.view_id = v.id;
    PERFORM tally.move_write_back(v.id);
    PERFORM tally.drop_made(v.id);
    UPDATE tally.derived_view d SET replaces_id = NULL, verified_at = NULL, verified_by = NULL, swap_at = NULL WHERE next.id IN (d.id, d.root_id);
    DELETE FROM tally.derived_view d WHERE d.id = v.id;
    FOR n IN SELECT x.index, x.name FROM tally_indexes x JOIN pg_class c ON c.oid = x.index WHERE c.relname <> x.name LOOP
        EXECUTE format('ALTER INDEX %s RENAME TO %I', n.index, n.name);
    END LOOP;
    FOR n IN SELECT * FROM tally_names LOOP
        PERFORM tally.rename_made(tally.view_by_id(n.id), n.new_name);
        UPDATE tally.derived_view d SET relation_name = n.new_name, interval_ms = n.interval_ms, cron = n.cron, target_lag_ms = n.target_lag_ms, priority = coalesce(n.priority, 0),
            schedule_version = coalesce(n.schedule_version, 1), created_at = coalesce(n.created_at, d.created_at) WHERE d.id = n.id;
    END LOOP;
    DROP TABLE tally_names, tally_indexes;
    PERFORM tally.generate_anew(tally.view_by_id(next.id));
    PERFORM tally.renew_write_back(next.id);
    FOREACH command IN ARRAY settings LOOP
        EXECUTE command;
    END LOOP;
END
$$;

-- tally.rename_made: rename what was made for one derived view.
--   Parameters followed: the suffix of the table that has the name already. It is left alone, even if its user is just giving it another one
DROP FUNCTION IF EXISTS tally.rename_made(tally.derived_view, name);  -- it had fewer parameters
CREATE OR REPLACE FUNCTION tally.rename_made(d tally.derived_view, new_name name, followed text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    o record;
BEGIN
    FOR o IN SELECT c.relname, tally.cut_name(new_name || substr(c.relname, length(d.relation_name) + 1), 63) AS name
             FROM unnest('{"",_delta,_state}'::text[]) s JOIN pg_index x ON x.indrelid = tally.relation_of(d, s) JOIN pg_class c ON c.oid = x.indexrelid
             WHERE starts_with(c.relname, d.relation_name) LOOP
        IF o.name <> o.relname AND to_regclass(format('%I.%I', d.schema_name, o.name)) IS NULL THEN
            EXECUTE format('ALTER INDEX %I.%I RENAME TO %I', d.schema_name, o.relname, o.name);
        END IF;
    END LOOP;
    FOR o IN SELECT s FROM unnest('{_identity,_cell,_touched}'::text[]) s WHERE to_regtype(tally.part(d, s)) IS NOT NULL LOOP
        EXECUTE format('ALTER TYPE %s RENAME TO %I', tally.part(d, o.s), new_name || o.s);
    END LOOP;
    FOR o IN SELECT f.function, f.suffix FROM tally.functions_made(d) f LOOP
        EXECUTE format('ALTER FUNCTION %s RENAME TO %I', o.function, new_name || o.suffix);
    END LOOP;
    FOR o IN SELECT s FROM unnest('{"",_delta,_state,_live,_change,_def}'::text[]) s
             WHERE s IS DISTINCT FROM followed AND to_regclass(tally.part(d, s)) IS NOT NULL AND (s <> '_def' OR d.kind = 'rollup') LOOP  -- the _def of a projection belongs to the user
        EXECUTE format('ALTER TABLE %s RENAME TO %I', tally.part(d, o.s), new_name || tally.suffix_of(d, o.s));
    END LOOP;
END
$$;
