-- Triggers that were disabled for a while, so that something was written unseen. The catalog rows of triggers tell of it: each ALTER TABLE … DISABLE or ENABLE
-- TRIGGER writes them again. A subscription fires no statement trigger either; health names it, and once it has gone, every key is compared.

-- tally.kept_and_written: the tables of a projection or a snapshot, and of the rollups above it, whose values are written back.
CREATE OR REPLACE FUNCTION tally.kept_and_written(root integer)
RETURNS oid[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY(SELECT DISTINCT m.relation::oid FROM tally.write_back b JOIN tally.derived_view d ON d.id = b.view_id JOIN tally.made m ON m.view_id = d.id AND m.suffix = '' WHERE root IN (d.id, d.root_id))
$$;

-- tally.lost_write_backs: the triggers of one derived view that should tell what is to be written back, and do not.
CREATE OR REPLACE FUNCTION tally.lost_write_backs(view_id integer)
RETURNS TABLE (relation regclass, trigger name) LANGUAGE sql STABLE ROWS 2 SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT m.relation, e.trigger FROM tally.made m JOIN pg_class c ON c.oid = m.relation CROSS JOIN unnest('{tally_write_back_insert,tally_write_back_update,tally_write_back_delete}'::name[]) e(trigger)
    LEFT JOIN pg_trigger g ON g.tgrelid = m.relation AND g.tgname = e.trigger
    WHERE m.view_id = lost_write_backs.view_id AND m.suffix = '' AND coalesce(g.tgenabled, 'D') NOT IN ('O', 'A') AND EXISTS (SELECT FROM tally.write_back w WHERE w.view_id = m.view_id)
$$;

-- tally.trigger_states: the state of a derived view's triggers, by table: which of them fire, the transactions that last changed them, and subscriptions
-- that write the table.
--   Parameters relations: only of these tables
CREATE OR REPLACE FUNCTION tally.trigger_states(view_id integer, relations regclass[] DEFAULT NULL)
RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT coalesce(jsonb_object_agg(x.tgrelid::text, x.state), '{}')
    FROM (SELECT tally.kept_and_written(trigger_states.view_id)) k(kept) CROSS JOIN LATERAL (
          SELECT g.tgrelid, concat_ws(' ', sum(g.xmin::text::bigint), string_agg(g.tgenabled::text, '' ORDER BY g.tgname),
                 (SELECT string_agg(r.srsubid::text, ',' ORDER BY r.srsubid) FROM pg_subscription_rel r WHERE r.srrelid = g.tgrelid)) AS state
          FROM pg_trigger g
          WHERE g.tgrelid = ANY (coalesce(relations::oid[], kept || ARRAY(SELECT m::oid FROM tally.source s CROSS JOIN unnest(s.members) m WHERE s.projection_id = trigger_states.view_id AND s.columns IS NOT NULL)))
            AND starts_with(g.tgname::text, CASE WHEN g.tgrelid = ANY (kept) THEN 'tally_write_back_' ELSE format('tally_%s_', view_id) END) AND g.tgparentid = 0  -- those that a partition has of its parent come and go with it
          GROUP BY g.tgrelid) x
$$;

-- tally.touched_tables: the tables with triggers of a derived view that are not as the engine left them or last saw them.
CREATE OR REPLACE FUNCTION tally.touched_tables(view_id integer)
RETURNS regclass[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT ARRAY(SELECT n.key::oid::regclass FROM tally.fingerprint f CROSS JOIN LATERAL jsonb_each_text(tally.trigger_states(f.view_id)) n
                 WHERE f.view_id = touched_tables.view_id AND f.triggers ->> n.key <> n.value ORDER BY n.key::oid)
$$;

-- tally.note_triggers: store the state of the triggers on these tables, or on all.
--   Writes     tally.fingerprint
CREATE OR REPLACE FUNCTION tally.note_triggers(view_id integer, relations regclass[] DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$
    UPDATE tally.fingerprint f SET triggers = f.triggers || tally.trigger_states(f.view_id, note_triggers.relations) WHERE f.view_id = note_triggers.view_id
$$;

-- tally.follow_triggers: before a merge: if triggers were disabled or enabled, enqueue every key.
--   Writes     tally.fingerprint; a sweep; every key is written back once
--   Notes      ALTER TABLE … ENABLE TRIGGER makes triggers fire in ordinary sessions only. The note of such a table stays one of a touched table, so that
--              tally.arm_triggers also compares what other sessions write until then
CREATE OR REPLACE FUNCTION tally.follow_triggers(v tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    touched regclass[] := tally.touched_tables(v.id);
BEGIN
    IF touched <> '{}' THEN
        PERFORM tally.enqueue_sweep(v), tally.write_every_key(v.id);
        PERFORM tally.note_triggers(v.id);
        UPDATE tally.fingerprint f SET triggers = f.triggers || (SELECT coalesce(jsonb_object_agg(t::oid::text, f.triggers ->> t::oid::text || ' unseen'), '{}') FROM unnest(tally.unarmed_tables(v.id)) t WHERE t = ANY (touched))
        WHERE f.view_id = v.id;
    END IF;
END
$$;

-- tally.triggers_unarmed: the triggers of a derived view on one table that fire in ordinary sessions only; also those that a partition has of its parent.
CREATE OR REPLACE FUNCTION tally.triggers_unarmed(view_id integer, relation regclass)
RETURNS SETOF name LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT g.tgname FROM pg_trigger g WHERE g.tgrelid = triggers_unarmed.relation AND starts_with(g.tgname::text, format('tally_%s_', view_id)) AND g.tgenabled = 'O'
$$;

-- tally.unarmed_tables: the tables with enabled triggers that do not fire in sessions whose session_replication_role is replica, although the role that
-- installed the engine may set them to ENABLE ALWAYS.
--   Reads      what tally.fingerprint notes; the catalog only for tables that it names
CREATE OR REPLACE FUNCTION tally.unarmed_tables(view_id integer)
RETURNS regclass[] LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT ARRAY(SELECT c.oid::regclass FROM tally.fingerprint f CROSS JOIN LATERAL jsonb_each_text(f.triggers) n JOIN pg_class c ON c.oid = n.key::oid
                 WHERE f.view_id = unarmed_tables.view_id AND f.triggers::text LIKE '%O%' AND n.value ~ '^\d+ [ADR]*O' AND pg_has_role(c.relowner, 'USAGE')
                   AND EXISTS (SELECT FROM tally.triggers_unarmed(f.view_id, c.oid)) ORDER BY c.oid)
$$;

-- tally.arm_triggers: before a merge: set triggers to ENABLE ALWAYS that fire in ordinary sessions only: somebody enabled them again, or an older engine
-- made them. Then, if they were touched, enqueue every key.
--   Returns    whether it did
--   Writes     tally.fingerprint; a sweep
--   Locks      SHARE ROW EXCLUSIVE on these tables until the transaction ends, which is soon. Mostly it does not wait for them: a table that somebody
--              writes is left for a later merge. One attempt of twenty waits for 100 ms
CREATE OR REPLACE FUNCTION tally.arm_triggers(v tally.derived_view)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    patience text := current_setting('lock_timeout');
    waits    boolean := random() >= 0.95;
    armed    regclass[] := '{}';
    t        regclass;
BEGIN
    FOREACH t IN ARRAY tally.unarmed_tables(v.id) LOOP
        BEGIN
            IF waits THEN
                PERFORM tally.interrupt_autovacuum(ARRAY[t]);
            END IF;
            PERFORM set_config('lock_timeout', '100ms', true);
            EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE %s', t, CASE WHEN NOT waits THEN 'NOWAIT' END);
            PERFORM tally.fire_always(t, ARRAY(SELECT tally.triggers_unarmed(v.id, t)));
            PERFORM set_config('lock_timeout', patience, true);
            armed := armed || t;
        EXCEPTION WHEN lock_not_available OR insufficient_privilege OR deadlock_detected OR undefined_table OR object_in_use THEN
            NULL;
        END;
    END LOOP;
    IF armed = '{}' THEN
        RETURN false;
    END IF;
    PERFORM tally.enqueue_sweep(v) WHERE tally.was_touched(v.id, armed);
    PERFORM tally.note_triggers(v.id, armed);
    RETURN true;
END
$$;

-- tally.was_touched: whether the triggers on one of these tables were enabled by somebody else than the engine.
CREATE OR REPLACE FUNCTION tally.was_touched(view_id integer, relations regclass[])
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT EXISTS (SELECT FROM tally.fingerprint f CROSS JOIN unnest(relations) t WHERE f.view_id = was_touched.view_id AND f.triggers ->> t::oid::text LIKE '% unseen')
$$;

-- tally.trigger_trouble: what the next merge will do because triggers fire again that were disabled for a while; NULL: nothing.
CREATE OR REPLACE FUNCTION tally.trigger_trouble(v tally.derived_view)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format('triggers on %s were disabled or enabled, or a subscription to it came or went, and something may have been written unseen: the next merge compares every key', string_agg(t::text, ', '))
    FROM unnest(tally.touched_tables(v.id)) t
    WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t AND g.tgname ~ format('^tally_(%s|write_back)_', v.id) AND g.tgenabled NOT IN ('O', 'A'))  -- health names these
    HAVING count(*) > 0
$$;
