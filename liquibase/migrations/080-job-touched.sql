-- Jobs whose progress may have changed since the last look of results.follow_jobs. Whoever merges only appends; a job may be there often.
CREATE TABLE results.job_touched (job_id bigint NOT NULL);
ALTER TABLE results.job_touched REPLICA IDENTITY FULL;  -- without a primary key, no row could be deleted under a publication
COMMENT ON TABLE results.job_touched IS 'jobs whose stored progress has changed since results.follow_jobs has looked';
INSERT INTO results.job_touched (job_id) SELECT j.id FROM results.job j;
