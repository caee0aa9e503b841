-- tally.plan_mode: the plan_cache_mode in which a merge evaluates this many keys.
--   Returns    force_generic_plan for up to 500 keys: the session keeps the plan, because planning can take longer than evaluating.
--              force_custom_plan for more keys, and above a source with many partitions, of which only a new plan leaves some out
--   Reads      the sizes of the sources; the session's setting tally.planned_<id>: their sizes when the plan was made
--   Writes     that setting. If a source has grown or shrunk to another power of four of its pages, it discards the session's plans,
--              because a plan for a small table may read all of it. ANALYZE makes PostgreSQL itself discard them
--   Used by    <projection>_apply
CREATE OR REPLACE FUNCTION tally.plan_mode(view_id integer, keys integer)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    name  text := 'tally.planned_' || view_id;
    sizes text;
BEGIN
    IF keys > 500 THEN
        RETURN 'force_custom_plan';
    END IF;
    SELECT string_agg(floor(log(4, 1 + pg_relation_size(m) / 8192))::text, ' ' ORDER BY s.ordinal, m) INTO sizes
    FROM tally.source s CROSS JOIN unnest(s.members) m WHERE s.projection_id = view_id HAVING max(cardinality(s.members)) <= 8;
    IF sizes IS NULL THEN
        RETURN 'force_custom_plan';
    END IF;
    IF current_setting(name, true) IS DISTINCT FROM sizes THEN  -- or the session has been reset, and may still keep a plan
        DISCARD PLANS;
        PERFORM set_config(name, sizes, false);
    END IF;
    RETURN 'force_generic_plan';
END
$$;

-- tally.page_cost: the random_page_cost with which a merge evaluates this many keys.
--   Returns    a low one for up to 5,000 keys, else the session's
--   Notes      Statistics that are older than most rows may say that a key has them all; the planner would read the whole table for each
--              key then. With a low cost, it looks keys up by index wherever there is one.
CREATE OR REPLACE FUNCTION tally.page_cost(keys integer)
RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN keys > 5000 THEN current_setting('random_page_cost') ELSE '0.1' END
$$;
