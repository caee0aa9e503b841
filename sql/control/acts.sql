-- control.acts: who did what over the API, the newest first, a page at a time.
--   Parameters after: the last id of the previous page, NULL for the first page; most: rows of a page; who: only those of the token of
--              this name, NULL for all
--   Returns    rows of control.audit
--   Reads      control.audit by its primary key, or by who
CREATE OR REPLACE FUNCTION control.acts(after bigint, most int, who text DEFAULT NULL)
RETURNS SETOF control.audit LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    below bigint := coalesce(acts.after, 9223372036854775807);
BEGIN
    IF acts.who IS NULL THEN
        RETURN QUERY SELECT a.* FROM control.audit a WHERE a.id < below ORDER BY a.id DESC LIMIT acts.most;
    ELSE
        RETURN QUERY SELECT a.* FROM control.audit a WHERE a.who = acts.who AND a.id < below ORDER BY a.id DESC LIMIT acts.most;
    END IF;
END
$$;
COMMENT ON FUNCTION control.acts(bigint, int, text) IS 'who did what over the API, the newest first, a page at a time';

-- control.forget_acts: delete rows of the audit log that are old.
--   Returns    how many were deleted
--   Writes     control.audit
CREATE OR REPLACE FUNCTION control.forget_acts(older_than interval)
RETURNS bigint LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM control.audit a WHERE a.at < now() - older_than RETURNING 1)
    SELECT count(*) FROM gone
$$;
COMMENT ON FUNCTION control.forget_acts(interval) IS 'delete rows of the audit log that are old; returns how many';
