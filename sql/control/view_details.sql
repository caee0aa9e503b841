-- control.view_details: what is shown of a derived view besides its state.
--   Parameters view: a name as of tally.views
--   Returns    its name; its definition as SQL (of a rollup: the query that it is equal to); key and identity of a projection; the columns
--              that a rollup groups by; how many rows are stored, as PostgreSQL estimates it, NULL before the first ANALYZE; the tables
--              that its projection watches, and those that are assumed static
--   Reads      tally.derived_view, tally.source, pg_class
--   Raises     TL001, TL003
--   Used by    the API
CREATE OR REPLACE FUNCTION control.view_details(view text)
RETURNS TABLE (name text, definition text, key name[], identity name[], group_by name[], rows bigint, watched text[], static text[])
LANGUAGE sql STABLE AS $$
    SELECT s.name, pg_get_viewdef(CASE d.kind WHEN 'rollup' THEN tally.relation_of(d, '_def') ELSE tally.definition_of(d) END), d.key, d.identity, d.group_by,
           (SELECT nullif(c.reltuples, -1)::bigint FROM pg_class c WHERE c.oid = CASE d.kind WHEN 'snapshot' THEN tally.definition_of(d) ELSE tally.relation_of(d) END),
           ARRAY(SELECT tally.shown(o.relation)::text FROM tally.source o WHERE o.projection_id = coalesce(d.root_id, d.id) AND o.columns IS NOT NULL ORDER BY o.ordinal),
           ARRAY(SELECT tally.shown(o.relation)::text FROM tally.source o WHERE o.projection_id = coalesce(d.root_id, d.id) AND o.columns IS NULL ORDER BY o.ordinal)
    FROM tally.views($1) s JOIN tally.derived_view d ON tally.name_of(d.schema_name, d.relation_name) = s.name
$$;
COMMENT ON FUNCTION control.view_details(text) IS 'definition, key, size and sources of a derived view';

-- control.quarantined: the keys of a derived view that could not be evaluated, the oldest first.
--   Parameters view: a name as of tally.views; most: rows at most
--   Returns    the key, since when, and why. A rollup has those of its projection
--   Reads      tally.quarantine
--   Raises     TL001, TL003
--   Used by    the API
CREATE OR REPLACE FUNCTION control.quarantined(view text, most int)
RETURNS TABLE (key jsonb, sqlstate text, error text, quarantined_at timestamptz)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v tally.derived_view := control.declared(quarantined.view);
BEGIN
    RETURN QUERY SELECT q.key, q.sqlstate, q.error, q.quarantined_at FROM tally.quarantine q
        WHERE q.view_id = coalesce(v.root_id, v.id) ORDER BY q.quarantined_at, q.key LIMIT quarantined.most;
END
$$;
COMMENT ON FUNCTION control.quarantined(text, int) IS 'the keys of a derived view that could not be evaluated';

-- control.views: the rows of tally.status in the order of their names, a page at a time.
--   Parameters after: the last name of the previous page, NULL for the first page; most: rows of a page
--   Returns    each as JSON, so that tally.status may change its columns
--   Reads      tally.status
--   Used by    the API
CREATE OR REPLACE FUNCTION control.views(after text, most int)
RETURNS SETOF jsonb LANGUAGE sql STABLE AS $$
    SELECT to_jsonb(s) FROM tally.views() s WHERE s.name COLLATE "C" > coalesce($1, '') COLLATE "C" ORDER BY s.name COLLATE "C" LIMIT $2
$$;
COMMENT ON FUNCTION control.views(text, int) IS 'the rows of tally.status, a page at a time';
