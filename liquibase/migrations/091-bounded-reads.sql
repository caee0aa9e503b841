-- What is asked every few seconds must not read what has grown over the years.
-- How many dead letters wait: the sum of these rows. Whoever writes dead letters only appends, and now and then adds up.
CREATE TABLE results.dead_letter_change (difference bigint NOT NULL);
ALTER TABLE results.dead_letter_change REPLICA IDENTITY FULL;  -- without a primary key, no row could be deleted under a publication
COMMENT ON TABLE results.dead_letter_change IS 'changes of the number of dead letters that wait; results.dead_letter_count is their sum';
-- Whether a job is there already, while nobody takes them.
CREATE INDEX job_touched_job ON results.job_touched (job_id);
