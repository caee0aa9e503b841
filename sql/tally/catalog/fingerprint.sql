-- The fingerprint of a definition: digests of everything that it is built on. A merge compares them to see whether it still means the same.

-- tally.version_of: a number that differs when a catalog row is written again. The planner puts its body in its place.
CREATE OR REPLACE FUNCTION tally.version_of(xmin xid, ctid tid)
RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT xmin::text::bigint + hashtid(ctid) $$;

-- tally.glance: a cheap summary of the catalog rows below a definition. It differs whenever one of them was written, added or removed.
--   Returns    counts and sums of the rows' xmin and ctid: a row that is written again has a younger xmin, or, if by the same transaction,
--              another ctid. The server's start time is part of it, because a restart may load another version of the collation library
CREATE OR REPLACE FUNCTION tally.glance(f tally.fingerprint)
RETURNS text LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN format('%s %s %s %s %s %s %s %s %s %s %s',
        (SELECT (count(*), sum(tally.version_of(c.xmin, c.ctid))) FROM pg_class c WHERE c.oid = ANY (f.relations)),
        (SELECT (count(*), sum(tally.version_of(a.xmin, a.ctid))) FROM pg_attribute a WHERE a.attrelid = ANY (f.relations) AND a.attnum > 0),
        (SELECT (count(*), sum(tally.version_of(r.xmin, r.ctid))) FROM pg_rewrite r WHERE r.ev_class = ANY (f.relations)),
        (SELECT (count(*), sum(tally.version_of(p.xmin, p.ctid))) FROM pg_proc p WHERE p.oid = ANY (f.functions)),
        CASE WHEN f.functions <> '{}' THEN (SELECT count(*) FROM pg_proc p WHERE p.proname = ANY (ARRAY(SELECT DISTINCT q.proname FROM pg_proc q WHERE q.oid = ANY (f.functions)))) END,  -- a new overload may be what a body calls now
        (SELECT (count(*), sum(tally.version_of(n.xmin, n.ctid))) FROM pg_namespace n WHERE n.oid IN (SELECT c.relnamespace FROM pg_class c WHERE c.oid = ANY (f.relations) UNION SELECT p.pronamespace FROM pg_proc p WHERE p.oid = ANY (f.functions))),
        CASE WHEN f.types <> '{}' THEN tally.glance_types(f.types) END,
        CASE WHEN EXISTS (SELECT FROM pg_class c WHERE c.oid = ANY (f.relations) AND c.relrowsecurity) THEN  -- whom a policy binds is in no row of these
            (SELECT md5(string_agg(p.relation::oid || p.role, ' ' ORDER BY p.relation::oid, p.role)) FROM tally.policies_that_bind(tally.definition_of(tally.view_by_id(f.view_id))) p) END,
        extract(epoch FROM pg_postmaster_start_time()),
        (SELECT (count(*), sum(tally.version_of(g.xmin, g.ctid))) FROM pg_trigger g WHERE NOT g.tgisinternal AND g.tgparentid = 0
            AND g.tgrelid = ANY (tally.kept_and_written(f.view_id) || ARRAY(SELECT m::oid FROM tally.source s CROSS JOIN unnest(s.members) m WHERE s.projection_id = f.view_id AND s.columns IS NOT NULL))),
        (SELECT string_agg(DISTINCT r.srsubid::text, ',') FROM pg_subscription_rel r));
END
$$;

