-- tally.views_under: a view and every view below it, except those of PostgreSQL itself.
CREATE OR REPLACE FUNCTION tally.views_under(definition regclass)
RETURNS SETOF regclass LANGUAGE sql STABLE AS $$
    WITH RECURSIVE under(relation) AS (
        SELECT definition::oid
        UNION
        SELECT d.refobjid
        FROM under u
        JOIN pg_rewrite r ON r.ev_class = u.relation
        JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                        AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> u.relation
        JOIN pg_class c ON c.oid = d.refobjid AND c.relkind = 'v'
        JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    )
    SELECT relation::regclass FROM under
$$;

-- tally.asks_reader: whether a view reads its tables with the rights of the reader (security_invoker).
CREATE OR REPLACE FUNCTION tally.asks_reader(c pg_class)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT o.option_value::boolean FROM pg_options_to_table(c.reloptions) o WHERE o.option_name = 'security_invoker'), false)
$$;

-- tally.views_with_role: the same views, each with the role whose rights are used to read its tables.
--   Returns    role: the owner; NULL for a view with security_invoker: PostgreSQL asks for the reader's rights there, also under another view
CREATE OR REPLACE FUNCTION tally.views_with_role(definition regclass)
RETURNS TABLE (relation regclass, role oid) LANGUAGE sql STABLE AS $$
    WITH RECURSIVE under(relation, role) AS (
        SELECT c.oid, CASE WHEN NOT tally.asks_reader(c) THEN c.relowner END FROM pg_class c WHERE c.oid = definition
        UNION
        SELECT c.oid, CASE WHEN NOT tally.asks_reader(c) THEN c.relowner END
        FROM under u JOIN pg_rewrite r ON r.ev_class = u.relation
        JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                        AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> u.relation
        JOIN pg_class c ON c.oid = d.refobjid AND c.relkind = 'v'
    )
    SELECT u.relation::regclass, u.role FROM under u
$$;
