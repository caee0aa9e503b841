-- results.has_job: whether a job with this id exists.
--   Reads      results.job
--   Locks      none
CREATE OR REPLACE FUNCTION results.has_job(job_id bigint)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM results.job j WHERE j.id = has_job.job_id)
$$;
COMMENT ON FUNCTION results.has_job(bigint) IS 'whether there is a job of this number';
