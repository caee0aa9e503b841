-- tally.install_triggers: put the statement triggers of a projection on its sources.
--   Locks     SHARE ROW EXCLUSIVE on all sources, always in the same order, until the transaction ends. This waits for running
--             writers, and every later writer finds the triggers
--   Raises    TL015 if a lock is not granted within lock_timeout (2 s if that is not set)
CREATE OR REPLACE FUNCTION tally.install_triggers(v tally.derived_view, definition regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    s tally.source;
    t regclass;
BEGIN
    PERFORM tally.lock_sources(v);
    PERFORM tally.enqueue_sweep(v) WHERE tally.touched_tables(v.id) <> '{}';  -- CREATE OR REPLACE hides that triggers were disabled
    FOR s IN SELECT * FROM tally.source WHERE projection_id = v.id AND columns IS NOT NULL ORDER BY ordinal LOOP
        PERFORM tally.require_watched_columns(v, s);
        PERFORM tally.generate_log(v, s, definition);
        FOR t IN SELECT tally.table_and_children(s.relation) LOOP
            PERFORM tally.install_trigger(v, s, t);
        END LOOP;
    END LOOP;
    PERFORM tally.remember_members(v);
    PERFORM tally.note_triggers(v.id);
END
$$;

-- tally.require_watched_columns: raise if a watched column was renamed or dropped after tally.watch, and before the locks were granted.
--   Raises    TL006
CREATE OR REPLACE FUNCTION tally.require_watched_columns(v tally.derived_view, s tally.source)
RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    missing name;
BEGIN
    SELECT c INTO missing FROM unnest(s.columns) c WHERE c <> ALL (tally.columns_of(s.relation)) LIMIT 1;
    IF FOUND THEN
        PERFORM tally.fail('TL006', format('%s has no column "%s" any more, which %s is to watch.', s.relation, missing, tally.part(v)),
            format('SELECT tally.drop(%L), then declare it again with the names of now.', tally.part(v)));
    END IF;
END
$$;

-- tally.remember_members: store which partitions and children the sources have, so that tally.health can tell that one is gone. Drop
-- the triggers on tables that no longer belong to a source.
--   Writes    tally.source
--   Locks     ACCESS EXCLUSIVE on a table that is no longer part of a source, if triggers are left on it
CREATE OR REPLACE FUNCTION tally.remember_members(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    g record;
BEGIN
    FOR g IN SELECT x.trigger, x.relation FROM tally.source s CROSS JOIN LATERAL tally.stray_triggers(s) x WHERE s.projection_id = v.id LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', g.trigger, g.relation);
    END LOOP;
    UPDATE tally.source s SET members = ARRAY(SELECT tally.table_and_children(s.relation)), unread = '{}' WHERE s.projection_id = v.id AND s.columns IS NOT NULL;
END
$$;

-- tally.install_trigger: put the triggers of one source on one table: the source itself, or one of its partitions. Partitions need their
-- own, because a statement trigger fires only for the table that the statement names. They fire whatever session_replication_role is, if the
-- caller owns the table.
CREATE OR REPLACE FUNCTION tally.install_trigger(v tally.derived_view, s tally.source, relation regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    t    record;
    made name[] := '{}';
BEGIN
    FOR t IN SELECT * FROM tally.triggers_needed(v, s, relation) LOOP
        made := made || t.trigger;
        EXECUTE format('CREATE OR REPLACE TRIGGER %I %s ON %s %s EXECUTE FUNCTION %s()', t.trigger, t.fires, relation, t.per, tally.part(v, t.function));
        EXECUTE format('COMMENT ON TRIGGER %I ON %s IS %L', t.trigger, relation, 'tells ' || tally.part(v) || ' what changed');
    END LOOP;
    PERFORM tally.fire_always(relation, made);
END
$$;

-- tally.fire_always: let triggers fire whatever session_replication_role is, if the caller owns the table: a right to put triggers on it is not enough.
CREATE OR REPLACE FUNCTION tally.fire_always(relation regclass, triggers name[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    IF pg_has_role((SELECT c.relowner FROM pg_class c WHERE c.oid = relation), 'USAGE') THEN
        EXECUTE (SELECT format('ALTER TABLE %s %s', relation, string_agg(format('ENABLE ALWAYS TRIGGER %I', t), ', ' ORDER BY t)) FROM unnest(triggers) t);
    END IF;
END
$$;

-- tally.trigger_name: the name of one event's trigger for one source of a projection.
CREATE OR REPLACE FUNCTION tally.trigger_name(v tally.derived_view, s tally.source, event text)
RETURNS name LANGUAGE sql STABLE AS $$
    SELECT format('tally_%s_%s_%s', v.id, s.ordinal, event)::name
$$;

-- tally.triggers_needed: the triggers that one table of a source needs. Every table needs four. A partitioned source also needs those that
-- follow rows to another partition (tally.generate_moves); PostgreSQL copies its row triggers to the partitions by itself.
--   Returns    trigger; function: the suffix after the derived view's name; fires, per: clauses of CREATE TRIGGER
CREATE OR REPLACE FUNCTION tally.triggers_needed(v tally.derived_view, s tally.source, relation regclass)
RETURNS TABLE (trigger name, function text, fires text, per text) LANGUAGE sql STABLE ROWS 2 SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT tally.trigger_name(v, s, e.event), '_log_' || s.ordinal, 'AFTER ' || e.event, e.transitions || ' FOR EACH STATEMENT'
    FROM (VALUES ('insert', 'REFERENCING NEW TABLE AS new_rows'), ('update', 'REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows'),
                 ('delete', 'REFERENCING OLD TABLE AS old_rows'), ('truncate', '')) AS e(event, transitions)
    UNION ALL
    SELECT tally.trigger_name(v, s, 'begin_' || e), '_begin_' || s.ordinal, 'BEFORE ' || e, 'FOR EACH STATEMENT'
    FROM unnest('{insert,update}'::text[]) e WHERE v.kind = 'projection' AND tally.is_partitioned(s.relation)
    UNION ALL
    SELECT tally.trigger_name(v, s, m.moving), '_move_' || s.ordinal, 'AFTER ' || m.event, format('FOR EACH ROW WHEN (%s)', m.condition)
    FROM (VALUES ('leave', 'delete', format('CASE WHEN current_setting(%s, true) <> %L THEN set_config(%s, %L, true) <> %2$L ELSE false END',
                                            tally.sql_flag(v, s, 'updating'), '', tally.sql_flag(v, s, 'leaving'), '+')),
                 ('arrive', 'insert', format('current_setting(%s, true) <> %L', tally.sql_flag(v, s, 'leaving'), ''))) AS m(moving, event, condition)
    WHERE v.kind = 'projection' AND tally.is_partitioned(s.relation) AND relation = s.relation
$$;

-- tally.stray_triggers: triggers of one source on tables that no longer belong to it. A partition keeps its triggers when it is detached.
CREATE OR REPLACE FUNCTION tally.stray_triggers(s tally.source)
RETURNS TABLE (relation regclass, trigger name) LANGUAGE sql STABLE ROWS 2 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT g.tgrelid::regclass, g.tgname FROM pg_trigger g
    WHERE g.tgname = ANY (ARRAY(SELECT format('tally_%s_%s_%s', s.projection_id, s.ordinal, k)::name
                                FROM unnest('{insert,update,delete,truncate,begin_insert,begin_update,leave,arrive}'::text[]) k))
      AND NOT g.tgisinternal AND g.tgparentid = 0
      AND g.tgrelid NOT IN (SELECT t FROM tally.table_and_children(s.relation) t)
$$;

-- tally.watched_tables: the sources of a derived view that have triggers.
CREATE OR REPLACE FUNCTION tally.watched_tables(v tally.derived_view)
RETURNS regclass[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY(SELECT s.relation FROM tally.source s WHERE s.projection_id = v.id AND s.columns IS NOT NULL)
$$;

-- tally.lock_sources: lock the watched tables of a projection against writers.
CREATE OR REPLACE FUNCTION tally.lock_sources(v tally.derived_view)
RETURNS void LANGUAGE sql AS $$
    SELECT tally.lock_tables(tally.watched_tables(v), 'SHARE ROW EXCLUSIVE')
$$;

-- tally.triggers_of: all triggers that the engine made for a projection or a snapshot.
CREATE OR REPLACE FUNCTION tally.triggers_of(view_id integer)
RETURNS SETOF pg_trigger LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT g FROM pg_trigger g
    WHERE (g.tgname ~ format('^tally_%s_\d+_(insert|update|delete|truncate|begin_insert|begin_update|leave|arrive)$', view_id)
           OR g.tgfoid IN (SELECT p.oid FROM tally.derived_view d JOIN pg_namespace n ON n.nspname = d.schema_name JOIN pg_proc p ON p.pronamespace = n.oid  -- somebody renamed it
                           WHERE d.id = view_id AND starts_with(p.proname, d.relation_name) AND substr(p.proname, length(d.relation_name) + 1) ~ '^_(log|begin|move)_\d+$'))
      AND NOT g.tgisinternal AND g.tgparentid = 0
$$;
