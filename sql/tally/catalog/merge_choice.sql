-- Whether many changed keys are merged one by one or by a sweep through every key: by what either has cost.

-- tally.note_cost: note how long the keys of a merge took.
--   Parameters keys: evaluated together; fewer than 1,000 tell of a merge's fixed cost alone and are not noted
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

-- tally.note_sweep_cost: note how long a step of a sweep took, and at the end of a sweep how many keys there are.
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

-- tally.stored_rows: how many rows a derived view stores, as the planner thinks.
CREATE OR REPLACE FUNCTION tally.stored_rows(v tally.derived_view)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE format('EXPLAIN (FORMAT json) SELECT FROM %s', tally.part(v)) INTO plan;
    RETURN (plan -> 0 -> 'Plan' ->> 'Plan Rows')::bigint;
END
$$;

-- tally.merge_estimate: what so many keys will cost by key, and what a sweep will.
--   Returns    by_key_us, sweep_us: microseconds; NULL: not measured yet. total: how many keys a sweep goes through, as the last one did
--   Notes      A merge by key has a fixed cost, too: a definition into which no key can be pushed has nothing else. Merges of one size do not
--              tell it apart: then more keys than that are taken to cost no more, so that they are tried, and measured
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
    -- the first fill compares with nothing and replaces nothing: about half of what a sweep costs later
    sweep_us := c.us_per_swept * total * CASE WHEN c.from_fill THEN 2 ELSE 1 END;
    IF by_key_us > sweep_us AND c.swept_rows > 0 THEN  -- perhaps for want of a sweep since the table has grown
        grown := tally.stored_rows(v) / c.swept_rows;
        IF grown NOT BETWEEN 0.5 AND 2 THEN  -- nearer to 1 it may be the planner's error
            total := total * grown;
            sweep_us := sweep_us * grown;
        END IF;
    END IF;
END
$$;

-- tally.prefers_sweep: whether a sweep through every key is sooner done than so many keys, by what either has cost.
--   Writes     tally.merge_choice: which was chosen and why, if it is a sweep or 1,000 keys and more
--   Used by    <projection>_consume, with the keys in hand; only where an index holds the keys in order
CREATE OR REPLACE FUNCTION tally.prefers_sweep(view_id integer, keys numeric, max_keys integer)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    e     record;
    sweep boolean;
BEGIN
    SELECT NULL::float8 AS by_key_us, NULL::float8 AS sweep_us INTO e;
    IF keys > 0 THEN
        SELECT * INTO e FROM tally.merge_estimate(tally.view_by_id(view_id), keys::bigint, max_keys);
    END IF;
    sweep := e.by_key_us > e.sweep_us;
    IF sweep IS NULL OR NOT sweep AND keys < 1000 THEN
        RETURN false;
    END IF;
    UPDATE tally.merge_choice c SET choice = format('%s: %s of about %s keys changed, which take %s ms by key and %s ms by a sweep.', CASE WHEN sweep THEN 'sweep' ELSE 'by key' END,
        prefers_sweep.keys, round(e.total), round(e.by_key_us / 1000), round(e.sweep_us / 1000)) WHERE c.view_id = prefers_sweep.view_id;
    RETURN sweep;
END
$$;

-- tally.sweep_is_dearer: whether all keys one by one are sooner done than a sweep; false if that was not measured.
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
