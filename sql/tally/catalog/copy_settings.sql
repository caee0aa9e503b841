-- tally.grants_on: commands for the grants on a relation and on its columns, and for its owner.
CREATE OR REPLACE FUNCTION tally.grants_on(old regclass, name text, columns name[])
RETURNS SETOF text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format('GRANT %s%s ON %s TO %s%s', g.privilege_type, ' (' || quote_ident(g.col) || ')', name,
                  CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END, CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_class c CROSS JOIN LATERAL (
        SELECT NULL::name AS col, a.* FROM aclexplode(c.relacl) a
        UNION ALL
        SELECT t.attname, a.* FROM pg_attribute t CROSS JOIN LATERAL aclexplode(t.attacl) a
        WHERE t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped AND t.attname = ANY (columns)) g
    WHERE c.oid = old AND g.grantee <> c.relowner
$$;

-- tally.sql_option: a storage parameter, as the catalog has it ('fillfactor=70'), for a list in SET (…).
CREATE OR REPLACE FUNCTION tally.sql_option(option text, prefix text)
RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format('%s%I = %L', prefix, split_part(option, '=', 1), substr(option, strpos(option, '=') + 1))
$$;

-- tally.storage_of: commands for the storage parameters of a relation and the settings of its columns.
CREATE OR REPLACE FUNCTION tally.storage_of(old regclass, name text, columns name[])
RETURNS SETOF text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format('ALTER %s %s SET (%s)', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, name, string_agg(tally.sql_option(o.option, o.prefix), ', '))
    FROM pg_class c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
    CROSS JOIN LATERAL (SELECT u, '' FROM unnest(c.reloptions) u UNION ALL SELECT u, 'toast.' FROM unnest(t.reloptions) u) o(option, prefix)
    WHERE c.oid = old GROUP BY c.relkind
    UNION ALL
    SELECT format('ALTER TABLE %s ALTER COLUMN %I %s', name, a.attname, x.setting)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r'
    CROSS JOIN LATERAL (VALUES
        (CASE WHEN a.attnotnull THEN 'SET NOT NULL' END),
        ('SET STATISTICS ' || nullif(coalesce(a.attstattarget, -1), -1)),
        (CASE WHEN a.attstorage <> t.typstorage THEN 'SET STORAGE ' || CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END),
        ('SET COMPRESSION ' || CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END),
        (format('SET (%s)', (SELECT string_agg(tally.sql_option(u, ''), ', ') FROM unnest(a.attoptions) u)))) AS x(setting)
    WHERE a.attrelid = old AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY (columns) AND x.setting IS NOT NULL AND x.setting <> 'SET ()'
$$;

-- tally.row_security_of: commands for the policies of a relation, then those that enable row-level security.
CREATE OR REPLACE FUNCTION tally.row_security_of(old regclass, name text)
RETURNS SETOF text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, name, CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                  CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                  (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE r::regrole::text END, ', ') FROM unnest(p.polroles) r),
                  ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
    FROM pg_policy p WHERE p.polrelid = old
    UNION ALL
    SELECT format('COMMENT ON POLICY %I ON %s IS %L', p.polname, name, obj_description(p.oid, 'pg_policy'))
    FROM pg_policy p WHERE p.polrelid = old AND obj_description(p.oid, 'pg_policy') IS NOT NULL
    UNION ALL SELECT format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', name) FROM pg_class c WHERE c.oid = old AND c.relrowsecurity
    UNION ALL SELECT format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', name) FROM pg_class c WHERE c.oid = old AND c.relforcerowsecurity
$$;

-- tally.replication_of: commands for the publications that name a table, its replica identity, and the index to cluster on.
CREATE OR REPLACE FUNCTION tally.replication_of(old regclass, name text, columns name[])
RETURNS SETOF text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format('ALTER TABLE %s REPLICA IDENTITY %s', name, CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' WHEN 'd' THEN 'DEFAULT'
                  ELSE format('USING INDEX %I', (SELECT n.relname FROM pg_index x JOIN pg_class n ON n.oid = x.indexrelid
                                                 WHERE x.indrelid = c.oid AND x.indisreplident)) END)
    FROM pg_class c WHERE c.oid = old AND c.relkind = 'r'
    UNION ALL
    SELECT format('ALTER TABLE %s CLUSTER ON %I', name, n.relname) FROM pg_index x JOIN pg_class n ON n.oid = x.indexrelid WHERE x.indrelid = old AND x.indisclustered
    UNION ALL
    SELECT format('ALTER PUBLICATION %I ADD TABLE ONLY %s%s%s', p.pubname, name,
                  (SELECT format(' (%s)', string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)) FROM pg_attribute a
                   WHERE a.attrelid = old AND a.attnum = ANY (r.prattrs) HAVING count(*) > 0),
                  ' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')')
    FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = old
$$;

-- tally.is_own_comment: whether the engine wrote a comment and so may overwrite it. A missing comment (NULL) counts as the engine's own.
CREATE OR REPLACE FUNCTION tally.is_own_comment(comment text)
RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT coalesce(comment ~ '; exact now: |, exact at the reader''s snapshot: |^the oracle of ', true)
$$;

