-- tally.place: identifies where stored OIDs are valid: this cluster, this database and this installation of the engine. A dump restored
-- into the same database is another installation.
CREATE OR REPLACE FUNCTION tally.place()
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format('%s/%s/%s', (SELECT c.system_identifier FROM pg_control_system() c), (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()),
                  (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'tally'))
$$;

-- tally.materialized_now: the materialized view of a row of tally.materialized_view; NULL if it is gone. It is found by name if its OID
-- is not valid: in a restored dump, or after it was dropped and created again.
CREATE OR REPLACE FUNCTION tally.materialized_now(m tally.materialized_view)
RETURNS regclass LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT coalesce((SELECT c.oid::regclass FROM pg_class c WHERE c.oid = m.relation AND c.relkind = 'm' AND m.place = tally.place()),
                    (SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE n.nspname = m.schema_name AND c.relname = m.relation_name AND c.relkind = 'm'))
$$;

-- tally.note_materialized: store a materialized view: one that a snapshot refreshes, or one that a projection reads and assumes static.
--   Writes     tally.materialized_view
CREATE OR REPLACE FUNCTION tally.note_materialized(view_id integer, role text, relation regclass)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO tally.materialized_view (view_id, role, schema_name, relation_name, relation, place)
    SELECT view_id, role, n.nspname, c.relname, c.oid, tally.place() FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation
$$;

-- tally.follow_materialized: update the stored names and OIDs of the materialized views of a derived view.
--   Writes     tally.materialized_view
CREATE OR REPLACE FUNCTION tally.follow_materialized(view_id integer)
RETURNS void LANGUAGE sql AS $$
    UPDATE tally.materialized_view m SET schema_name = n.nspname, relation_name = c.relname, relation = c.oid, place = tally.place()
    FROM tally.materialized_view o JOIN pg_class c ON c.oid = tally.materialized_now(o) JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE o.view_id = follow_materialized.view_id AND (m.view_id, m.schema_name, m.relation_name) = (o.view_id, o.schema_name, o.relation_name)
      AND (n.nspname, c.relname, c.oid, tally.place()) IS DISTINCT FROM (m.schema_name, m.relation_name, m.relation, m.place)
$$;

-- tally.definition_of: the view that defines a projection, or the materialized view that a snapshot refreshes; NULL if it is gone.
CREATE OR REPLACE FUNCTION tally.definition_of(v tally.derived_view)
RETURNS regclass LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT CASE v.kind WHEN 'snapshot' THEN (SELECT tally.materialized_now(m) FROM tally.materialized_view m WHERE m.view_id = v.id AND m.role = 'snapshot') ELSE v.definition END
$$;

-- tally.with_definition: the row of a derived view, with its definition whatever its kind.
CREATE OR REPLACE FUNCTION tally.with_definition(v tally.derived_view)
RETURNS tally.derived_view LANGUAGE plpgsql STABLE AS $$
BEGIN
    v.definition := tally.definition_of(v);
    RETURN v;
END
$$;

-- tally.made_now: the OIDs of the tables that the engine made for derived views, and those of snapshots' materialized views.
CREATE OR REPLACE VIEW tally.made_now AS
SELECT m.view_id, m.suffix, m.relation FROM tally.made m
UNION ALL
SELECT m.view_id, '', tally.materialized_now(m) FROM tally.materialized_view m WHERE m.role = 'snapshot';
COMMENT ON VIEW tally.made_now IS 'the tables that the engine made for derived views, and the materialized views of snapshots';

-- tally.is_source: whether a relation is among the sources of a projection: watched, or assumed static.
CREATE OR REPLACE FUNCTION tally.is_source(projection integer, relation regclass)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM tally.source s WHERE s.projection_id = projection AND s.relation = is_source.relation)
        OR EXISTS (SELECT FROM tally.materialized_view m WHERE m.view_id = projection AND m.role = 'static' AND tally.materialized_now(m) = is_source.relation)
$$;

-- tally.called: the name of a derived view with its schema. A bare name means what it would mean as the name of a table: the first relation of that
-- name on the caller's search_path. Every function that takes the name of a derived view calls this before it leaves that path.
--   Parameters path: pg_catalog.current_schemas(true) of the caller
--   Returns    the name as it is if it has a schema, or if nothing on the path has it: tally.lookup then finds it if only one view has it
CREATE OR REPLACE FUNCTION tally.called(name text, path name[])
RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    parts text[];
    s     name;
BEGIN
    parts := parse_ident(name);
    IF cardinality(parts) = 1 THEN
        FOREACH s IN ARRAY path LOOP
            IF EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = s AND c.relname = parts[1])
               OR tally.views_named(s, parts[1]) <> '{}' THEN
                RETURN format('%I.%I', s, parts[1]);
            END IF;
        END LOOP;
    END IF;
    RETURN name;
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN name;  -- tally.lookup says what is wrong with it
END
$$;

