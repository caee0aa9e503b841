-- results.judge_job: the state of a job, from its counts.
--   Parameters total: its captures, 0 if unknown; processed, failed: of these; failed_share: the share of failed captures above
--              which a finished job counts as failed
--   Returns    pending, running, succeeded or failed; a job whose total is unknown never finishes
CREATE OR REPLACE FUNCTION results.judge_job(total bigint, processed bigint, failed bigint, failed_share float8)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN processed + failed = 0 THEN 'pending'
                WHEN total = 0 OR processed + failed < total THEN 'running'
                WHEN failed > failed_share * (processed + failed) THEN 'failed'
                ELSE 'succeeded' END
$$;
COMMENT ON FUNCTION results.judge_job(bigint, bigint, bigint, float8) IS 'the state of a job by its figures';

-- results.job_progressed: statement trigger on results.job_progress: record which jobs a merge has changed.
--   Writes     results.job_touched; a job that is there already is not added again, so that there is a row per job at most while nobody
--              looks
--   Locks      its rows, so that whoever takes them does so after the merge; a row that is just being taken does not count
CREATE OR REPLACE FUNCTION results.job_progressed()
RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed bigint[] := ARRAY(SELECT DISTINCT n.job_id FROM new_rows n);
    there   bigint[] := '{}';
BEGIN
    -- Elsewhere, locking a row that is gone by now would be an error.
    IF current_setting('transaction_isolation') = 'read committed' THEN
        there := ARRAY(SELECT t.job_id FROM results.job_touched t WHERE t.job_id = ANY (changed) FOR KEY SHARE SKIP LOCKED);
    END IF;
    INSERT INTO results.job_touched (job_id) SELECT j FROM unnest(changed) j EXCEPT SELECT t FROM unnest(there) t;
    RETURN NULL;
END
$$;

-- results.jobs_are_touched: whether both triggers are enabled.
CREATE OR REPLACE FUNCTION results.jobs_are_touched()
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT count(*) = 2 FROM pg_trigger t
    WHERE t.tgrelid = 'results.job_progress'::regclass AND t.tgname IN ('job_inserted', 'job_updated') AND t.tgenabled IN ('O', 'A')
$$;

-- results.touch_jobs: make the triggers that are missing, unless results.job_fact is being redefined.
--   Locks      results.job_progress against merges, if one is missing, until the transaction ends; it waits half a second at most
--   Notes      Without them, results.follow_jobs reads all jobs. So it is no error if they cannot be made.
CREATE OR REPLACE FUNCTION results.touch_jobs()
RETURNS void LANGUAGE plpgsql SET lock_timeout = '500ms' AS $$
DECLARE
    there name[] := ARRAY(SELECT t.tgname FROM pg_trigger t WHERE t.tgrelid = 'results.job_progress'::regclass);
BEGIN
    IF there @> '{job_inserted,job_updated}' OR EXISTS (
        SELECT FROM tally.derived_view n JOIN tally.derived_view o ON o.id = n.replaces_id
        WHERE (o.schema_name, o.relation_name) = ('results', 'job_fact')) THEN
        RETURN;
    END IF;
    IF NOT 'job_inserted' = ANY (there) THEN
        CREATE TRIGGER job_inserted AFTER INSERT ON results.job_progress
            REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION results.job_progressed();
    END IF;
    IF NOT 'job_updated' = ANY (there) THEN
        CREATE TRIGGER job_updated AFTER UPDATE ON results.job_progress
            REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION results.job_progressed();
    END IF;
    COMMENT ON TRIGGER job_inserted ON results.job_progress IS 'SELECT results.untouch_jobs() removes it; it comes back by itself';
    COMMENT ON TRIGGER job_updated ON results.job_progress IS 'SELECT results.untouch_jobs() removes it; it comes back by itself';
EXCEPTION WHEN lock_not_available OR insufficient_privilege THEN
    NULL;
END
$$;
COMMENT ON FUNCTION results.touch_jobs() IS 'make the triggers on results.job_progress that are missing';

-- results.untouch_jobs: remove the triggers, before tally.redefine('results.job_fact', …), which refuses to lose them. Call both in one
-- transaction. After the swap results.follow_jobs makes them again.
CREATE OR REPLACE FUNCTION results.untouch_jobs()
RETURNS void LANGUAGE sql AS $$
    DROP TRIGGER IF EXISTS job_inserted ON results.job_progress;
    DROP TRIGGER IF EXISTS job_updated ON results.job_progress;
$$;
COMMENT ON FUNCTION results.untouch_jobs() IS 'remove the triggers on results.job_progress, before results.job_fact is redefined';

DO $make$ BEGIN PERFORM results.touch_jobs(); END $make$;

