-- control.runs: requested runs, the newest first, a page at a time.
--   Parameters after: the last id of the previous page, NULL for the first page; "limit": rows of a page
--   Returns    rows of control.run
--   Reads      control.run by its primary key, never more rows than it returns
CREATE OR REPLACE FUNCTION control.runs(after bigint, "limit" int)
RETURNS SETOF control.run LANGUAGE sql STABLE AS $$
    SELECT r.* FROM control.run r
    WHERE r.id < coalesce(runs.after, 9223372036854775807)
    ORDER BY r.id DESC
    LIMIT runs."limit"
$$;
COMMENT ON FUNCTION control.runs(bigint, int) IS 'requested runs, the newest first, a page at a time';
