-- tally.refuse_unsafe: raise unless every table that a projection reads is watched or assumed static, and the result of its
-- definition depends on tables alone. Otherwise stored rows could become stale without a sign.
--   Raises    TL007, TL008, TL016; TL018 if it reads what is written back from it
CREATE OR REPLACE FUNCTION tally.refuse_unsafe(v tally.derived_view, definition regclass)
RETURNS void LANGUAGE plpgsql STABLE SET jit = off AS $$
DECLARE
    culprits text;
    forms    text;
    callable text;
BEGIN
    SELECT string_agg(t::text, ', ' ORDER BY t::text) INTO culprits FROM tally.tables_read(definition) t
    WHERE NOT tally.is_source(v.id, t);
    IF culprits IS NOT NULL THEN
        PERFORM tally.fail('TL007', format('%s reads %s, which %s neither watches nor assumes static.', definition, culprits, tally.part(v)));
    END IF;
    SELECT string_agg(format('%s (%s)', c.part, c.why), ', ' ORDER BY c.part), string_agg(DISTINCT c.form, ' '), min(regexp_replace(c.part, ' without ORDER BY$', '')) FILTER (WHERE c.part ~ '^(?!ARRAY)[^ ]+\(')
    INTO culprits, forms, callable FROM tally.unstable_in_views(v, definition) c;
    IF culprits IS NOT NULL THEN
        PERFORM tally.fail('TL008', format('%s depends on more than tables: on %s.', definition, culprits),
            concat_ws(' ', forms, CASE WHEN callable IS NOT NULL THEN format('Or vouch for it: SELECT tally.allow_function(%L, %L).', tally.part(v), callable) END));
    END IF;
    SELECT string_agg(format('%s of %s', c.oid::regclass, s.relation), ', ') INTO culprits
    FROM tally.source s CROSS JOIN LATERAL tally.foreign_parts(s.relation) p JOIN pg_class c ON c.oid = p WHERE s.projection_id = v.id AND s.columns IS NOT NULL;
    IF culprits IS NOT NULL THEN
        PERFORM tally.fail('TL016', format('%s is a foreign table, which triggers cannot watch.', culprits), 'Detach the foreign partition, or let the definition read the other ones by name.');
    END IF;
    PERFORM tally.refuse_loop(v);
END
$$;

-- tally.policies_that_bind: the tables below a definition whose visible rows depend on policies, and so on the reading role or on settings.
--   Returns    relation; role: the role that the policy applies to
CREATE OR REPLACE FUNCTION tally.policies_that_bind(definition regclass)
RETURNS TABLE (relation regclass, role text) LANGUAGE sql STABLE AS $$
    SELECT DISTINCT c.oid::regclass, coalesce(r.rolname::text, 'who reads ' || u.relation)
    FROM tally.views_with_role(definition) u
    JOIN pg_rewrite w ON w.ev_class = u.relation
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class c ON c.oid = d.refobjid AND c.relrowsecurity
    LEFT JOIN pg_roles r ON r.oid = u.role
    WHERE r.oid IS NULL
       OR NOT r.rolsuper AND NOT r.rolbypassrls AND (c.relforcerowsecurity OR NOT pg_has_role(r.oid, c.relowner, 'USAGE'))
$$;

