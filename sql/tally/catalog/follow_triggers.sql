-- Triggers that were disabled for a while, so that something was written unseen. The catalog rows of triggers tell of it: each ALTER TABLE … DISABLE or ENABLE
-- TRIGGER writes them again. A subscription fires no statement trigger either; health names it, and once it has gone, every key is compared.

-- tally.trigger_states: the state of a derived view's triggers, by table: which of them fire, the transactions that last changed them, and subscriptions
-- that write the table.
--   Parameters relations: only of these tables
CREATE OR REPLACE FUNCTION tally.trigger_states(view_id integer, relations regclass[] DEFAULT NULL)
RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT coalesce(jsonb_object_agg(x.tgrelid::text, x.state), '{}')
    FROM (SELECT g.tgrelid, concat_ws(' ', sum(g.xmin::text::bigint), string_agg(g.tgenabled::text, '' ORDER BY g.tgname),
                 (SELECT string_agg(r.srsubid::text, ',' ORDER BY r.srsubid) FROM pg_subscription_rel r WHERE r.srrelid = g.tgrelid)) AS state
          FROM pg_trigger g
          WHERE g.tgrelid = ANY (coalesce(relations::oid[], ARRAY(SELECT m::oid FROM tally.source s CROSS JOIN unnest(s.members) m WHERE s.projection_id = trigger_states.view_id AND s.columns IS NOT NULL)))
            AND starts_with(g.tgname::text, format('tally_%s_', view_id)) AND g.tgparentid = 0  -- those that a partition has of its parent come and go with it
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
--   Writes     tally.fingerprint; a sweep
CREATE OR REPLACE FUNCTION tally.follow_triggers(v tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF tally.touched_tables(v.id) <> '{}' THEN
        PERFORM tally.enqueue_sweep(v);
        PERFORM tally.note_triggers(v.id);
    END IF;
END
$$;

-- tally.trigger_trouble: what the next merge will do because triggers fire again that were disabled for a while; NULL: nothing.
CREATE OR REPLACE FUNCTION tally.trigger_trouble(v tally.derived_view)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format('triggers on %s were disabled or enabled, or a subscription to it came or went, and something may have been written unseen: the next merge compares every key', string_agg(t::text, ', '))
    FROM unnest(tally.touched_tables(v.id)) t
    WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t AND starts_with(g.tgname::text, format('tally_%s_', v.id)) AND g.tgenabled NOT IN ('O', 'A'))  -- health names these
    HAVING count(*) > 0
$$;
