-- tally.heal: put back triggers that tally.health misses (a partition attached later, a dropped or disabled trigger), and
-- enqueue every key, since nobody knows what was written meanwhile.
--   Locks     SHARE ROW EXCLUSIVE on the sources until the transaction ends
--   Called by the owner of the schema, when tally.health shows a problem
CREATE OR REPLACE FUNCTION tally.heal(name text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v tally.derived_view := tally.lookup_root(name);
    h record;
BEGIN
    PERFORM tally.require_active(v);
    IF v.kind = 'snapshot' THEN
        PERFORM tally.activate_snapshot(v);
        RETURN;
    END IF;
    PERFORM tally.install_triggers(v, v.definition);
    FOR h IN SELECT x.relation, x.trigger FROM tally.health x WHERE x.view = tally.part(v) AND NOT x.ok AND x.trigger IS NOT NULL LOOP
        EXECUTE format('ALTER TABLE %s ENABLE TRIGGER %I', h.relation, h.trigger);
    END LOOP;
    PERFORM tally.rebuild(name);
END
$$;
COMMENT ON FUNCTION tally.heal(text) IS 'put back missing or disabled triggers, and enqueue every key';
