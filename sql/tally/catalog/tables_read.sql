-- tally.tables_read: every relation that a definition reads, also through views. Views, system catalogs and sequences are left out.
CREATE OR REPLACE FUNCTION tally.tables_read(definition regclass)
RETURNS SETOF regclass LANGUAGE sql STABLE AS $$
    SELECT DISTINCT d.refobjid::regclass
    FROM tally.views_under(definition) u
    JOIN pg_rewrite r ON r.ev_class = u
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class c ON c.oid = d.refobjid AND c.relkind NOT IN ('v', 'S', 'i', 'I', 'c')
    WHERE c.relnamespace NOT IN (SELECT n.oid FROM pg_namespace n WHERE n.nspname IN ('pg_catalog', 'information_schema')) AND d.refobjid <> definition
$$;

-- tally.columns_used: the columns of a table that a definition uses. If a view uses a whole row (to_jsonb(t), for example), these are all
-- columns, because pg_depend does not say to which table that row belongs.
CREATE OR REPLACE FUNCTION tally.columns_used(definition regclass, source regclass)
RETURNS name[] LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN bool_or(r.ev_action::text ~ ':varattno 0 ') THEN tally.columns_of(source)
                ELSE array_agg(DISTINCT a.attname) FILTER (WHERE a.attname IS NOT NULL) END
    FROM tally.views_under(definition) u
    JOIN pg_rewrite r ON r.ev_class = u
    LEFT JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                        AND d.refclassid = 'pg_class'::regclass AND d.refobjid = source
    LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND a.attnum > 0
$$;

-- tally.signature_of: a function with its argument types, every name qualified.
CREATE OR REPLACE FUNCTION tally.signature_of(function oid)
RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog AS 'SELECT function::regprocedure::text';

-- tally.table_and_children: a table, its partitions and the tables that inherit from it, at every level. A partition that is being detached
-- CONCURRENTLY does not count: queries do not see its rows any more.
CREATE OR REPLACE FUNCTION tally.table_and_children(relation regclass)
RETURNS SETOF regclass LANGUAGE sql STABLE ROWS 2 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    WITH RECURSIVE tree(member) AS (
        SELECT relation::oid UNION SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.member AND NOT i.inhdetachpending)
    SELECT tree.member::regclass FROM tree JOIN pg_class c ON c.oid = tree.member WHERE c.relkind IN ('r', 'p')
$$;
