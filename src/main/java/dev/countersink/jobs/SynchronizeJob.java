package dev.countersink.jobs;

import org.quartz.DisallowConcurrentExecution;
import org.quartz.Job;
import org.quartz.JobExecutionContext;

/** Checks from time to time, on one instance of the cluster, that Quartz's jobs match the catalog. */
@DisallowConcurrentExecution
class SynchronizeJob implements Job {
    private final JobSynchronizer synchronizer;

    SynchronizeJob(JobSynchronizer synchronizer) {
        this.synchronizer = synchronizer;
    }

    @Override
    public void execute(JobExecutionContext context) {
        synchronizer.synchronize();
    }
}
