-- The choice between merging changed keys one by one and sweeping through every key. Both costs are measured, and the cheaper way is taken.

-- tally.note_cost: store how long a merge by key took.
--   Parameters keys: evaluated together. Fewer than 1,000 measure mostly the fixed cost of a merge and are not stored
--   Writes     tally.merge_choice
--   Used by    <projection>_consume
CREATE OR REPLACE FUNCTION tally.note_cost(view_id integer, keys bigint, began timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    spent float8 := extract(epoch FROM clock_timestamp() - began) * 1e6;
BEGIN
    IF keys >= 1000 THEN
        INSERT INTO tally.merge_choice AS c (view_id, merges, keys, us, keys_keys, keys_us) VALUES (note_cost.view_id, 1, note_cost.keys, spent, note_cost.keys::float8 * note_cost.keys, note_cost.keys * spent)
        ON CONFLICT ON CONSTRAINT merge_choice_pkey DO UPDATE SET merges = c.merges * 0.9 + 1, keys = c.keys * 0.9 + excluded.keys, us = c.us * 0.9 + excluded.us,
            keys_keys = c.keys_keys * 0.9 + excluded.keys_keys, keys_us = c.keys_us * 0.9 + excluded.keys_us;
    END IF;
END
$$;

-- tally.note_sweep_cost: store how long a step of a sweep took, and at the end of the sweep the number of keys.
--   Writes     tally.merge_choice
--   Used by    <projection>_sweep_forward, before tally.record_sweep
CREATE OR REPLACE FUNCTION tally.note_sweep_cost(view_id integer, keys bigint, began timestamptz, from_start boolean, to_end boolean)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v      tally.derived_view := tally.view_by_id(view_id);
    filled boolean := v.state = 'filling';
    each   float8  := extract(epoch FROM clock_timestamp() - began) * 1e6 / nullif(keys, 0);
    known  tally.merge_choice;
BEGIN
    IF keys >= 1000 THEN
        SELECT * INTO known FROM tally.merge_choice c WHERE c.view_id = v.id;
        each := CASE WHEN known.us_per_swept IS NULL OR known.from_fill <> filled THEN CASE WHEN filled THEN coalesce(known.us_per_swept, each) ELSE each END
                     ELSE known.us_per_swept * 0.7 + each * 0.3 END;
        INSERT INTO tally.merge_choice AS c (view_id, us_per_swept, from_fill) VALUES (v.id, each, filled)
        ON CONFLICT ON CONSTRAINT merge_choice_pkey DO UPDATE SET us_per_swept = excluded.us_per_swept, from_fill = coalesce(c.from_fill, true) AND excluded.from_fill;
    END IF;
    IF to_end THEN
        UPDATE tally.merge_choice c SET swept_rows = tally.stored_rows(v),
            swept_keys = note_sweep_cost.keys + CASE WHEN from_start THEN 0 ELSE (SELECT coalesce(m.swept, 0) FROM tally.merge_state m WHERE m.view_id = v.id) END
        WHERE c.view_id = v.id;
    END IF;
END
$$;

-- tally.stored_rows: how many rows a derived view stores, as the planner estimates.
CREATE OR REPLACE FUNCTION tally.stored_rows(v tally.derived_view)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE format('EXPLAIN (FORMAT json) SELECT FROM %s', tally.part(v)) INTO plan;
    RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::bigint;
END
$$;

-- tally.merge_estimate: the estimated cost of merging this many keys by key, and of a sweep.
--   Returns    by_key_us, sweep_us: microseconds; NULL: not measured yet. total: the keys of a sweep, as counted by the last one
--   Notes      A merge by key also has a fixed cost. It is the whole cost if the definition cannot be evaluated for single keys. Merges
--              of one size alone cannot tell the fixed cost from the cost of a key. Then more keys are assumed to cost the same, so
--              that a larger merge is tried and measured
CREATE OR REPLACE FUNCTION tally.merge_estimate(v tally.derived_view, keys bigint, max_keys integer, OUT by_key_us float8, OUT sweep_us float8, OUT total float8)
LANGUAGE plpgsql AS $$
DECLARE
    c       tally.merge_choice;
    spread  float8;
    per_key float8;
    grown   float8;
    batch   float8 := least(keys, max_keys);
    batches float8 := ceil(keys::float8 / max_keys);
BEGIN
    SELECT * INTO c FROM tally.merge_choice x WHERE x.view_id = v.id;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF c.merges > 0 THEN
        spread := c.keys_keys - c.keys * c.keys / c.merges;
        IF spread > 0.01 * c.keys_keys THEN
            per_key := greatest((c.keys_us - c.keys * c.us / c.merges) / spread, 0);
            by_key_us := batches * greatest(c.us / c.merges - per_key * c.keys / c.merges, 0) + per_key * keys;
        ELSE
            by_key_us := batches * c.us / c.merges * least(batch * c.merges / c.keys, 1);
        END IF;
    END IF;
    total := c.swept_keys;
    -- The first fill has no stored rows to compare with or to replace, so it costs about half of a later sweep.
    sweep_us := c.us_per_swept * total * CASE WHEN c.from_fill THEN 2 ELSE 1 END;
    IF by_key_us > sweep_us AND c.swept_rows > 0 THEN  -- perhaps because the table has grown since the last sweep
        grown := tally.stored_rows(v) / c.swept_rows;
        IF grown NOT BETWEEN 0.5 AND 2 THEN  -- a factor nearer to 1 may be the planner's error
            total := total * grown;
            sweep_us := sweep_us * grown;
        END IF;
    END IF;
END
$$;

-- tally.prefers_sweep: whether a sweep through every key is estimated to be faster than merging this many keys by key.
--   Writes     tally.merge_choice: what was chosen and why, if that is a sweep, or at least 1,000 keys. A NOTICE says the same
--   Used by    <projection>_consume, once it knows how many keys it has; only if an index has the keys in order
CREATE OR REPLACE FUNCTION tally.prefers_sweep(view_id integer, keys numeric, max_keys integer)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    e     record;
    sweep boolean;
    why   text;
BEGIN
    SELECT NULL::float8 AS by_key_us, NULL::float8 AS sweep_us INTO e;
    IF keys > 0 THEN
        SELECT * INTO e FROM tally.merge_estimate(tally.view_by_id(view_id), keys::bigint, max_keys);
    END IF;
    sweep := e.by_key_us > e.sweep_us;
    IF sweep IS NULL OR NOT sweep AND keys < 1000 THEN
        RETURN false;
    END IF;
    why := format('%s: %s of about %s keys changed, which take %s ms by key and %s ms by a sweep.', CASE WHEN sweep THEN 'sweep' ELSE 'by key' END,
        prefers_sweep.keys, round(e.total), round(e.by_key_us / 1000), round(e.sweep_us / 1000));
    UPDATE tally.merge_choice c SET choice = why WHERE c.view_id = prefers_sweep.view_id;
    RAISE NOTICE '% is merged by %', tally.part(tally.view_by_id(view_id)), regexp_replace(why, '^(by key|sweep)', CASE WHEN sweep THEN 'a sweep' ELSE 'key' END);
    RETURN sweep;
END
$$;

-- tally.sweep_is_dearer: whether merging all keys by key is estimated to be faster than a sweep; false if that was not measured.
--   Used by    <projection>_consume, with a long backlog
CREATE OR REPLACE FUNCTION tally.sweep_is_dearer(view_id integer, max_keys integer)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v tally.derived_view := tally.view_by_id(view_id);
    e record;
BEGIN
    SELECT * INTO e FROM tally.merge_estimate(v, greatest(tally.estimate_keys(v), tally.stored_rows(v)), max_keys);
    RETURN coalesce(e.sweep_us > e.by_key_us, false);
END
$$;