-- tally.comments_on: commands for the comments that users made on a relation, its columns and its indexes; the engine's own are left out.
CREATE OR REPLACE FUNCTION tally.comments_on(old regclass, name text, columns name[])
RETURNS SETOF text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT format('COMMENT ON %s %s IS %L', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, name, obj_description(c.oid, 'pg_class'))
    FROM pg_class c WHERE c.oid = old AND NOT tally.is_own_comment(obj_description(c.oid, 'pg_class'))
    UNION ALL
    SELECT format('COMMENT ON COLUMN %s.%I IS %L', name, a.attname, col_description(old, a.attnum))
    FROM pg_attribute a WHERE a.attrelid = old AND a.attnum > 0 AND a.attname = ANY (columns) AND col_description(old, a.attnum) IS NOT NULL
    UNION ALL
    SELECT format('COMMENT ON INDEX %I.%I IS %L', s.nspname, n.relname, obj_description(n.oid, 'pg_class'))
    FROM pg_index x JOIN pg_class n ON n.oid = x.indexrelid JOIN pg_namespace s ON s.oid = n.relnamespace
    WHERE x.indrelid = old AND obj_description(n.oid, 'pg_class') IS NOT NULL
$$;

-- tally.settings_of: the commands that copy what an owner has set on a relation to another relation with the same columns.
--   Parameters old: the relation to copy from; name: the quoted name of the relation to change; columns: the columns that it has
--   Returns    grants (also on columns), row-level security and policies, publications, replica identity, storage parameters,
--              column settings, statistics, the index to cluster on, comments: only what differs from a newly made table
--   Reads      the catalog alone
CREATE OR REPLACE FUNCTION tally.settings_of(old regclass, name text, columns name[])
RETURNS SETOF text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT c.command FROM tally.grants_on(old, name, columns) c(command)
    UNION ALL SELECT c.command FROM tally.storage_of(old, name, columns) c(command)
    UNION ALL SELECT c.command FROM tally.row_security_of(old, name) c(command)
    UNION ALL SELECT c.command FROM tally.replication_of(old, name, columns) c(command)
    UNION ALL SELECT c.command FROM tally.comments_on(old, name, columns) c(command)
    UNION ALL SELECT pg_get_statisticsobjdef(s.oid) FROM pg_statistic_ext s WHERE s.stxrelid = old
$$;

-- tally.require_carried: raise TL017 if a policy, a publication, a statistic or a column grant of a projection or of a rollup above it
-- uses a column that the replacement lacks.
CREATE OR REPLACE FUNCTION tally.require_carried(v tally.derived_view)
RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    users text;
BEGIN
    SELECT string_agg(DISTINCT format('%s of %s (column %I)', coalesce('policy ' || quote_ident(p.polname), 'publication ' || quote_ident(b.pubname),
                                      'statistics ' || quote_ident(s.stxname), 'a grant'), tally.part(d), a.attname), ', ') INTO users
    FROM tally.derived_view d JOIN tally.derived_view n ON n.replaces_id = d.id
    JOIN pg_attribute a ON a.attrelid = tally.relation_of(d) AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL (tally.columns_of(tally.relation_of(n)))
    LEFT JOIN pg_depend w ON w.refclassid = 'pg_class'::regclass AND w.refobjid = a.attrelid AND w.refobjsubid = a.attnum
    LEFT JOIN pg_policy p ON w.classid = 'pg_policy'::regclass AND p.oid = w.objid
    LEFT JOIN pg_statistic_ext s ON w.classid = 'pg_statistic_ext'::regclass AND s.oid = w.objid
    LEFT JOIN pg_publication_rel r ON w.classid = 'pg_publication_rel'::regclass AND r.oid = w.objid
    LEFT JOIN pg_publication b ON b.oid = r.prpubid
    WHERE v.id IN (d.id, d.root_id) AND (p.oid IS NOT NULL OR s.oid IS NOT NULL OR b.oid IS NOT NULL OR a.attacl IS NOT NULL);
    IF users IS NOT NULL THEN
        PERFORM tally.fail('TL017', format('%s cannot be redefined: %s would be lost, for the new definition lacks the column.', tally.part(v), users));
    END IF;
END
$$;

-- tally.copy_storage: copy storage parameters, column settings, access method and tablespace to the empty replacement of a projection
-- and to those of its rollups. This is done before they are filled.
CREATE OR REPLACE FUNCTION tally.copy_storage(v tally.derived_view)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    d       record;
    command text;
BEGIN
    FOR d IN SELECT tally.relation_of(x) AS old, tally.relation_of(n) AS new, tally.part(n) AS name FROM tally.derived_view x
             JOIN tally.derived_view n ON n.replaces_id = x.id WHERE v.id IN (x.id, x.root_id) LOOP
        FOR command IN
            SELECT s.command FROM tally.storage_of(d.old, d.name, tally.columns_of(d.new)) s(command)
            UNION ALL SELECT format('ALTER TABLE %s SET TABLESPACE %I', d.name, t.spcname)
            FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE c.oid = d.old
            UNION ALL SELECT format('ALTER TABLE %s SET ACCESS METHOD %I', d.name, m.amname)
            FROM pg_class c JOIN pg_class n ON n.oid = d.new AND n.relam <> c.relam JOIN pg_am m ON m.oid = c.relam WHERE c.oid = d.old LOOP
            EXECUTE command;
        END LOOP;
    END LOOP;
END
$$;
