-- control.last_verified: what the last verification of each of some derived views found.
--   Parameters views: names as of tally.status
--   Returns    a row for each that was ever verified: the run, when it ended, for how long it was at work, which share of the keys it
--              compared (NULL: all), how many rows differed, and whether the view was repaired or rebuilt since
--   Reads      control.run, a few rows a view, by the index run_checked
--   Used by    the dashboard
CREATE OR REPLACE FUNCTION control.last_verified(views text[])
RETURNS TABLE (view text, run bigint, finished_at timestamptz, seconds float8, sample float8, differences bigint, repaired boolean)
LANGUAGE sql STABLE AS $$
    SELECT n.name, r.id, r.finished_at, extract(epoch FROM r.finished_at - r.started_at)::float8, r.sample, (r.result ->> 'differences')::bigint,
           EXISTS (SELECT FROM control.run s WHERE s.view = n.name AND s.id > r.id AND s.state = 'done' AND s.action IN ('repair', 'rebuild'))
    FROM unnest($1) n(name)
    CROSS JOIN LATERAL (SELECT v.* FROM control.run v WHERE v.view = n.name AND v.action = 'verify' AND v.state = 'done'
                        ORDER BY v.id DESC LIMIT 1) r
$$;
COMMENT ON FUNCTION control.last_verified(text[]) IS 'what the last verification of each of some derived views found';
