-- tally.heal: put back triggers that tally.health reports as missing (of a partition attached later, or dropped or disabled), remove those
-- on tables that no longer belong to a source, and enqueue every key, because changes in between were not logged. If only partitions
-- have come or gone, only their rows are compared.
--   Locks     the advisory lock, so that no merge runs meanwhile; SHARE ROW EXCLUSIVE on the sources, ACCESS EXCLUSIVE on a table that loses triggers, until the transaction ends
--   Used by    the owner of the schema, when tally.health shows a problem
CREATE OR REPLACE FUNCTION tally.heal(name text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tally.heal_by_name(tally.called(name, pg_catalog.current_schemas(true)));
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM tally.fail_denied(name, SQLERRM);
END
$$;
COMMENT ON FUNCTION tally.heal(text) IS 'put back missing or disabled triggers, remove stray ones, and enqueue every key';

-- tally.heal_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.heal_by_name(name text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v tally.derived_view := tally.lock_root(name);
BEGIN
    PERFORM tally.heal_view(v);
END
$$;

-- tally.heal_view: the same for a view that is already locked, independent of the caller's search_path.
CREATE OR REPLACE FUNCTION tally.heal_view(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    PERFORM tally.require_active(v);
    PERFORM tally.require_present(v);
    PERFORM tally.lock_sources(v);  -- with the caller's patience
    PERFORM tally.follow_definition(v, true);
    v := tally.view_by_id(v.id);
    UPDATE tally.merge_state m SET error = NULL, error_sqlstate = NULL, failures = 0, retry_at = NULL WHERE m.view_id = v.id;
    IF EXISTS (SELECT FROM tally.derived_view d CROSS JOIN LATERAL tally.lost_write_backs(d.id) WHERE v.id IN (d.id, d.root_id)) THEN
        PERFORM tally.renew_write_back(v.id);
    END IF;
    IF tally.only_partitions_differ(v) AND tally.follow_partitions(v) THEN
        PERFORM tally.follow_partitions(v);  -- the second call enqueues the rows of these partitions
        RETURN;
    END IF;
    IF v.kind = 'snapshot' THEN
        PERFORM tally.activate_snapshot(v);
        RETURN;
    END IF;
    PERFORM tally.renew_delta(v), tally.install_triggers(v, v.definition);
    PERFORM tally.rebuild(tally.part(v));
END
$$;
