-- control.chains: which derived views read which others.
--   Returns    view, reads: names as of tally.status
--   Reads      tally.source, tally.made_now
--   Used by    the dashboard
CREATE OR REPLACE FUNCTION control.chains()
RETURNS TABLE (view text, reads text)
LANGUAGE sql STABLE AS $$
    SELECT DISTINCT tally.name_of(v.schema_name, v.relation_name), tally.name_of(b.schema_name, b.relation_name)
    FROM tally.source s
    JOIN tally.derived_view v ON v.id = s.projection_id
    JOIN tally.made_now m ON m.relation = s.relation
    JOIN tally.derived_view b ON b.id = m.view_id
    WHERE b.id <> v.id ORDER BY 1, 2
$$;
COMMENT ON FUNCTION control.chains() IS 'which derived views read which others';
