-- results.has_job: whether a job with this id exists.
--   Reads      results.job
--   Locks      none
--   Notes      A policy that hides rows from the caller is an error (row_security).
CREATE OR REPLACE FUNCTION results.has_job(job_id bigint)
RETURNS boolean LANGUAGE sql STABLE SET row_security = off AS $$
    SELECT EXISTS (SELECT FROM results.job j WHERE j.id = has_job.job_id)
$$;
COMMENT ON FUNCTION results.has_job(bigint) IS 'whether there is a job of this number';