-- results.follow_jobs: update the states of jobs from their stored progress.
--   Parameters failed_share: see results.judge_job; a new one applies to a job when its counts change next
--   Returns    the jobs whose state has changed, with the previous state, NULL for a new job
--   Reads      results.job_progress of the jobs in results.job_touched, or of all jobs if its triggers are missing or disabled,
--              for example during a redefinition; results.job_state
--   Writes     results.job_state of the jobs whose counts have changed; deletes from results.job_touched what no merge has just written;
--              makes missing triggers
--   Locks      an advisory lock, until the transaction ends. If another instance holds it, nothing is done
CREATE OR REPLACE FUNCTION results.follow_jobs(failed_share float8)
RETURNS TABLE (job_id bigint, state_before text, state text, total bigint, processed bigint, failed bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    touched bigint[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('results.follow_jobs', 0)) THEN
        RETURN;
    END IF;
    -- the next statement's snapshot is newer, so it sees the progress of every job deleted here
    WITH gone AS (
        DELETE FROM results.job_touched t WHERE t.ctid = ANY (ARRAY(SELECT u.ctid FROM results.job_touched u FOR UPDATE SKIP LOCKED))
        RETURNING t.job_id)
    SELECT array_agg(DISTINCT gone.job_id) INTO touched FROM gone;
    IF NOT results.jobs_are_touched() THEN
        PERFORM results.touch_jobs();  -- before the jobs are read, so that no merge is missed
        touched := ARRAY(SELECT p.job_id FROM results.job_progress p);
    ELSIF touched IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH seen AS (
        SELECT p.job_id, p.total::bigint AS total, p.processed::bigint AS processed, p.failed::bigint AS failed,
               results.judge_job(p.total::bigint, p.processed::bigint, p.failed::bigint, follow_jobs.failed_share) AS state
        FROM results.job_progress p
        WHERE p.job_id = ANY (touched) AND EXISTS (SELECT FROM results.job j WHERE j.id = p.job_id)
    ), changed AS (
        INSERT INTO results.job_state AS s (job_id, state, total, processed, failed, started_at, finished_at)
        SELECT n.job_id, n.state, n.total, n.processed, n.failed, CASE WHEN n.state <> 'pending' THEN now() END,
               CASE WHEN n.state IN ('succeeded', 'failed') THEN now() END
        FROM seen n LEFT JOIN results.job_state o USING (job_id)
        WHERE (o.state, o.total, o.processed, o.failed) IS DISTINCT FROM (n.state, n.total, n.processed, n.failed)
        ORDER BY n.job_id
        ON CONFLICT (job_id) DO UPDATE
        SET state = excluded.state, total = excluded.total, processed = excluded.processed, failed = excluded.failed,
            started_at = CASE WHEN excluded.state <> 'pending' THEN coalesce(s.started_at, excluded.started_at) END,
            finished_at = CASE WHEN excluded.finished_at IS NOT NULL THEN coalesce(s.finished_at, excluded.finished_at) END,
            progressed_at = now()
        RETURNING s.job_id, s.state, s.total, s.processed, s.failed
    )
    SELECT c.job_id, o.state, c.state, c.total, c.processed, c.failed
    FROM changed c LEFT JOIN results.job_state o USING (job_id)   -- as it was before
    WHERE o.state IS DISTINCT FROM c.state
    ORDER BY c.job_id;
END
$$;
COMMENT ON FUNCTION results.follow_jobs(float8) IS 'bring the states of jobs up to their stored progress; returns those that changed';

-- results.jobs: a page of jobs with their states.
--   Parameters after: the last id of the previous page, 0 for the first; "limit": rows at most; ids: only these, NULL for all
--   Reads      results.job by its primary key, and of these results.job_state; never more than the page, whatever the statistics say
--   Notes      idle_seconds: for how long none of the counts of a running job has changed.
CREATE OR REPLACE FUNCTION results.jobs(after bigint DEFAULT 0, "limit" int DEFAULT 100, ids bigint[] DEFAULT NULL)
RETURNS TABLE (id bigint, project_id bigint, pipeline_id bigint, name text, status text, state text, total bigint,
               processed bigint, failed bigint, started_at timestamptz, finished_at timestamptz, idle_seconds bigint)
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    page bigint[];
BEGIN
    IF ids IS NULL THEN
        page := ARRAY(SELECT j.id FROM results.job j WHERE j.id > jobs.after ORDER BY j.id LIMIT jobs."limit");
    ELSE
        page := ARRAY(SELECT j.id FROM (SELECT DISTINCT u AS id FROM unnest(jobs.ids) u WHERE u > jobs.after) w
                      CROSS JOIN LATERAL (SELECT j.id FROM results.job j WHERE j.id = w.id OFFSET 0) j ORDER BY j.id LIMIT jobs."limit");
    END IF;
    RETURN QUERY
    SELECT j.id, j.project_id, j.pipeline_id, j.name, j.status, coalesce(s.state, 'pending'), coalesce(s.total, j.total_captures),
           coalesce(s.processed, 0), coalesce(s.failed, 0), s.started_at, s.finished_at,
           CASE WHEN s.state = 'running' THEN floor(extract(epoch FROM now() - s.progressed_at))::bigint END
    FROM unnest(page) w (id)
    CROSS JOIN LATERAL (SELECT j.* FROM results.job j WHERE j.id = w.id OFFSET 0) j
    LEFT JOIN LATERAL (SELECT s.* FROM results.job_state s WHERE s.job_id = j.id OFFSET 0) s ON true
    ORDER BY j.id;
END
$$;
COMMENT ON FUNCTION results.jobs(bigint, int, bigint[]) IS 'a page of jobs with their states, by id';
