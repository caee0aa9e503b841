-- Target lag: from the measured cost of merges follows how often a view is merged, and with how many keys.

-- tally.oldest_pending: when the oldest pending change of a projection was logged; NULL if nothing is pending.
CREATE OR REPLACE FUNCTION tally.oldest_pending(v tally.derived_view)
RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    oldest timestamptz;
BEGIN
    EXECUTE format('SELECT o.tally_since FROM %s() o', tally.part(v, '_oldest')) INTO oldest;
    RETURN oldest;
END
$$;

-- tally.note_lag: store what a merge of a view with a target lag cost, and the lag at its end.
--   Parameters oldest: when the oldest change that it merged was logged; ms: its duration
--   Writes     tally.merge_cost, tally.lag_minute
CREATE OR REPLACE FUNCTION tally.note_lag(v tally.derived_view, oldest timestamptz, keys bigint, ms float8)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    now_   timestamptz := clock_timestamp();
    bucket integer := greatest(1, least(200, ceil(ln(greatest(extract(epoch FROM now_ - oldest)::float8 * 1000, 1)) / ln(1.1::float8))))::integer;
    empty  integer[] := array_fill(0, ARRAY[200]);
BEGIN
    INSERT INTO tally.merge_cost AS c VALUES (v.id, 1, keys, ms, keys::float8 * keys, keys * ms)
    ON CONFLICT (view_id) DO UPDATE SET merges = c.merges * 0.95 + 1, keys = c.keys * 0.95 + excluded.keys, ms = c.ms * 0.95 + excluded.ms,
        keys_keys = c.keys_keys * 0.95 + excluded.keys_keys, keys_ms = c.keys_ms * 0.95 + excluded.keys_ms;
    IF oldest IS NOT NULL THEN
        empty[bucket] := 1;
        INSERT INTO tally.lag_minute AS l VALUES (v.id, extract(minute FROM now_), date_trunc('minute', now_), empty)
        ON CONFLICT (view_id, slot) DO UPDATE SET minute = excluded.minute,
            counts = CASE WHEN l.minute = excluded.minute THEN l.counts[:bucket - 1] || (l.counts[bucket] + 1) || l.counts[bucket + 1:] ELSE excluded.counts END;
    END IF;
END
$$;

