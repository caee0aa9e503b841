-- Writes that could not be logged: a writer goes on, and the next merge compares every key.

-- tally.note_unlogged: note that something was written that the delta table of a derived view does not tell of.
--   Writes    tally.unlogged, unless it says so already
--   Used by   generated trigger functions (see tally.sql_return_unlogged). It runs with the engine's rights, and runs no code of anyone else
CREATE OR REPLACE FUNCTION tally.note_unlogged(view_id integer)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    INSERT INTO tally.unlogged (view_id) SELECT d.id FROM tally.derived_view d
    WHERE d.id = note_unlogged.view_id AND NOT EXISTS (SELECT FROM tally.unlogged u WHERE u.view_id = d.id)
$$;

-- tally.sql_return_unlogged: statements with which a trigger function begins: if its owner may not write the delta table, is bound by its row-level
-- security (FORCE), or the table has another name or schema, or is gone, it notes that and returns. They raise no error, whatever was dropped or revoked.
CREATE OR REPLACE FUNCTION tally.sql_return_unlogged(v tally.derived_view)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $generator$
    SELECT tally.render($template$IF (has_schema_privilege(to_regnamespace({schema_literal}), 'USAGE') AND has_table_privilege(to_regclass({delta_literal}), 'INSERT')
        AND NOT row_security_active(to_regclass({delta_literal}))) IS NOT TRUE THEN
    IF has_schema_privilege(to_regnamespace('tally'), 'USAGE') AND has_function_privilege(to_regprocedure('tally.note_unlogged(integer)'), 'EXECUTE') THEN
        PERFORM tally.note_unlogged({id});
    END IF;
    RETURN NULL;
END IF;$template$, jsonb_build_object(
        'id',             v.id,
        'delta_literal',  quote_literal(tally.part(v, '_delta')),
        'schema_literal', quote_literal(quote_ident(v.schema_name))))
$generator$;

-- tally.follow_unlogged: before a merge: if something could not be logged, enqueue every key.
--   Returns    whether it did
--   Writes     tally.unlogged; a sweep
--   Locks      only then: SHARE ROW EXCLUSIVE on the sources until the transaction ends, which is soon. So no writer is at work that relies
--              on a note that is deleted here. It gives up after half a second
--   Raises     TL015
CREATE OR REPLACE FUNCTION tally.follow_unlogged(v tally.derived_view)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM tally.unlogged u WHERE u.view_id = v.id) THEN
        RETURN false;
    END IF;
    PERFORM tally.lock_sources_briefly(v);
    DELETE FROM tally.unlogged u WHERE u.view_id = v.id;
    PERFORM tally.enqueue_sweep(v);
    RETURN true;
END
$$;

-- tally.require_usage: raise TL023 if the owner of a derived view may not write its delta table. The trigger functions run with his rights, and
-- log nothing then.
CREATE OR REPLACE FUNCTION tally.require_usage(v tally.derived_view)
RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    r record;
BEGIN
    SELECT * INTO r FROM tally.closed_to_owner(v.id);  -- no row for a snapshot of an older engine, until its tables are remembered
    IF r.problem IS NOT NULL THEN
        PERFORM tally.fail('TL023', r.problem || '.', r.remedy);
    END IF;
END
$$;

-- tally.closed_to_owner: the right that the owner of a derived view lacks to write its delta table, and the GRANT that gives it; NULL: he lacks none.
--   Used by    tally.require_usage, tally.health
CREATE OR REPLACE FUNCTION tally.closed_to_owner(view_id integer, OUT problem text, OUT remedy text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT CASE WHEN NOT w.uses THEN format('%s, to whom %s belongs, may not use schema %s, so nothing that is written is logged for it', w.owner, w.name, w.schema)
                WHEN NOT w.writes THEN format('%s, to whom %s belongs, may not insert into %s, so nothing that is written is logged for it', w.owner, w.name, w.delta)
                WHEN w.bound IS NOT NULL THEN format('%s, to whom %s belongs, is bound by the row-level security of %s, which hides rows from merges', w.owner, w.name, w.bound) END,
           CASE WHEN NOT w.uses THEN format('GRANT USAGE ON SCHEMA %s TO %s; every key is swept then.', w.schema, w.owner)
                WHEN NOT w.writes THEN format('GRANT INSERT ON %s TO %s; every key is swept then.', w.delta, w.owner)
                WHEN w.bound IS NOT NULL THEN format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY.', w.bound) END
    FROM (SELECT c.relowner::regrole AS owner, c.relnamespace::regnamespace AS schema, tally.name_of(v.schema_name, v.relation_name) AS name, c.oid::regclass AS delta,
                 has_schema_privilege(c.relowner, c.relnamespace, 'USAGE') AS uses, has_table_privilege(c.relowner, c.oid, 'INSERT') AS writes,
                 (SELECT b.oid::regclass FROM tally.derived_view d JOIN tally.made t ON t.view_id = d.id AND t.suffix IN ('', '_delta', '_state') JOIN pg_class b ON b.oid = t.relation
                  WHERE v.id IN (d.id, d.root_id) AND b.relrowsecurity AND b.relforcerowsecurity AND EXISTS (SELECT FROM pg_roles o WHERE o.oid = b.relowner AND NOT (o.rolsuper OR o.rolbypassrls))
                  ORDER BY b.oid LIMIT 1) AS bound
          FROM tally.derived_view v JOIN tally.made_now m ON m.view_id = v.id AND m.suffix = '_delta' JOIN pg_class c ON c.oid = m.relation
          WHERE v.id = closed_to_owner.view_id) w
$$;
