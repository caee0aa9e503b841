-- tally.follow_partitions: the first step of a merge. New partitions and children get triggers, removed ones lose them, and the keys of
-- their rows are enqueued. A new, empty partition costs nothing.
--   Returns    whether something was done. Then the merge ends at once, so that locks are held briefly, and has to be called again
--   Writes     tally.source, the delta table
--   Locks      SHARE ROW EXCLUSIVE on a new table, ACCESS EXCLUSIVE on a detached one. It gives up after 100 ms, and the next merge
--              tries again. Rows are read by a later merge, which takes no such lock
CREATE OR REPLACE FUNCTION tally.follow_partitions(v tally.derived_view)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    s    tally.source;
    done boolean := false;
BEGIN
    IF v.state = 'defined' OR current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN false;
    END IF;
    FOR s IN SELECT * FROM tally.parted_sources(v.id) LOOP
        IF s.unread <> '{}' THEN
            PERFORM tally.enqueue_rows(v, s, t) FROM unnest(s.unread) t;
            UPDATE tally.source x SET unread = '{}' WHERE x.projection_id = v.id AND x.ordinal = s.ordinal;
            done := true;
        ELSIF tally.members_differ(s) THEN
            done := tally.take_members(v, s) OR done;
        ELSIF tally.lacks_moves(v, s) THEN
            done := tally.add_moves(v, s) OR done;
        END IF;
    END LOOP;
    RETURN done;
END
$$;

-- tally.parted_sources: the sources that have, or had, partitions or children. What is asked of these alone has a COST, so that the planner
-- asks it last.
CREATE OR REPLACE FUNCTION tally.parted_sources(view_id integer)
RETURNS SETOF tally.source LANGUAGE sql STABLE AS $$
    SELECT x.* FROM tally.source x WHERE x.projection_id = view_id AND x.columns IS NOT NULL
       AND (x.unread <> '{}' OR cardinality(x.members) > 1 OR EXISTS (SELECT FROM pg_class c WHERE c.oid = x.relation AND c.relhassubclass))
$$;

-- tally.lacks_moves: whether a partitioned source lacks the triggers that follow rows to another partition. Engines up to 2026-11 made none.
CREATE OR REPLACE FUNCTION tally.lacks_moves(v tally.derived_view, s tally.source)
RETURNS boolean LANGUAGE sql STABLE COST 10000 AS $$
    SELECT v.kind = 'projection' AND tally.is_partitioned(s.relation)
       AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = s.relation AND g.tgname = tally.trigger_name(v, s, 'arrive'))
$$;

-- tally.add_moves: add these triggers and sweep, because rows that moved before are unknown.
--   Returns    whether it could: false if a lock or a right was missing
CREATE OR REPLACE FUNCTION tally.add_moves(v tally.derived_view, s tally.source)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    patience text := current_setting('lock_timeout');
BEGIN
    PERFORM tally.interrupt_autovacuum(ARRAY[s.relation]);
    PERFORM set_config('lock_timeout', '100ms', true);
    PERFORM tally.install_trigger(v, s, t) FROM tally.table_and_children(s.relation) t;
    PERFORM tally.note_triggers(v.id);
    PERFORM tally.enqueue_sweep(v);
    PERFORM set_config('lock_timeout', patience, true);
    RETURN true;
EXCEPTION WHEN lock_not_available OR insufficient_privilege OR deadlock_detected THEN
    RETURN false;
END
$$;

-- tally.members_differ: whether a source has other partitions or children than when its triggers were put on.
CREATE OR REPLACE FUNCTION tally.members_differ(s tally.source)
RETURNS boolean LANGUAGE sql STABLE COST 10000 AS $$
    SELECT (SELECT array_agg(t ORDER BY t) FROM tally.table_and_children(s.relation) t) IS DISTINCT FROM (SELECT array_agg(t ORDER BY t) FROM unnest(s.members) t)
$$;