-- tally.lookup: the derived view of a name.
--   Parameters name: schema.name, as tally.called returns it, or a bare name that only one has
--   Returns    its row; Raises TL001, TL003
CREATE OR REPLACE FUNCTION tally.lookup(name text)
RETURNS tally.derived_view LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    parts text[];
    views integer[];
BEGIN
    IF name IS NULL THEN
        PERFORM tally.fail('TL001', 'The name of a derived view was expected, not NULL.');
    END IF;
    BEGIN
        parts := parse_ident(name);
    EXCEPTION WHEN invalid_parameter_value THEN
        PERFORM tally.fail('TL003', format('"%s" is not a name.', name));
    END;
    IF cardinality(parts) = 1 THEN
        parts := ARRAY[NULL, parts[1]];
    END IF;
    IF cardinality(parts) = 2 THEN
        views := tally.views_named(parts[1], parts[2]);
    END IF;
    IF cardinality(views) > 1 THEN
        PERFORM tally.fail('TL001', format('There are %s derived views "%s".', cardinality(views), name), 'Give the schema and the name: ''app.x'', say.');
    ELSIF views[1] IS NULL THEN
        PERFORM tally.fail('TL001', format('There is no derived view "%s".', name));
    END IF;
    RETURN tally.with_definition(d) FROM tally.derived_view d WHERE d.id = views[1];
END
$$;