-- tally.glance_types: the same for types: their rows, labels, checks and attributes; and for text search configurations, dictionaries and collations.
CREATE OR REPLACE FUNCTION tally.glance_types(types oid[])
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT concat_ws(' ',
        (SELECT (count(*), sum(tally.version_of(t.xmin, t.ctid))) FROM pg_type t WHERE t.oid = ANY (types)),
        (SELECT (count(*), sum(tally.version_of(e.xmin, e.ctid))) FROM pg_enum e WHERE e.enumtypid = ANY (types)),
        (SELECT (count(*), sum(tally.version_of(c.xmin, c.ctid))) FROM pg_constraint c WHERE c.contypid = ANY (types)),
        (SELECT (count(*), sum(tally.version_of(a.xmin, a.ctid))) FROM pg_type t JOIN pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0 WHERE t.oid = ANY (types)),
        (SELECT (count(*), sum(tally.version_of(m.xmin, m.ctid))) FROM pg_ts_config_map m WHERE m.mapcfg = ANY (types)),
        (SELECT (count(*), sum(tally.version_of(d.xmin, d.ctid))) FROM pg_ts_dict d WHERE d.oid = ANY (types)),
        (SELECT (count(*), sum(tally.version_of(c.xmin, c.ctid))) FROM pg_collation c WHERE c.oid = ANY (types)),
        (SELECT (count(*), sum(tally.version_of(n.xmin, n.ctid))) FROM pg_namespace n
         WHERE n.oid IN (SELECT t.typnamespace FROM pg_type t WHERE t.oid = ANY (types) UNION SELECT c.collnamespace FROM pg_collation c WHERE c.oid = ANY (types))))
$$;