-- tally.take_members: put triggers on new partitions and children of a source, and drop those of removed ones.
--   Returns    whether it could: false if a lock or a right was missing
--   Writes     tally.source: members; unread: the tables whose rows have yet to be enqueued. A sweep, if a partition was dropped, or was
--              changed before it had triggers, because its rows are unknown
CREATE OR REPLACE FUNCTION tally.take_members(v tally.derived_view, s tally.source)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    present  regclass[] := ARRAY(SELECT t FROM tally.table_and_children(s.relation) t);
    patience text := current_setting('lock_timeout');
    t        regclass;
    g        record;
    compared regclass[] := '{}';
    has_rows boolean;
BEGIN
    PERFORM tally.interrupt_autovacuum(ARRAY(SELECT m FROM unnest(present) m WHERE m <> ALL (s.members) UNION ALL SELECT x.relation FROM tally.stray_triggers(s) x));
    PERFORM set_config('lock_timeout', '100ms', true);
    FOR t IN SELECT m FROM unnest(present) m WHERE m <> ALL (s.members) LOOP
        IF v.kind = 'snapshot' THEN
            PERFORM tally.install_snapshot_trigger(v, s, t);
        ELSE
            PERFORM tally.install_trigger(v, s, t);
        END IF;
        CONTINUE WHEN tally.is_partitioned(t);
        EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s)', t) INTO has_rows;
        IF pg_stat_get_tuples_updated(t) + pg_stat_get_tuples_deleted(t) > 0 THEN
            PERFORM tally.enqueue_sweep(v);
        ELSIF has_rows THEN
            compared := compared || t;
        END IF;
    END LOOP;
    FOR g IN SELECT x.trigger, x.relation FROM tally.stray_triggers(s) x LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', g.trigger, g.relation);
    END LOOP;
    FOR t IN SELECT m FROM unnest(s.members) m WHERE m <> ALL (present) LOOP
        IF NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t) THEN
            PERFORM tally.enqueue_sweep(v);
        ELSIF NOT tally.is_partitioned(t) THEN
            compared := compared || t;
        END IF;
    END LOOP;
    PERFORM tally.note_triggers(v.id, ARRAY(SELECT m FROM unnest(present) m WHERE m <> ALL (s.members)));
    UPDATE tally.source x SET members = present, unread = compared WHERE x.projection_id = v.id AND x.ordinal = s.ordinal;
    PERFORM set_config('lock_timeout', patience, true);
    RETURN true;
EXCEPTION WHEN lock_not_available OR insufficient_privilege OR deadlock_detected THEN
    RETURN false;
END
$$;

-- tally.enqueue_rows: enqueue the keys of all rows of one table, as if each had been written.
CREATE OR REPLACE FUNCTION tally.enqueue_rows(v tally.derived_view, s tally.source, relation regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    IF v.kind = 'snapshot' OR NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation) THEN
        PERFORM tally.enqueue_sweep(v);
    ELSE
        EXECUTE tally.sql_log_many(v, s, tally.sql_logged(v, s, NULL, format('(SELECT * FROM ONLY %s)', relation)));
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.enqueue_sweep(v);
END
$$;

-- tally.only_partitions_differ: whether partitions or children of a source came or went, while every trigger on the remaining ones is there.
CREATE OR REPLACE FUNCTION tally.only_partitions_differ(v tally.derived_view)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT EXISTS (SELECT FROM tally.source s WHERE s.projection_id = v.id AND s.columns IS NOT NULL AND tally.members_differ(s))
       AND NOT EXISTS (
        SELECT FROM tally.source s CROSS JOIN LATERAL tally.table_and_children(s.relation) AS t(relation)
        CROSS JOIN LATERAL tally.triggers_needed(v, s, t.relation) AS n
        LEFT JOIN pg_trigger g ON g.tgrelid = t.relation AND g.tgname = n.trigger AND g.tgenabled IN ('O', 'A')
        WHERE s.projection_id = v.id AND s.columns IS NOT NULL AND t.relation = ANY (s.members) AND g.oid IS NULL)
$$;