-- tally.views_named: the derived views of a name, in one schema or in any (NULL). First by the name in the catalog, then by the name that somebody gave to
-- the table since the last merge, then the rollups that a view of that name was split into.
CREATE OR REPLACE FUNCTION tally.views_named(schema text, called text)
RETURNS integer[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    found_ integer[] := ARRAY(SELECT d.id FROM tally.derived_view d WHERE d.relation_name = called AND coalesce(d.schema_name = schema, true));
BEGIN
    IF found_ = '{}' THEN
        found_ := ARRAY(SELECT m.view_id FROM tally.made_now m JOIN pg_class c ON c.oid = m.relation JOIN pg_namespace n ON n.oid = c.relnamespace
                        WHERE m.suffix = '' AND c.relname = called AND coalesce(n.nspname = schema, true));
    END IF;
    IF found_ = '{}' THEN
        found_ := ARRAY(SELECT d.id FROM tally.split s JOIN tally.derived_view d ON d.id = s.rollup_id WHERE s.shown = called AND coalesce(d.schema_name = schema, true));
    END IF;
    RETURN found_;
END
$$;

-- tally.lookup_root: the projection under a rollup, or the view itself.
CREATE OR REPLACE FUNCTION tally.lookup_root(name text)
RETURNS tally.derived_view LANGUAGE plpgsql STABLE AS $$
DECLARE
    v tally.derived_view := tally.lookup(name);
BEGIN
    IF v.root_id IS NOT NULL THEN
        SELECT * INTO v FROM tally.derived_view d WHERE d.id = v.root_id;
    END IF;
    RETURN v;
END
$$;

-- tally.lock_root: the projection under a rollup, or the view itself, with its advisory lock held until the transaction
-- ends. It looks the name up again after waiting, because a redefinition may have put another projection in its place.
--   Locks      the advisory lock of the view
CREATE OR REPLACE FUNCTION tally.lock_root(name text)
RETURNS tally.derived_view LANGUAGE plpgsql AS $$
DECLARE
    v tally.derived_view;
BEGIN
    LOOP
        v := tally.lookup_root(name);
        PERFORM pg_advisory_xact_lock(tally.lock_class(), v.id);
        EXIT WHEN v.id = (tally.lookup_root(name)).id;
    END LOOP;
    RETURN tally.lookup_root(name);
END
$$;

-- tally.exists: whether a derived view of that name is declared.
CREATE OR REPLACE FUNCTION tally.exists(name text)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN tally.exists_by_name(tally.called(name, pg_catalog.current_schemas(true)));
END
$$;
COMMENT ON FUNCTION tally.exists(text) IS 'whether a derived view of that name is declared';

-- tally.exists_by_name: the same, whatever the caller's search_path.
CREATE OR REPLACE FUNCTION tally.exists_by_name(name text)
RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    parts name[] := tally.split_name(name);
BEGIN
    RETURN tally.views_named(CASE WHEN cardinality(parse_ident(name)) > 1 THEN parts[1] END, parts[2]) <> '{}';
END
$$;

-- tally.view_by_id: the row of a derived view.
CREATE OR REPLACE FUNCTION tally.view_by_id(id integer)
RETURNS tally.derived_view LANGUAGE sql STABLE AS $$
    SELECT CASE d.kind WHEN 'snapshot' THEN tally.with_definition(d) ELSE d END FROM tally.derived_view d WHERE d.id = view_by_id.id
$$;

-- tally.require_free: raise TL002 if a relation, type or derived view of that name exists, TL003 if the schema cannot hold it, TL018 if the caller may not create it there.
CREATE OR REPLACE FUNCTION tally.require_free(parts name[], suffixes text[])
RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    taken text;
BEGIN
    IF to_regnamespace(quote_ident(parts[1])) IS NULL THEN
        PERFORM tally.fail('TL003', format('Schema "%s" does not exist.', parts[1]), format('CREATE SCHEMA %I, or name another one.', parts[1]));
    ELSIF to_regnamespace(quote_ident(parts[1])) = pg_my_temp_schema() OR parts[1] ~ '^pg_' OR parts[1] IN ('information_schema', 'tally') THEN
        PERFORM tally.fail('TL003', format('"%s" cannot hold a derived view: it is not a schema of yours that stays.', parts[1]), 'Give the schema and the name: ''app.x'', say.');
    ELSIF NOT (has_schema_privilege(to_regnamespace(quote_ident(parts[1])), 'USAGE') AND has_schema_privilege(to_regnamespace(quote_ident(parts[1])), 'CREATE')) THEN
        PERFORM tally.fail('TL018', format('%I may not create tables in schema %I.', current_user, parts[1]), format('GRANT USAGE, CREATE ON SCHEMA %I TO %I, or name a schema of your own.', parts[1], current_user));
    END IF;
    SELECT format('%I.%I', parts[1], parts[2] || s) INTO taken FROM unnest(suffixes) s
    WHERE to_regclass(format('%I.%I', parts[1], parts[2] || s)) IS NOT NULL
       OR to_regtype(format('%I.%I', parts[1], parts[2] || s)) IS NOT NULL LIMIT 1;
    IF FOUND THEN
        PERFORM tally.fail('TL002', format('%s is there already; the engine would make it for %I.%I.', taken, parts[1], parts[2]));
    ELSIF EXISTS (SELECT FROM tally.derived_view d WHERE d.schema_name = parts[1] AND d.relation_name = parts[2]) THEN
        PERFORM tally.fail('TL002', format('%I.%I is declared already, but its table was dropped or renamed.', parts[1], parts[2]),
            format('SELECT tally.drop(%L) removes what is left of it, and a renamed table too; then declare it again.', format('%I.%I', parts[1], parts[2])));
    END IF;
END
$$;

-- tally.rollups_above: every rollup above a derived view, lowest first. The finer rollups of a count(distinct) come before
-- the rollup that they serve, because its live views read theirs.
CREATE OR REPLACE FUNCTION tally.rollups_above(view_id integer)
RETURNS SETOF tally.derived_view LANGUAGE sql STABLE AS $$
    WITH RECURSIVE above(id, depth) AS (
        SELECT r.id, 1 FROM tally.derived_view r WHERE r.source_id = view_id
        UNION ALL
        SELECT r.id, a.depth + 1 FROM above a JOIN tally.derived_view r ON r.source_id = a.id)
    SELECT v FROM above a JOIN tally.derived_view v USING (id) ORDER BY a.depth, v.serves_id NULLS LAST, v.id
$$;

-- tally.relation_made: a table that the engine made for a derived view, whatever its present name; NULL if it is gone.
CREATE OR REPLACE FUNCTION tally.relation_made(view_id integer, suffix text)
RETURNS regclass LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT c.oid::regclass FROM tally.made_now m JOIN pg_class c ON c.oid = m.relation WHERE m.view_id = relation_made.view_id AND m.suffix = relation_made.suffix
$$;

-- tally.is_renamed: whether a table that the engine made for a projection, or for a rollup above it, has another name or schema than
-- the engine's catalog says.
CREATE OR REPLACE FUNCTION tally.is_renamed(root integer)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT EXISTS (SELECT FROM tally.derived_view d JOIN tally.made_now m ON m.view_id = d.id JOIN pg_class c ON c.oid = m.relation JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE root IN (d.id, d.root_id) AND (n.nspname, c.relname) <> (d.schema_name, d.relation_name || m.suffix))
$$;

-- tally.is_gone: whether a relation below or of a derived view that this snapshot still shows was dropped since. Its size is NULL then.
CREATE OR REPLACE FUNCTION tally.is_gone(root integer)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT EXISTS (SELECT FROM tally.fingerprint f JOIN pg_class c ON c.oid = ANY (f.relations) WHERE f.view_id = root AND pg_relation_size(c.oid) IS NULL)
$$;

-- tally.refuse_renamed: raise TL023 if something below a derived view has another name, schema or meaning than its generated code
-- expects.
--   Parameters root_id: the projection
--   Raises     TL022, TL023; serialization_failure if something was dropped since the caller's fixed snapshot
CREATE OR REPLACE FUNCTION tally.refuse_renamed(root_id integer)
RETURNS void LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v       tally.derived_view := tally.view_by_id(root_id);
    trouble text;
BEGIN
    PERFORM tally.require_present(v);
    IF tally.is_gone(v.id) THEN
        RAISE serialization_failure USING MESSAGE = format('%s, or something that it is made of, was dropped after the snapshot of this transaction was taken.', tally.part(v)),
            HINT = 'Try again in a new transaction.';
    END IF;
    trouble := tally.definition_trouble(v.id);
    IF trouble ~ '^merges have stopped' THEN
        PERFORM tally.fail('TL023', format('%s cannot be compared with its definition: %s', tally.part(v), trouble));
    ELSIF trouble IS NOT NULL THEN
        PERFORM tally.fail('TL023', format('%s has yet to follow a migration: %s.', tally.part(v), regexp_replace(trouble, ': the next merge, or .*', '')),
            format('Try again after the next merge, or after SELECT tally.refresh(%L).', tally.part(v)));
    END IF;
END
$$;

-- tally.relation_of: the relation that the engine made for a derived view; NULL if it is gone. It reads the catalog, because
-- to_regclass fails in a schema that is closed to the caller. In PL/pgSQL its plan is kept; up to PostgreSQL 17 one in SQL is planned anew
-- by each statement of another function that calls it.
--   Parameters v, suffix: as of tally.part
CREATE OR REPLACE FUNCTION tally.relation_of(v tally.derived_view, suffix text DEFAULT '')
RETURNS regclass LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce((SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE n.nspname = v.schema_name AND c.relname = v.relation_name || tally.suffix_of(v, suffix)), tally.relation_made(v.id, suffix));
END
$$;

-- tally.lost_parts: what a derived view needs but somebody dropped (by DROP SCHEMA … CASCADE, for example).
--   Returns   their former names; no rows: nothing is missing
CREATE OR REPLACE FUNCTION tally.lost_parts(v tally.derived_view)
RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT tally.part(v, p.suffix) FROM unnest(CASE v.kind
            WHEN 'projection' THEN '{"",_delta,_live}' WHEN 'snapshot' THEN '{"",_delta}'
            ELSE CASE WHEN v.serves_id IS NULL THEN '{"",_state,_def,_live}' ELSE '{_state,_def}' END END::text[]) AS p(suffix)
    WHERE tally.relation_of(v, p.suffix) IS NULL AND NOT (p.suffix IN ('_live', '_def') AND tally.is_renamed(coalesce(v.root_id, v.id)))
      AND NOT (p.suffix = '_live' AND (tally.view_by_id(coalesce(v.root_id, v.id))).state = 'defined')
    UNION ALL
    SELECT format('the definition of %s', tally.part(v))
    WHERE v.definition IS NOT NULL AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = v.definition)
    UNION ALL
    SELECT format('a table that %s reads', tally.part(v))
    FROM tally.source s WHERE s.projection_id = v.id AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relation)
    UNION ALL
    SELECT format('a materialized view that %s reads', tally.part(v))
    FROM tally.materialized_view m WHERE m.view_id = v.id AND m.role = 'static' AND tally.materialized_now(m) IS NULL