-- tally.words_in: names and operators in the bodies of functions, as the catalog spells them. Words in strings and comments count too: better too many
-- than too few.
CREATE OR REPLACE FUNCTION tally.words_in(functions oid[])
RETURNS text[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT ARRAY(SELECT DISTINCT w FROM pg_proc p
                 CROSS JOIN LATERAL regexp_matches(p.prosrc, '"((?:[^"]|"")+)"|([[:alpha:]_\x80-\uffff][[:alnum:]_$\x80-\uffff]*)|([-+*/<>=~!@#%^&|`?]+)', 'g') m
                 CROSS JOIN LATERAL unnest(ARRAY[replace(m[1], '""', '"'), lower(m[2]), m[3]]) w WHERE p.oid = ANY (functions) AND w IS NOT NULL)
$$;

-- tally.is_extensions: whether something belongs to an extension.
CREATE OR REPLACE FUNCTION tally.is_extensions(catalog regclass, object oid)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT EXISTS (SELECT FROM pg_depend d WHERE d.classid = catalog AND d.objid = object AND d.deptype = 'e')
$$;

-- tally.functions_below: the users' functions that trees call, and those that these call in turn. The catalog knows some of these
-- calls; others are found by name in the text of bodies. That may find too many functions, but it misses none that is called by its name.
CREATE OR REPLACE FUNCTION tally.functions_below(trees text[])
RETURNS oid[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    known oid[] := '{}';
    next  oid[] := ARRAY(SELECT DISTINCT m[1]::oid FROM unnest(trees) t, regexp_matches(t, ':(?:funcid|opfuncid|aggfnoid|winfnoid|startInRangeFunc|endInRangeFunc) (\d+)', 'g') m)
                || ARRAY(SELECT DISTINCT o.oprcode::oid FROM unnest(trees) t, regexp_matches(t, ':(?:eqop|sortop) (\d+)', 'g') m JOIN pg_operator o ON o.oid = m[1]::oid);
BEGIN
    LOOP
        next := ARRAY(SELECT DISTINCT n FROM unnest(next) n WHERE n >= 16384 AND n <> ALL (known));  -- those of PostgreSQL itself have lower OIDs
        EXIT WHEN next = '{}';
        known := known || next;
        next := tally.functions_called_by(next);
    END LOOP;
    RETURN ARRAY(SELECT k FROM unnest(known) k ORDER BY k);
END
$$;

-- tally.functions_called_by: the functions that these call directly: by the catalog, and by name.
CREATE OR REPLACE FUNCTION tally.functions_called_by(functions oid[])
RETURNS oid[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    WITH word AS MATERIALIZED (SELECT w FROM unnest(tally.words_in(functions)) w)
    SELECT ARRAY(
        SELECT d.refobjid FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = ANY (functions) AND d.refclassid = 'pg_proc'::regclass
        UNION SELECT o.oprcode FROM pg_depend d JOIN pg_operator o ON o.oid = d.refobjid WHERE d.classid = 'pg_proc'::regclass AND d.objid = ANY (functions) AND d.refclassid = 'pg_operator'::regclass
        UNION SELECT m FROM pg_aggregate a CROSS JOIN unnest(ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::oid[]) m WHERE a.aggfnoid = ANY (functions)
        UNION SELECT q.oid FROM pg_proc q JOIN word ON word.w = q.proname WHERE q.oid >= 16384
        UNION SELECT o.oprcode FROM pg_operator o JOIN word ON word.w = o.oprname WHERE o.oid >= 16384 AND NOT tally.is_extensions('pg_operator', o.oid)
        UNION SELECT c.castfunc FROM pg_cast c JOIN pg_type t ON t.oid IN (c.castsource, c.casttarget) JOIN word ON word.w = t.typname WHERE c.castfunc >= 16384 AND NOT tally.is_extensions('pg_cast', c.oid))
$$;

-- tally.types_in: types, text search configurations and dictionaries that functions or views use: named in bodies, or known to the catalog.
CREATE OR REPLACE FUNCTION tally.types_in(functions oid[], views oid[])
RETURNS oid[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    WITH word AS MATERIALIZED (SELECT w FROM unnest(tally.words_in(functions)) w)
    SELECT ARRAY(
        SELECT t.oid FROM pg_type t JOIN word ON word.w = t.typname WHERE t.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')
        UNION SELECT g.oid FROM pg_ts_config g JOIN word ON word.w = g.cfgname WHERE g.oid >= 16384
        UNION SELECT g.oid FROM pg_ts_dict g JOIN word ON word.w = g.dictname WHERE g.oid >= 16384
        UNION SELECT d.refobjid FROM pg_depend d WHERE (d.classid = 'pg_proc'::regclass AND d.objid = ANY (functions) OR d.classid = 'pg_rewrite'::regclass AND d.objid IN (SELECT r.oid FROM pg_rewrite r WHERE r.ev_class = ANY (views)))
            AND d.refclassid IN ('pg_type'::regclass, 'pg_ts_config'::regclass, 'pg_ts_dict'::regclass))
$$;

-- tally.dictionaries_of: these OIDs, with the dictionaries of the text search configurations among them.
CREATE OR REPLACE FUNCTION tally.dictionaries_of(objects oid[])
RETURNS oid[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT ARRAY(SELECT unnest(objects) UNION SELECT m.mapdict FROM pg_ts_config_map m WHERE m.mapcfg = ANY (objects) AND m.mapdict >= 16384 ORDER BY 1)
$$;

-- tally.types_below: the user-defined ones among these types, and the types that they are built from.
CREATE OR REPLACE FUNCTION tally.types_below(types oid[])
RETURNS oid[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    WITH RECURSIVE below(oid) AS (
        SELECT unnest(types)
        UNION
        SELECT x.oid FROM below b JOIN pg_type t ON t.oid = b.oid
        CROSS JOIN LATERAL (SELECT unnest(ARRAY[t.typbasetype, t.typelem]) UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = t.typrelid AND t.typtype = 'c' AND a.attnum > 0
                            AND t.typrelid NOT IN (SELECT c.oid FROM pg_class c WHERE c.relkind <> 'c')
                            UNION ALL SELECT CASE t.oid WHEN r.rngtypid THEN r.rngsubtype ELSE r.rngtypid END FROM pg_range r WHERE t.typtype IN ('r', 'm') AND t.oid IN (r.rngtypid, r.rngmultitypid)) x(oid) WHERE x.oid <> 0)
    SELECT ARRAY(SELECT DISTINCT b.oid FROM below b WHERE b.oid >= 16384 ORDER BY b.oid)
$$;

-- tally.bare_tree: a tree's text without the positions in the statement's text.
CREATE OR REPLACE FUNCTION tally.bare_tree(tree text)
RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT regexp_replace(tree, ' :(location|stmt_location|stmt_len|list_start|list_end) -?\d+', '', 'g')
$$;

-- tally.columns_below: the table columns that a definition uses, by number.
--   Returns    relation, attnum; by_row: a view uses a whole row, so every column and its name counts
CREATE OR REPLACE FUNCTION tally.columns_below(v tally.derived_view)
RETURNS TABLE (relation oid, attnum smallint, by_row boolean) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    WITH views AS MATERIALIZED (SELECT u AS oid FROM tally.views_under(v.definition) u),
    rule AS MATERIALIZED (SELECT r.oid, r.ev_action::text ~ ':varattno 0 ' AS by_row FROM views JOIN pg_rewrite r ON r.ev_class = views.oid),
    reads AS MATERIALIZED (SELECT d.refobjid AS oid, d.refobjsubid, bool_or(rule.by_row) OVER () AS by_row FROM rule
                           JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = rule.oid AND d.refclassid = 'pg_class'::regclass)
    SELECT a.attrelid, a.attnum, r.by_row FROM reads r JOIN pg_class c ON c.oid = r.oid AND c.relkind IN ('r', 'p', 'm', 'f') AND c.oid <> v.definition
    JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND (a.attnum = r.refobjsubid OR r.by_row)
    UNION
    SELECT a.attrelid, a.attnum, false FROM tally.source s CROSS JOIN unnest(s.columns) c JOIN pg_attribute a ON a.attrelid = s.relation AND a.attname = c AND a.attnum > 0
    WHERE s.projection_id = v.id
$$;

-- tally.numbers_watched: the column numbers of the watched columns, by the source's ordinal.
CREATE OR REPLACE FUNCTION tally.numbers_watched(v tally.derived_view)
RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT coalesce(jsonb_object_agg(s.ordinal, (
        SELECT jsonb_agg(a.attnum ORDER BY c.i) FROM unnest(s.columns) WITH ORDINALITY c(name, i) LEFT JOIN pg_attribute a ON a.attrelid = s.relation AND a.attname = c.name AND a.attnum > 0)), '{}')
    FROM tally.source s WHERE s.projection_id = v.id AND s.columns IS NOT NULL
$$;

-- tally.types_of: the types, text search configurations, dictionaries and collations below a definition.
CREATE OR REPLACE FUNCTION tally.types_of(v tally.derived_view, functions oid[], views oid[], trees text[])
RETURNS oid[] LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    WITH col AS MATERIALIZED (SELECT a.atttypid, a.attcollation FROM tally.columns_below(v) c JOIN pg_attribute a ON a.attrelid = c.relation AND a.attnum = c.attnum)
    SELECT tally.dictionaries_of(tally.types_below(
        tally.types_in(functions, views)
        || ARRAY(SELECT DISTINCT m[1]::oid FROM unnest(trees) t, regexp_matches(t, ':(?:\w*type|typid|typeId) (\d+)', 'g') m) || ARRAY(SELECT col.atttypid FROM col))
        || ARRAY(SELECT c.oid FROM pg_collation c WHERE c.oid >= 16384 AND c.oid IN (
            SELECT m[1]::oid FROM unnest(trees) t, regexp_matches(t, ':\w*coll\w* (\d+)', 'g') m UNION SELECT col.attcollation FROM col)))
$$;

-- tally.fingerprint_of: the fingerprint of the definition of a projection or a snapshot, as it is now.
CREATE OR REPLACE FUNCTION tally.fingerprint_of(v tally.derived_view)
RETURNS tally.fingerprint LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on SET quote_all_identifiers = off SET jit = off AS $$
DECLARE
    f      tally.fingerprint;
    views  oid[] := ARRAY(SELECT u FROM tally.views_under(v.definition) u ORDER BY 1);
    made   oid[] := ARRAY(SELECT m.function::regprocedure::oid FROM tally.functions_made(v) m WHERE m.suffix ~ '^_expand_');
    expands text[] := ARRAY(SELECT tally.bare_tree(p.prosqlbody::text) FROM tally.functions_made(v) m JOIN pg_proc p ON p.oid = m.function::regprocedure WHERE m.suffix ~ '^_expand_' ORDER BY m.suffix);
    trees  text[] := ARRAY(SELECT r.ev_class || tally.bare_tree(r.ev_action::text) FROM pg_rewrite r WHERE r.ev_class = ANY (views) ORDER BY r.ev_class);
    filters text[] := ARRAY(SELECT r.ev_action::text FROM tally.derived_view d JOIN pg_rewrite r ON r.ev_class = tally.relation_of(d, '_def') WHERE d.root_id = v.id);
BEGIN
    f.view_id := v.id;
    f.place := tally.place();
    f.mend := false;
    f.triggers := '{}';
    f.functions := tally.functions_below(trees || expands || filters);
    f.types := tally.types_of(v, f.functions || made, views, trees || expands);
    f.functions := tally.functions_below(trees || expands || filters || ARRAY(SELECT c.conbin::text FROM pg_constraint c WHERE c.contypid = ANY (f.types) AND c.conbin IS NOT NULL));
    f.types := tally.types_of(v, f.functions || made, views, trees || expands);  -- those that the checks of domains use, too
    f.relations := ARRAY(SELECT unnest(views) UNION SELECT c.relation FROM tally.columns_below(v) c UNION SELECT t FROM tally.tables_read(v.definition) t
                         UNION SELECT s.relation FROM tally.source s WHERE s.projection_id = v.id
                         UNION SELECT m.relation FROM tally.made_now m JOIN tally.derived_view d ON d.id = m.view_id AND v.id IN (d.id, d.root_id) ORDER BY 1);
    f.watched := tally.numbers_watched(v);
    f.used := (SELECT coalesce(jsonb_object_agg(s.ordinal, (SELECT jsonb_agg(c.attnum ORDER BY c.attnum) FROM tally.columns_below(v) c WHERE c.relation = s.relation)), '{}')
               FROM tally.source s WHERE s.projection_id = v.id AND s.columns IS NOT NULL);
    f.meaning := md5(concat_ws(E'\n', array_to_string(trees, E'\n'), array_to_string(expands, E'\n'), tally.details_below(v, f)));
    f.names := md5(tally.names_below(v, f));
    f.collations := tally.collations_below(trees);
    f.glance := tally.glance(f);
    RETURN f;
END
$$;

-- tally.details_below: what the values of a definition depend on besides its trees: columns, functions, types, policies.
CREATE OR REPLACE FUNCTION tally.details_below(v tally.derived_view, f tally.fingerprint)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT concat_ws(E'\n',
        (SELECT string_agg(concat_ws(' ', c.relation, c.attnum, a.atttypid, a.atttypmod, a.attcollation, a.attgenerated, CASE WHEN c.by_row THEN a.attname END,
                (SELECT pg_get_expr(e.adbin, e.adrelid) FROM pg_attrdef e WHERE a.attgenerated <> '' AND e.adrelid = a.attrelid AND e.adnum = a.attnum)), E'\n' ORDER BY c.relation, c.attnum, c.by_row)
         FROM tally.columns_below(v) c JOIN pg_attribute a ON a.attrelid = c.relation AND a.attnum = c.attnum),
        (SELECT string_agg(concat_ws(' ', p.oid, p.prosrc, p.prosqlbody::text, p.probin, p.proconfig, p.provolatile, p.proisstrict, p.prosecdef, p.prolang, p.prorettype, p.proretset, p.provariadic, tally.bare_tree(p.proargdefaults::text),
                (SELECT concat_ws(' ', a.aggkind, a.aggnumdirectargs, a.aggtransfn::oid, a.aggfinalfn::oid, a.aggcombinefn::oid, a.aggserialfn::oid, a.aggdeserialfn::oid, a.aggmtransfn::oid, a.aggminvtransfn::oid,
                    a.aggmfinalfn::oid, a.aggfinalextra, a.aggmfinalextra, a.aggfinalmodify, a.aggmfinalmodify, a.aggsortop, a.aggtranstype, a.aggmtranstype, '=' || a.agginitval, '=' || a.aggminitval)
                 FROM pg_aggregate a WHERE a.aggfnoid = p.oid)), E'\n' ORDER BY p.oid)
         FROM pg_proc p WHERE p.oid = ANY (f.functions)),
        (SELECT string_agg(concat_ws(' ', m.mapcfg, m.maptokentype, m.mapseqno, m.mapdict), E'\n' ORDER BY m.mapcfg, m.maptokentype, m.mapseqno) FROM pg_ts_config_map m WHERE m.mapcfg = ANY (f.types)),
        (SELECT string_agg(concat_ws(' ', d.oid, d.dicttemplate, d.dictinitoption), E'\n' ORDER BY d.oid) FROM pg_ts_dict d WHERE d.oid = ANY (f.types)),
        (SELECT string_agg(concat_ws(' ', t.oid, t.typbasetype, t.typtypmod, t.typcollation, t.typnotnull,
                (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
                (SELECT string_agg(k.conbin::text, ',' ORDER BY k.oid) FROM pg_constraint k WHERE k.contypid = t.oid),
                (SELECT string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation), ',' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = t.typrelid AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped
                 AND EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))), E'\n' ORDER BY t.oid)
         FROM pg_type t WHERE t.oid = ANY (f.types)),
        (SELECT string_agg(p.relation::text || p.role, E'\n' ORDER BY p.relation::text, p.role) FROM tally.policies_that_bind(v.definition) p))
$$;

-- tally.names_below: the names that generated code uses: of relations, of their used columns, of functions.
CREATE OR REPLACE FUNCTION tally.names_below(v tally.derived_view, f tally.fingerprint)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT concat_ws(E'\n',
        (SELECT string_agg(c.oid::regclass::text, E'\n' ORDER BY c.oid) FROM pg_class c WHERE c.oid = ANY (f.relations) AND c.oid NOT IN (SELECT m.relation FROM tally.made_now m WHERE m.relation IS NOT NULL AND m.view_id IN (SELECT d.id FROM tally.derived_view d WHERE v.id IN (d.id, d.root_id)))),
        (SELECT string_agg(concat_ws(' ', c.relation, a.attnum, a.attname), E'\n' ORDER BY c.relation, a.attnum) FROM (SELECT DISTINCT b.relation, b.attnum FROM tally.columns_below(v) b) c JOIN pg_attribute a ON a.attrelid = c.relation AND a.attnum = c.attnum),
        (SELECT string_agg(concat_ws(' ', a.attnum, a.attname), E'\n' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = v.definition AND a.attnum > 0 AND NOT a.attisdropped),
        (SELECT string_agg(p.oid::regprocedure::text, E'\n' ORDER BY p.oid) FROM pg_proc p WHERE p.oid = ANY (f.functions)),
        (SELECT string_agg(t.oid::regtype::text, E'\n' ORDER BY t.oid) FROM pg_type t WHERE t.oid = ANY (f.types)),
        (SELECT string_agg(c.oid::regcollation::text, E'\n' ORDER BY c.oid) FROM pg_collation c WHERE c.oid = ANY (f.types)))
$$;

-- tally.collations_below: the versions of the collations in trees, as the installed libraries report them.
CREATE OR REPLACE FUNCTION tally.collations_below(trees text[])
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT coalesce(string_agg(concat_ws('=', c.collname, CASE WHEN c.collprovider = 'd' THEN pg_database_collation_actual_version((SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
                                                      ELSE pg_collation_actual_version(c.oid) END), ',' ORDER BY c.collname COLLATE "C", c.oid), '')
    FROM pg_collation c WHERE c.oid IN (SELECT DISTINCT m[1]::oid FROM unnest(trees) t, regexp_matches(t, ':\w*coll\w* (\d+)', 'g') m)
$$;

-- tally.remember_made: store the OIDs of the tables that the engine made for a projection and for the rollups above it.
--   Writes     tally.made, tally.materialized_view
CREATE OR REPLACE FUNCTION tally.remember_made(v tally.derived_view)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO tally.made AS m (view_id, suffix, relation)
    SELECT d.id, s, tally.relation_of(d, s) FROM tally.derived_view d CROSS JOIN unnest('{"",_delta,_state}'::text[]) s
    WHERE v.id IN (d.id, d.root_id) AND (d.kind <> 'snapshot' OR s <> '') AND tally.relation_of(d, s) IS NOT NULL
    ON CONFLICT (view_id, suffix) DO UPDATE SET relation = excluded.relation WHERE m.relation <> excluded.relation;
    SELECT tally.follow_materialized(v.id)
$$;

-- tally.take_fingerprint: store the fingerprint that a definition has now.
--   Writes     tally.fingerprint
CREATE OR REPLACE FUNCTION tally.take_fingerprint(v tally.derived_view)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    f tally.fingerprint := tally.fingerprint_of(v);
BEGIN
    PERFORM tally.follow_materialized(v.id);
    f.triggers := tally.trigger_states(v.id) || coalesce((SELECT x.triggers FROM tally.fingerprint x WHERE x.view_id = v.id AND x.place = f.place), '{}');
    DELETE FROM tally.fingerprint x WHERE x.view_id = v.id;
    INSERT INTO tally.fingerprint SELECT f.*;
END
$$;
