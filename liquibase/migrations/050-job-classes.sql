-- Quartz stores the names of the classes that carry out its jobs. They have moved to another package.
UPDATE quartz.qrtz_job_details
SET job_class_name = CASE job_class_name
        WHEN 'dev.countersink.refresh.FollowJob' THEN 'dev.countersink.jobs.SynchronizeJob'
        ELSE replace(job_class_name, 'dev.countersink.refresh.', 'dev.countersink.jobs.')
    END
WHERE job_class_name LIKE 'dev.countersink.refresh.%';
