package dev.countersink.refresh;

import org.quartz.DisallowConcurrentExecution;
import org.quartz.Job;
import org.quartz.JobExecutionContext;

/** Looks from time to time, on one instance of the cluster, whether the jobs are those that the catalog asks for. */
@DisallowConcurrentExecution
class FollowJob implements Job {
    private final Follower follower;

    FollowJob(Follower follower) {
        this.follower = follower;
    }

    @Override
    public void execute(JobExecutionContext context) {
        follower.follow();
    }
}
