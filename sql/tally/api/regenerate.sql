-- tally.regenerate: after an upgrade of the engine, generate the functions and views of every active derived view again, if an
-- older engine made them. Stored rows, delta rows and triggers are kept. A rollup whose running sums have another form now is filled
-- again from the stored rows below it. A projection of which this engine derives other watches is compared as a whole by the next merge.
--   Returns    the derived views whose code was generated. Those of other owners, and those that somebody reads for long, are skipped with a warning,
--              and tally.health names them
--   Locks      as tally.regenerate_view, for each of them until the transaction ends
--   Used by    owners, after an upgrade. The migration at start and sql/tally/upgrade.sql give each its own transaction
CREATE OR REPLACE FUNCTION tally.regenerate()
RETURNS SETOF text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v    tally.derived_view;
    made text;
BEGIN
    PERFORM tally.renew_delta(d), tally.generate_snapshot_log(d), tally.generate_upkeep(d), tally.own_made(d), tally.grant_engine(d) FROM tally.derived_view d WHERE d.kind = 'snapshot' AND d.state <> 'defined' AND tally.is_owner(d);
    FOR v IN SELECT * FROM tally.outdated(false) LOOP
        IF NOT tally.is_owner(v) THEN
            RAISE WARNING '% was made by another version of the engine; its owner has to call tally.regenerate().', tally.part(v);
            CONTINUE;
        END IF;
        made := tally.regenerate_view(v.id);
        IF made IS NOT NULL THEN
            RETURN NEXT made;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION tally.regenerate() IS 'after an upgrade: make the functions and views of derived views anew; returns which';

-- tally.regenerate_view: the same for one projection and its rollups, of which the caller is the owner.
--   Returns    its name; NULL, with a warning, if its live view could not be locked: then nothing has changed
--   Locks      its advisory lock (waits for its merge); ACCESS EXCLUSIVE on its live views, and on a delta table that an older engine made otherwise, until the
--              transaction ends: readers wait so long. It waits half a second for these locks. None on a source
CREATE OR REPLACE FUNCTION tally.regenerate_view(view_id integer)
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v        tally.derived_view := tally.view_by_id(view_id);
    patience text := current_setting('lock_timeout');
    f        text;
    renewed  integer[];
BEGIN
    PERFORM pg_advisory_xact_lock(tally.lock_class(), v.id);
    PERFORM set_config('lock_timeout', '500ms', true);
    PERFORM tally.drop_generated(v), tally.renew_delta(v), tally.renew_expands(v);
    renewed := ARRAY(SELECT r.id FROM tally.rollups_above(v.id) r WHERE tally.renew_state(r));
    PERFORM tally.generate_anew(v);
    FOR f IN SELECT tally.relation_of(d, '_change') FROM tally.drop_order(v.id) d WHERE tally.relation_of(d, '_change') IS NOT NULL LOOP
        EXECUTE format('DROP VIEW %s', f);  -- made by engines up to 2026-11
    END LOOP;
    IF renewed <> '{}' THEN
        EXECUTE format('SELECT %s()', tally.declarers(v, '_mend'));  -- fills the empty rollups with the declarer's rights, because a filter may call the declarer's code
    END IF;
    IF EXISTS (SELECT FROM tally.source s WHERE s.projection_id = v.id AND tally.breaks_in_quotes(s.expand))
       OR EXISTS (SELECT FROM tally.derived_view d WHERE d.root_id = v.id AND tally.breaks_in_quotes(d.filter)) THEN
        PERFORM tally.enqueue_sweep(v);  -- engines up to 2026-11 put blanks into strings of several lines
        EXECUTE format('SELECT %s()', tally.declarers(v, '_mend'));
    END IF;
    IF tally.derives_otherwise(v) THEN  -- the next merge watches what is derived now, with patience for locks, and compares every key
        PERFORM tally.enqueue_sweep(v);
        UPDATE tally.fingerprint f SET meaning = '', glance = '' WHERE f.view_id = v.id;
    END IF;
    IF EXISTS (SELECT FROM tally.source s WHERE s.projection_id = v.id AND s.columns IS NOT NULL AND tally.lacks_moves(v, s)) THEN
        PERFORM tally.enqueue_sweep(v);  -- makes a merge due, which puts the triggers on and holds their locks only briefly
    END IF;
    PERFORM set_config('lock_timeout', patience, true);
    RETURN tally.part(v);
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    RAISE WARNING '% was made by another version of the engine, and was not made anew, because a transaction that reads it has not ended: %.', tally.part(v), SQLERRM
        USING HINT = 'Call tally.regenerate() when it has ended.';
    RETURN NULL;
END
$$;

-- tally.is_owner: whether the caller may generate the functions of a derived view again. They can have another owner than its table, if that was given
-- another one.
CREATE OR REPLACE FUNCTION tally.is_owner(v tally.derived_view)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT pg_has_role(current_user, c.relowner, 'USAGE') AND NOT EXISTS (
        SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = v.schema_name AND p.proname IN (v.relation_name || '_log', v.relation_name || '_consume') AND NOT pg_has_role(current_user, p.proowner, 'USAGE'))
    FROM pg_class c WHERE c.oid = tally.relation_of(v)
$$;

-- tally.generator: a digest of the engine's functions. Generated code depends on nothing else in the engine.
CREATE OR REPLACE FUNCTION tally.generator()
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT md5(string_agg(p.proname || p.prosrc, '' ORDER BY p.proname, p.prosrc COLLATE "C"))
    FROM pg_proc p WHERE p.pronamespace = 'tally'::regnamespace
$$;

-- tally.outdated: the active projections whose code another version of the engine generated.
--   Parameters mine: only those that the caller may generate again
CREATE OR REPLACE FUNCTION tally.outdated(mine boolean)
RETURNS SETOF tally.derived_view LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT d.* FROM tally.derived_view d
    WHERE d.kind = 'projection' AND d.state <> 'defined' AND d.generated_by IS DISTINCT FROM (SELECT tally.generator()) AND (NOT mine OR tally.is_owner(d))
    ORDER BY d.id
$$;
