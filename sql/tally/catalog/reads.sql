-- What a definition reads, from the catalog: PostgreSQL records it for every view.

-- tally.views_under: a view and every view it is made of.
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
    )
    SELECT relation::regclass FROM under
$$;

-- tally.tables_read: every relation that is not a view and that a definition reads, through views too.
CREATE OR REPLACE FUNCTION tally.tables_read(definition regclass)
RETURNS SETOF regclass LANGUAGE sql STABLE AS $$
    SELECT DISTINCT d.refobjid::regclass
    FROM tally.views_under(definition) u
    JOIN pg_rewrite r ON r.ev_class = u
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class c ON c.oid = d.refobjid AND c.relkind NOT IN ('v', 'S', 'i', 'I', 'c')
    WHERE c.relnamespace <> 'pg_catalog'::regnamespace AND d.refobjid <> definition
$$;

-- tally.columns_used: the columns of a table that a definition uses; all of them where a view names a whole row
-- (to_jsonb(t), say), for pg_depend does not tell which table's row that is.
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

-- tally.unstable_calls: what a definition calls that may hide a table or the time: volatile functions, stable ones
-- of the user's, and the clock or the session in whatever form.
CREATE OR REPLACE FUNCTION tally.unstable_calls(definition regclass, allowed text[])
RETURNS SETOF text LANGUAGE sql STABLE AS $$
    WITH tree AS (
        SELECT r.ev_action::text AS body FROM tally.views_under(definition) u JOIN pg_rewrite r ON r.ev_class = u
    ), called AS (
        SELECT DISTINCT m[1]::oid AS oid
        FROM tree, regexp_matches(body, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)', 'g') AS m
    )
    SELECT p.oid::regprocedure::text
    FROM called JOIN pg_proc p USING (oid)
    WHERE tally.signature_of(p.oid) <> ALL (allowed)
      AND (p.provolatile = 'v'
        OR p.provolatile = 's' AND p.pronamespace <> 'pg_catalog'::regnamespace
        OR p.provolatile = 's' AND p.pronamespace = 'pg_catalog'::regnamespace AND p.proname IN
           ('now', 'transaction_timestamp', 'statement_timestamp', 'current_setting', 'age', 'current_schema', 'current_schemas',
            'pg_current_snapshot', 'txid_current_snapshot', 'txid_current', 'pg_current_xact_id', 'pg_backend_pid')
           AND (p.proname <> 'age' OR p.pronargs = 1))
    UNION ALL
    SELECT DISTINCT 'CURRENT_DATE, CURRENT_TIME, CURRENT_USER or the like' FROM tree WHERE body ~ '\{SQLVALUEFUNCTION '
$$;

-- tally.refuse_unsafe: raise unless every table that a projection reads is watched or vouched for, and nothing that
-- it calls may change by itself. Silence never means stale.
--   Raises    TL007, TL008
CREATE OR REPLACE FUNCTION tally.refuse_unsafe(v tally.derived_view, definition regclass)
RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    culprits text;
BEGIN
    SELECT string_agg(t::text, ', ' ORDER BY t::text) INTO culprits FROM tally.tables_read(definition) t
    WHERE NOT EXISTS (SELECT FROM tally.source s WHERE s.projection_id = v.id AND s.relation = t);
    IF culprits IS NOT NULL THEN
        PERFORM tally.fail('TL007', format('%s reads %s, which %s neither watches nor assumes static.', definition, culprits, tally.part(v)));
    END IF;
    SELECT string_agg(c, ', ' ORDER BY c) INTO culprits FROM tally.unstable_calls(definition, v.allowed) c;
    IF culprits IS NOT NULL THEN
        PERFORM tally.fail('TL008', format('%s calls %s, whose result may change without any table changing.', definition, culprits));
    END IF;
END
$$;