$$;

-- tally.lost: one sentence about what a derived view has lost; NULL: nothing is missing.
CREATE OR REPLACE FUNCTION tally.lost(v tally.derived_view)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format('Dropped without tally.drop: %s. SELECT tally.drop(%L) removes the rest.',
                  string_agg(p, ', '), tally.part(tally.view_by_id(coalesce(v.serves_id, v.id))))
    FROM tally.lost_parts(v) p HAVING count(*) > 0
$$;

-- tally.lost_under: the same for a projection and the rollups above it.
CREATE OR REPLACE FUNCTION tally.lost_under(root_id integer)
RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER COST 10000 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
BEGIN
    RETURN (SELECT tally.lost(v) FROM tally.derived_view v
            WHERE (v.id = lost_under.root_id OR v.root_id = lost_under.root_id) AND EXISTS (SELECT FROM tally.lost_parts(v)) ORDER BY v.id LIMIT 1);
END
$$;

-- tally.require_present: raise TL022 if a derived view has lost something that the engine made for it or that it reads.
CREATE OR REPLACE FUNCTION tally.require_present(v tally.derived_view)
RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    sentence text := tally.lost_under(coalesce(v.root_id, v.id));
BEGIN
    IF sentence IS NOT NULL THEN
        PERFORM tally.fail('TL022', sentence);
    END IF;
END
$$;