-- tally.lag_reached: the median (p50) and the 99th percentile (p99) of the lag at the end of the last hour's merges, in seconds; NULL if there was none.
CREATE OR REPLACE FUNCTION tally.lag_reached(view_id integer, OUT p50 float8, OUT p99 float8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    WITH lag AS (SELECT u.n, sum(u.c) AS c FROM tally.lag_minute l, unnest(l.counts) WITH ORDINALITY u(c, n)
                 WHERE l.view_id = lag_reached.view_id AND l.minute > clock_timestamp() - interval '1 hour' GROUP BY u.n HAVING sum(u.c) > 0),
    run AS (SELECT n, sum(c) OVER (ORDER BY n) AS upto, sum(c) OVER () AS all_ FROM lag)
    SELECT 1.1::float8 ^ min(n) FILTER (WHERE upto >= all_ * 0.5) / 1000, 1.1::float8 ^ min(n) FILTER (WHERE upto >= all_ * 0.99) / 1000 FROM run
$$;

-- tally.merge_plan: how to merge a view with a target lag. In the worst case a change waits for its writer's commit, one interval, and the
-- merge itself: so an interval is three tenths of the target at most, and a quarter is kept as a reserve. A merge takes as many keys as half of the target allows, but always so many that at most a
-- fifth of its time goes into what every merge costs: smaller ones would never catch up with a backlog.
--   Returns    interval_ms: from start to start, rounded in steps of a tenth so that the schedule does not change with each merge; max_keys;
--              both NULL without a target
CREATE OR REPLACE FUNCTION tally.merge_plan(v tally.derived_view, OUT interval_ms integer, OUT max_keys integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    c       tally.merge_cost;
    per_key float8 := 0;   -- ms; at most 0.1 if all merges had one size, because then it cannot be told from the fixed cost
    fixed   float8 := 0;   -- ms
BEGIN
    IF v.target_lag_ms IS NULL THEN
        RETURN;
    END IF;
    SELECT * INTO c FROM tally.merge_cost x WHERE x.view_id = v.id;
    IF FOUND THEN
        per_key := greatest(CASE WHEN c.keys_keys - c.keys * c.keys / c.merges > 1 + 0.0001 * c.keys_keys THEN (c.keys_ms - c.keys * c.ms / c.merges) / (c.keys_keys - c.keys * c.keys / c.merges)
                                 ELSE least(c.ms / nullif(c.keys, 0), 0.1) END, 0.0005);
        fixed := greatest(c.ms / c.merges - per_key * c.keys / c.merges, 0);
    END IF;
    interval_ms := 1.1 ^ floor(ln(greatest(50, least(v.target_lag_ms * 0.3, v.target_lag_ms * 0.75 - coalesce(c.ms / c.merges, 0)))) / ln(1.1));
    max_keys := CASE WHEN per_key = 0 THEN 50000 ELSE least(50000, greatest(1000, (v.target_lag_ms * 0.5 - fixed) / per_key, 4 * fixed / per_key))::integer END;
END
$$;

-- tally.root_below: which projections a projection reads from, directly, through their rollups or through other projections.
--   Returns    a row for each two; depth: over how many projections at most
CREATE OR REPLACE VIEW tally.root_below AS
WITH RECURSIVE link AS (
    SELECT s.projection_id AS above, coalesce(d.root_id, d.id) AS below FROM tally.source s JOIN tally.made m ON m.relation = s.relation AND m.suffix = '' JOIN tally.derived_view d ON d.id = m.view_id
), reads(above, below, depth) AS (
    SELECT l.above, l.below, 1 FROM link l
    UNION SELECT r.above, l.below, r.depth + 1 FROM reads r JOIN link l ON l.above = r.below WHERE r.depth < 50)
SELECT r.above, r.below, max(r.depth) AS depth FROM reads r JOIN tally.derived_view v ON v.id = r.below
WHERE r.below <> r.above AND v.kind = 'projection' GROUP BY r.above, r.below;
COMMENT ON VIEW tally.root_below IS 'which projections a projection reads from';

-- tally.roots_below: those of one projection, the lowest first.
CREATE OR REPLACE FUNCTION tally.roots_below(view_id integer)
RETURNS SETOF tally.derived_view LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
    SELECT v FROM tally.root_below b JOIN tally.derived_view v ON v.id = b.below WHERE b.above = view_id ORDER BY b.depth DESC, v.id
$$;

-- tally.merge_below: before the merge of a view with a target lag: merge the derived views that it reads, the lowest first, in the same
-- transaction. So a view that reads two of them sees both at the same moment. One that is paused, waits after an error or is being merged
-- is left out.
--   Returns    when the oldest change that was pending in any of them was logged
--   Locks      their advisory locks, tried, never waited for
CREATE OR REPLACE FUNCTION tally.merge_below(v tally.derived_view, max_keys integer)
RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    b      tally.derived_view;
    oldest timestamptz;
BEGIN
    FOR b IN SELECT * FROM tally.roots_below(v.id) LOOP
        CONTINUE WHEN b.state NOT IN ('filling', 'active') OR (SELECT m.retry_at > clock_timestamp() FROM tally.merge_state m WHERE m.view_id = b.id)
                   OR NOT pg_try_advisory_xact_lock(tally.lock_class(), b.id) OR (tally.view_by_id(b.id)).id IS NULL;
        oldest := least(oldest, tally.oldest_pending(b));
        PERFORM tally.run_merge(b, max_keys);
    END LOOP;
    RETURN oldest;
END
$$;
