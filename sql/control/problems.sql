-- control.problems: what tally.health finds wrong, without the quarantined keys, which tally.status counts.
--   Reads      tally.health
--   Used by    the API
CREATE OR REPLACE FUNCTION control.problems()
RETURNS TABLE (view text, relation text, trigger text, problem text)
LANGUAGE sql STABLE AS $$
    SELECT h.view, h.relation::text, h.trigger, h.problem FROM tally.health h
    WHERE NOT h.ok AND h.problem NOT LIKE 'key % is quarantined: %' ORDER BY h.view, h.relation::text, h.trigger, h.problem
$$;
COMMENT ON FUNCTION control.problems() IS 'what tally.health finds wrong, besides quarantined keys';
