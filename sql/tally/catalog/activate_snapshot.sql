-- tally.activate_snapshot: put the triggers of a snapshot on the tables that it reads, and mark it changed.
--   Locks     SHARE ROW EXCLUSIVE on those tables until the transaction ends
CREATE OR REPLACE FUNCTION tally.activate_snapshot(v tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s   tally.source;
    t   regclass;
BEGIN
    PERFORM tally.refuse_unsafe(v, v.definition);
    PERFORM tally.generate_snapshot_log(v);
    PERFORM tally.generate_upkeep(v);
    PERFORM tally.lock_sources(v);
    FOR s IN SELECT * FROM tally.source WHERE projection_id = v.id ORDER BY ordinal LOOP
        FOR t IN SELECT tally.table_and_children(s.relation) LOOP
            PERFORM tally.install_snapshot_trigger(v, s, t);
        END LOOP;
    END LOOP;
    PERFORM tally.remember_members(v);
    PERFORM tally.note_triggers(v.id);
    PERFORM tally.own_made(v);
    PERFORM tally.grant_engine(v);
    PERFORM tally.enqueue_sweep(v);
    UPDATE tally.derived_view d SET state = 'filling' WHERE d.id = v.id AND d.state <> 'paused';
END
$$;

-- tally.generate_snapshot_log: the trigger function of a snapshot.
CREATE OR REPLACE FUNCTION tally.generate_snapshot_log(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $generator$
DECLARE
    log text := tally.part(v, '_log');
BEGIN
    EXECUTE tally.render($template$
CREATE OR REPLACE FUNCTION {log}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    {return_unlogged}
    INSERT INTO {delta} DEFAULT VALUES;
    RETURN NULL;
END
$body$ $template$, jsonb_build_object('log', log, 'return_unlogged', tally.sql_return_unlogged(v), 'delta', tally.part(v, '_delta')));
    PERFORM tally.seal(log || '()', 'tells ' || tally.part(v) || ' that something it reads has changed');
END
$generator$;

-- tally.install_snapshot_trigger: the four triggers of a snapshot on one table.
CREATE OR REPLACE FUNCTION tally.install_snapshot_trigger(v tally.derived_view, s tally.source, relation regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    event text;
BEGIN
    FOREACH event IN ARRAY '{insert,update,delete,truncate}'::text[] LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s FOR EACH STATEMENT EXECUTE FUNCTION %s()',
            tally.trigger_name(v, s, event), event, relation, tally.part(v, '_log'));
    END LOOP;
    PERFORM tally.fire_always(relation, ARRAY(SELECT tally.trigger_name(v, s, e) FROM unnest('{insert,update,delete,truncate}'::text[]) e));
END
$$;