-- tally.unstable_in_views: the parts of a definition, or of a view below it, whose result may change although no table changes.
--   Returns    as tally.unstable_parts
CREATE OR REPLACE FUNCTION tally.unstable_in_views(v tally.derived_view, definition regclass)
RETURNS TABLE (part text, why text, form text) LANGUAGE sql STABLE AS $$
    WITH tree AS MATERIALIZED (
        SELECT u AS relation, tally.read_tree(r.ev_action::text) AS tree FROM tally.views_under(definition) u JOIN pg_rewrite r ON r.ev_class = u
    ), used AS MATERIALIZED (
        SELECT DISTINCT t.relation AS by, c.oid, c.relkind, n.nspname
        FROM tree t CROSS JOIN LATERAL jsonb_path_query(t.tree, 'strict $.** ? (@."_" == "RANGETBLENTRY").relid[0]') i
        JOIN pg_class c ON c.oid = (i #>> '{}')::oid AND c.oid <> t.relation JOIN pg_namespace n ON n.oid = c.relnamespace
    )
    SELECT p.part, p.why, p.form FROM tree t CROSS JOIN LATERAL tally.unstable_parts(t.tree, v.allowed) p
    UNION
    SELECT format('%s (%s)', u.oid::regclass, CASE u.relkind WHEN 'S' THEN 'a sequence' ELSE 'a system catalog' END), 'which no trigger can watch', 'Keep what it tells in a table.'
    FROM used u WHERE (u.relkind = 'S' OR u.nspname IN ('pg_catalog', 'information_schema'))
      AND NOT EXISTS (SELECT FROM tally.source s WHERE s.projection_id = v.id AND s.relation = u.oid AND s.columns IS NULL)
    UNION
    SELECT 'FOR UPDATE or FOR SHARE in ' || t.relation, 'it locks the rows that it reads, so writers would wait for merges', 'Leave it out of the view, and write it where rows are to be locked.' FROM tree t
    WHERE jsonb_path_exists(t.tree, 'strict $.** ? (@."_" == "QUERY").hasForUpdate[0] ? (@ == "true")')
    UNION
    SELECT 'an SQL/JSON path with dates in ' || t.relation, 'the setting TimeZone', tally.steady_form('TimeZone') FROM tree t
    WHERE jsonb_path_exists(t.tree, 'strict $.** ? (@."_" == "JSONEXPR")') AND pg_get_viewdef(t.relation) ~ '\.(datetime|date|time|time_tz|timestamp|timestamp_tz)\('
    UNION
    SELECT format('the row-level security of %s', p.relation), format('it binds %s', p.role),
        CASE WHEN p.role LIKE 'who reads %' THEN format('ALTER VIEW %s RESET (security_invoker), so that its owner is asked.', substr(p.role, 11))
             ELSE 'Let the view''s owner be the table''s, without FORCE ROW LEVEL SECURITY, or a role with BYPASSRLS.' END
    FROM tally.policies_that_bind(definition) p
$$;

-- tally.foreign_parts: foreign tables among the partitions and children of a table.
CREATE OR REPLACE FUNCTION tally.foreign_parts(relation regclass)
RETURNS SETOF regclass LANGUAGE sql STABLE AS $$
    WITH RECURSIVE tree(member) AS (
        SELECT relation::oid UNION SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.member)
    SELECT tree.member::regclass FROM tree JOIN pg_class c ON c.oid = tree.member WHERE c.relkind = 'f'
$$;

-- tally.refuse_unsafe_filter: raise unless a rollup's filter depends on the row alone, not on tables, settings or the clock.
--   Parameters filter: as it was given; parsed: a view that computes it from base
--   Raises    TL008
CREATE OR REPLACE FUNCTION tally.refuse_unsafe_filter(base tally.derived_view, filter text, parsed regclass)
RETURNS void LANGUAGE plpgsql STABLE SET jit = off AS $$
DECLARE
    tree     jsonb := (SELECT tally.read_tree(r.ev_action::text) FROM pg_rewrite r WHERE r.ev_class = parsed);
    root     tally.derived_view := tally.view_by_id(coalesce(base.root_id, base.id));
    culprits text;
    forms    text;
BEGIN
    SELECT string_agg(format('%s (%s)', c.part, c.why), ', ' ORDER BY c.part), string_agg(DISTINCT c.form, ' ') INTO culprits, forms
    FROM (SELECT p.* FROM tally.unstable_parts(tree, root.allowed) p
          UNION
          SELECT i #>> '{}', 'a filter is not told when it changes', 'Let the definition tell it in a column, and filter by that.'
          FROM (SELECT DISTINCT to_jsonb((i #>> '{}')::oid::regclass::text) AS i FROM jsonb_path_query(tree, 'strict $.** ? (@."_" == "RANGETBLENTRY").relid[0]') i
                WHERE (i #>> '{}')::oid NOT IN (0, parsed, tally.part(base)::regclass)
                   OR (i #>> '{}')::oid = tally.part(base)::regclass AND jsonb_path_exists(tree, 'strict $.** ? (@."_" == "SUBLINK")')) x) c;
    IF culprits IS NOT NULL THEN
        PERFORM tally.fail('TL008', format('Filter "%s" depends on more than the row: on %s.', filter, culprits), forms);
    END IF;
END
$$;

-- tally.refuse_unsafe_expand: raise unless the expand of a source leads from changed rows to all of their keys, whichever role merges.
--   Raises    TL008
CREATE OR REPLACE FUNCTION tally.refuse_unsafe_expand(v tally.derived_view, s tally.source)
RETURNS void LANGUAGE plpgsql STABLE SET jit = off AS $$
DECLARE
    tree     jsonb;
    culprits text;
    forms    text;
BEGIN
    SELECT tally.read_tree(p.prosqlbody::text) INTO tree FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = v.schema_name AND p.proname = v.relation_name || '_expand_' || s.ordinal;
    SELECT string_agg(format('%s (%s)', c.part, c.why), ', ' ORDER BY c.part), string_agg(DISTINCT c.form, ' ') INTO culprits, forms
    FROM (SELECT p.* FROM tally.unstable_parts(tree, v.allowed) p WHERE p.part !~ 'without ORDER BY'
          UNION
          SELECT 'LIMIT', 'it leaves out keys', 'Return every key that a changed row touches.' FROM tally.tree_nodes(tree) n
          WHERE n.node ->> '_' = 'QUERY' AND NOT coalesce(tree #> n.path[:cardinality(n.path) - 2] @> '{"_":"SUBLINK","subLinkType":["0"]}', false)
            AND (n.node -> 'limitCount' -> 0 <> 'null' OR n.node -> 'limitOffset' -> 0 <> 'null' AND NOT tally.is_zero(n.node -> 'limitOffset' -> 0))
          UNION
          SELECT format('%s', c.oid::regclass), 'which no trigger can watch', 'Keep what it tells in a table.'
          FROM jsonb_path_query(tree, 'strict $.** ? (@."_" == "RANGETBLENTRY").relid[0]') i JOIN pg_class c ON c.oid = (i #>> '{}')::oid
          WHERE c.relkind = 'S' OR c.relnamespace IN (SELECT n.oid FROM pg_namespace n WHERE n.nspname IN ('pg_catalog', 'information_schema'))) c;
    IF culprits IS NOT NULL THEN
        PERFORM tally.fail('TL008', format('The expand of %s for %s depends on more than tables: on %s.', s.relation, tally.part(v), culprits), forms);
    END IF;
END
$$;

-- tally.require_runnable: raise TL008 if a definition calls a function that finds what it uses only by the caller's search_path. Merges have none of it.
--   Notes     The planner looks into functions in SQL; another one is met by the first merge (tally.broken_function)
CREATE OR REPLACE FUNCTION tally.require_runnable(definition regclass)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    message text;
    context text;
BEGIN
    EXECUTE format('EXPLAIN SELECT * FROM %s', definition);
EXCEPTION
    WHEN undefined_function OR ambiguous_function OR undefined_table OR undefined_column OR undefined_object THEN
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, context = PG_EXCEPTION_CONTEXT;
        PERFORM tally.fail('TL008', format('%s calls %s, which does not run without a search_path: %s.', definition, coalesce((regexp_match(context, '^(?:SQL|PL/pgSQL) function ("[^"]*"|\S+)'))[1], 'a function'), message),
            'Merges and live reads run with search_path pg_catalog. Name the schemas in the body of that function, or give it a path of its own: ALTER FUNCTION … SET search_path = ….');
    WHEN OTHERS THEN
        NULL;  -- that is told elsewhere: a missing right, a foreign table without a server, …
END
$$;
