-- tally.ready: which of some derived views a merge would find something to do for. One question for all of them, so that idle views cost little.
--   Parameters names: as tally.due() has them; definitions: also look whether a definition, a partition or what is written back has changed,
--              which takes some tenths of a millisecond a view and need not be asked as often
--   Returns    some of the names, in the same order; none of what is paused or waits after an error
--   Reads      the catalog; each delta table from merged_through on, for one row
--   Used by    the scheduler
CREATE OR REPLACE FUNCTION tally.ready(names text[], definitions boolean DEFAULT true)
RETURNS SETOF text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v     record;
    waits boolean;
BEGIN
    FOR v IN SELECT d.id, n.name, coalesce(m.relation, tally.relation_of(d, '_delta')) AS delta,
                    s.retry_at IS NOT NULL OR (tally.replacement_of(d.id)).id IS NOT NULL AS sure
             FROM unnest(names) WITH ORDINALITY n(name, i) JOIN tally.derived_view d ON tally.name_of(d.schema_name, d.relation_name) = n.name
             LEFT JOIN tally.merge_state s ON s.view_id = d.id LEFT JOIN tally.made m ON m.view_id = d.id AND m.suffix = '_delta'
             WHERE d.root_id IS NULL AND d.replaces_id IS NULL AND d.state IN ('filling', 'active')
               AND (s.retry_at IS NULL OR s.retry_at <= clock_timestamp() OR (tally.replacement_of(d.id)).id IS NOT NULL)
             ORDER BY n.i LOOP
        waits := v.sure OR tally.has_due(v.id);
        IF NOT waits AND pg_relation_size(v.delta) > 0 THEN   -- it is null for a table that is gone
            BEGIN
                EXECUTE format('SELECT EXISTS (SELECT FROM %s d WHERE d.tally_xid >= (SELECT $1))', v.delta) INTO waits USING tally.scan_from(v.id);
            EXCEPTION WHEN undefined_table OR syntax_error THEN
                waits := true;  -- dropped or swapped at this moment
            END;
        END IF;
        IF waits OR definitions AND tally.has_changed(v.id) THEN
            RETURN NEXT v.name;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION tally.ready(text[], boolean) IS 'which of some derived views a merge would find something to do for';

-- tally.has_changed: whether a merge would find something to do besides what is pending: another definition, another partition, values to
-- write back, writes that were not logged, triggers that do not fire in every session, a first look after a crash.
CREATE OR REPLACE FUNCTION tally.has_changed(view_id integer)
RETURNS boolean LANGUAGE sql STABLE SET plan_cache_mode = force_generic_plan AS $$
    SELECT NOT EXISTS (SELECT FROM tally.fingerprint f WHERE f.view_id = has_changed.view_id AND NOT f.mend AND f.glance = tally.glance(f))
        OR NOT EXISTS (SELECT FROM tally.since_crash c WHERE c.view_id = has_changed.view_id)
        OR EXISTS (SELECT FROM tally.unlogged u WHERE u.view_id = has_changed.view_id)
        OR tally.unarmed_tables(has_changed.view_id) <> '{}'
        OR EXISTS (SELECT FROM tally.write_back w JOIN tally.derived_view d ON d.id = w.view_id AND has_changed.view_id IN (d.id, d.root_id)
                   WHERE EXISTS (SELECT FROM tally.to_write_back q WHERE q.write_back_id = w.id))
        OR EXISTS (SELECT FROM tally.split x JOIN tally.derived_view r ON r.id = x.rollup_id AND r.root_id = has_changed.view_id
                   WHERE x.rule IS DISTINCT FROM tally.rule_version(r.definition))
        OR EXISTS (SELECT FROM tally.parted_sources(has_changed.view_id) s
                   WHERE s.unread <> '{}' OR tally.members_differ(s) OR tally.lacks_moves(tally.view_by_id(has_changed.view_id), s))
$$;

-- tally.catalog_changes: a number that changes after something in the catalog has, so that definitions need be looked at only then.
--   Returns   rows written to the catalogs that a definition may depend on. A session tells of its own when it is idle, or after some
--             seconds: so look at definitions without it too, less often
CREATE OR REPLACE FUNCTION tally.catalog_changes()
RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT sum(pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid))::bigint
    FROM unnest('{pg_class,pg_attribute,pg_rewrite,pg_proc,pg_namespace,pg_type,pg_enum,pg_constraint,pg_inherits,pg_trigger}'::regclass[]) c(oid)
$$;
COMMENT ON FUNCTION tally.catalog_changes() IS 'a number that changes after something in the catalog has';
