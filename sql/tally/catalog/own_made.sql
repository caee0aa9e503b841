-- tally.own_made: give everything that was made for a projection or a snapshot the owner of its table. A scheduler or an upgrade may have
-- made it. Functions with SECURITY DEFINER then run a definition with its declarer's rights and no others.
--   Writes    owners of functions, views, tables and types of the view and of the rollups above it
CREATE OR REPLACE FUNCTION tally.own_made(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    owner   oid := (SELECT c.relowner FROM pg_class c WHERE c.oid = tally.relation_of(v));
    command text;
BEGIN
    FOR command IN
        SELECT format('ALTER FUNCTION %s OWNER TO %s', f.function, owner::regrole)
        FROM tally.derived_view d CROSS JOIN LATERAL tally.functions_made(d) f JOIN pg_proc p ON p.oid = f.function::regprocedure
        WHERE v.id IN (d.id, d.root_id) AND p.proowner <> owner
        UNION ALL
        SELECT format('ALTER %s %s OWNER TO %s', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END, c.oid::regclass, owner::regrole)
        FROM tally.derived_view d CROSS JOIN unnest('{"",_live,_change,_def,_delta,_state,_identity,_cell,_touched}'::text[]) s JOIN pg_class c ON c.oid = tally.relation_of(d, s)
        WHERE v.id IN (d.id, d.root_id) AND d.kind <> 'snapshot' AND c.relowner <> owner AND c.oid IS DISTINCT FROM d.definition LOOP
        EXECUTE command;
    END LOOP;
END
$$;

-- tally.grant_engine: let the role that installed the engine call what was made for a derived view and read its delta table. It may
-- be neither the declarer nor a superuser.
CREATE OR REPLACE FUNCTION tally.grant_engine(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    engine  regrole := (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'tally');
    command text;
BEGIN
    IF pg_has_role(engine::oid, (SELECT c.relowner FROM pg_class c WHERE c.oid = tally.relation_of(v)), 'USAGE') THEN
        RETURN;
    END IF;
    FOR command IN
        SELECT format('GRANT USAGE ON SCHEMA %I TO %s', v.schema_name, engine)
        UNION ALL SELECT format('GRANT SELECT ON %s TO %s', tally.relation_of(v), engine)
        UNION ALL SELECT format('GRANT SELECT, INSERT, DELETE ON %s TO %s', tally.relation_of(v, '_delta'), engine)
        UNION ALL SELECT format('GRANT EXECUTE ON FUNCTION %s TO %s', f.function, engine) FROM tally.functions_made(v) f
                  WHERE f.suffix IN ('_consume', '_verify', '_repair', '_mend', '_first', '_oldest', '_refresh', '_write_back', '_enqueue') LOOP
        EXECUTE command;
    END LOOP;
END
$$;

-- tally.declarers: the name of a function that was made for a derived view, to be called. Its owner may have changed it: it must run with his rights,
-- not with the caller's.
--   Raises    TL023
CREATE OR REPLACE FUNCTION tally.declarers(v tally.derived_view, suffix text)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
               WHERE n.nspname = v.schema_name AND p.proname = v.relation_name || suffix
                 AND (NOT p.prosecdef OR p.proowner IS DISTINCT FROM (SELECT c.relowner FROM pg_class c WHERE c.oid = tally.relation_of(v)))) THEN
        PERFORM tally.fail('TL023', format('%s is not as the engine made it: it would not run with the rights of the declarer of %s.', tally.part(v, suffix), tally.part(v)),
            format('Its owner, or a superuser, has to call tally.heal(%L), which makes it anew.', tally.part(v)));
    END IF;
    RETURN tally.part(v, suffix);
END
$$;

-- tally.owner_trouble: why what was made for a derived view does not run with the rights of its owner, and who helps; NULL: it does.
--   Parameters stored: its table
--   Used by    tally.health
CREATE OR REPLACE FUNCTION tally.owner_trouble(view_id integer, stored regclass)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format('it belongs to %s, but %s runs with the rights of %s, so %s: a superuser has to call tally.heal(%L)%s', c.relowner::regrole, p.proname,
                  CASE WHEN p.prosecdef THEN p.proowner::regrole::text ELSE 'whoever calls it' END,
                  CASE WHEN p.proname LIKE '%\_log\_%' THEN 'writes may go unseen' ELSE 'merges have stopped' END, tally.name_of(v.schema_name, v.relation_name),
                  CASE WHEN has_schema_privilege(c.relowner, 'tally', 'USAGE') THEN '' ELSE format(', after GRANT countersink_owner TO %s', c.relowner::regrole) END)
    FROM tally.derived_view v JOIN pg_class c ON c.oid = stored JOIN pg_namespace n ON n.nspname = v.schema_name
    JOIN pg_proc p ON p.pronamespace = n.oid AND (NOT p.prosecdef OR p.proowner <> c.relowner)
     AND (p.proname IN (v.relation_name || '_consume', v.relation_name || '_refresh')
          OR p.proname IN (SELECT v.relation_name || '_log_' || s.ordinal FROM tally.source s WHERE s.projection_id = v.id))
    WHERE v.id = owner_trouble.view_id ORDER BY p.proname LIMIT 1
$$;

-- tally.is_declarer: whether the caller is exactly the role that owns a derived view.
CREATE OR REPLACE FUNCTION tally.is_declarer(v tally.derived_view)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT c.relowner = current_user::regrole FROM pg_class c WHERE c.oid = tally.relation_of(v)
$$;
