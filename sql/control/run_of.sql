-- control.run_of: one requested run.
--   Returns    a row of control.run, or none
CREATE OR REPLACE FUNCTION control.run_of(run bigint)
RETURNS SETOF control.run LANGUAGE sql STABLE AS $$
    SELECT r.* FROM control.run r WHERE r.id = run_of.run
$$;
COMMENT ON FUNCTION control.run_of(bigint) IS 'one requested run, or no row';
