-- control.trust: since when a derived view is known to be right, and its last verifications.
--   Parameters view: a name as of tally.views; most: verifications at most
--   Returns    a row for each verification that ended, the newest first: the run, when, for how long, which share of the keys (NULL: all),
--              how many rows differed; clean_since: when the first verification ended since which none has found a difference, NULL if
--              the last one did (the same in each row)
--   Reads      control.run by the index run_checked
--   Raises     TL001, TL003
--   Used by    the dashboard
CREATE OR REPLACE FUNCTION control.trust(view text, most int DEFAULT 20)
RETURNS TABLE (run bigint, finished_at timestamptz, seconds float8, sample float8, differences bigint, clean_since timestamptz)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    called text := (SELECT s.name FROM tally.views(trust.view) s);
BEGIN
    RETURN QUERY
        WITH verified AS MATERIALIZED (
            SELECT r.id, r.finished_at, extract(epoch FROM r.finished_at - r.started_at)::float8 AS seconds, r.sample, coalesce((r.result ->> 'differences')::bigint, 0) AS differences
            FROM control.run r WHERE r.view = called AND r.action = 'verify' AND r.state = 'done'
        ), drift AS (
            SELECT max(v.id) AS id FROM verified v WHERE v.differences > 0
        )
        SELECT v.*, (SELECT min(c.finished_at) FROM verified c, drift d WHERE d.id IS NULL OR c.id > d.id) FROM verified v ORDER BY v.id DESC LIMIT trust.most;
END
$$;
COMMENT ON FUNCTION control.trust(text, int) IS 'since when a derived view is known to be right, and its last verifications';
