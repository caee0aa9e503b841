-- tally.status: a row per derived view: its kind, state and progress.
--   pending   changed rows and keys that are not merged (of at most 1,000,000 delta rows); lag: age of the oldest of them since it was written, in seconds
--   progress  of a sweep (first fill, rebuild): the share of the keys that it has visited; null: no sweep is running
--   target_lag_ms, lag_p50, lag_p99   the target, and the median and 99th percentile of the lag in the last hour, in seconds; NULL without a target
--   choice    whether the last merge of many keys went key by key or swept every key, and why; NULL if there was no choice
--   Reads     the catalog and each projection's delta table, from merged_through on
--   Used by    operators, the API
CREATE OR REPLACE FUNCTION tally.backlog_of(view_id integer, OUT pending bigint, OUT oldest timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER COST 10000 SET search_path = pg_catalog, pg_temp SET standard_conforming_strings = on AS $$
DECLARE
    v     tally.derived_view := tally.view_by_id(view_id);
    delta regclass;
BEGIN
    pending := 0;
    IF v.state = 'defined' OR v.kind = 'rollup' THEN
        RETURN;
    END IF;
    delta := tally.relation_of(v, '_delta');
    IF coalesce(pg_relation_size(delta), 0) = 0 THEN  -- NULL: it is gone, or was dropped after the snapshot was taken
        RETURN;
    END IF;
    BEGIN
        EXECUTE format('SELECT coalesce(sum(b.n), 0), min(b.tally_at) FROM (SELECT d.tally_at, %s AS n FROM %s d WHERE d.tally_xid >= (SELECT $1) LIMIT 1000000) b',
                CASE v.kind WHEN 'projection' THEN 'CASE d.tally_source WHEN -2 THEN cardinality(d.tally_keys_1) ELSE 1 END' ELSE '1' END, delta)
            INTO pending, oldest USING tally.scan_from(view_id);
    EXCEPTION WHEN undefined_table OR syntax_error THEN  -- the name of a table that is gone is its number
        NULL;  -- dropped or renamed by a swap at this moment: the row that is there now counts it
    END;
END
$$;

-- The functions below are asked once a projection; but only for one if a condition on the name leaves one view. So root is not
-- materialized, and the functions have a COST, by which the planner chooses between the two. It counts that for a SELECT that OFFSET keeps
-- apart, not for a function in FROM. num_nonnulls stands for IS NULL, which the planner takes for rare until
-- the table is analyzed.
CREATE OR REPLACE VIEW tally.status AS
WITH root AS NOT MATERIALIZED (
    SELECT v.id, v.target_lag_ms, reached.p50, reached.p99, v.state, v.interval_ms, v.cron, v.schedule_version, v.priority, (b.found).pending, (b.found).oldest,
           m.merged_through, m.last_merge_at, CASE WHEN m.to_sweep > 0 THEN least(m.swept / m.to_sweep::float8, 0.99) END AS progress, m.keys_merged, m.rows_changed, coalesce(lost.sentence, m.error) AS error, c.choice,
           CASE WHEN lost.sentence IS NOT NULL THEN 'TL022' ELSE m.error_sqlstate END AS error_sqlstate, m.failures, m.retry_at,
           (SELECT count(*) FROM tally.quarantine q WHERE q.view_id = v.id) AS quarantined,
           CASE WHEN first.key IS NOT NULL THEN format('key %s: %s', left(first.key::text, 200), first.error) END AS key_error, first.sqlstate AS key_sqlstate
    FROM tally.derived_view v
    LEFT JOIN tally.merge_state m ON m.view_id = v.id
    LEFT JOIN tally.merge_choice c ON c.view_id = v.id
    CROSS JOIN LATERAL (SELECT tally.lost_under(v.id) AS sentence OFFSET 0) lost
    LEFT JOIN LATERAL (SELECT q.key, q.error, q.sqlstate FROM tally.quarantine q WHERE q.view_id = v.id ORDER BY q.quarantined_at, q.key LIMIT 1) first ON true
    CROSS JOIN LATERAL (SELECT tally.backlog_of(v.id) AS found OFFSET 0) b
    LEFT JOIN LATERAL tally.lag_reached(v.id) reached ON v.target_lag_ms IS NOT NULL
    WHERE num_nonnulls(v.root_id) <> 1
)
SELECT tally.name_of(v.schema_name, v.relation_name) AS name,
       v.kind, r.state, r.pending, coalesce(greatest(extract(epoch FROM clock_timestamp() - r.oldest), 0), 0)::float8 AS lag, r.merged_through, r.last_merge_at, r.progress,
       coalesce(r.error, r.key_error) AS error, coalesce(r.error_sqlstate, r.key_sqlstate) AS error_sqlstate, r.failures, r.retry_at, r.quarantined,
       r.keys_merged, r.rows_changed,
       (SELECT tally.name_of(p.schema_name, p.relation_name) FROM tally.derived_view p WHERE p.id = v.root_id) AS projection,
       r.interval_ms, r.cron, r.schedule_version, r.priority, r.target_lag_ms, r.p50 AS lag_p50, r.p99 AS lag_p99, r.choice
FROM tally.derived_view v JOIN root r ON r.id = ANY (ARRAY[v.id, v.root_id])  -- by index for one view; and the planner asks the functions before it joins all
WHERE num_nonnulls(v.serves_id) <> 1;
COMMENT ON VIEW tally.status IS 'a row per derived view: state, pending delta rows, lag in seconds, last merge, error';
