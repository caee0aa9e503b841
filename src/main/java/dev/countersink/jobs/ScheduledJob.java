package dev.countersink.jobs;

import org.quartz.DisallowConcurrentExecution;
import org.quartz.Job;
import org.quartz.JobExecutionContext;
import org.quartz.SchedulerException;

/**
 * Whatever Quartz fires: a view with a cron, or the maintenance. What to do is told by the job's group and name.
 *
 * <p>Quartz stores the name of this class. It must never be renamed or moved: an instance of another release could not
 * load the jobs of this one.
 */
@DisallowConcurrentExecution
class ScheduledJob implements Job {
    private final ViewMerger merger;
    private final Maintenance maintenance;

    ScheduledJob(ViewMerger merger, Maintenance maintenance) {
        this.merger = merger;
        this.maintenance = maintenance;
    }

    @Override
    public void execute(JobExecutionContext context) {
        if (QuartzJobs.isOfView(context)) {
            String view = QuartzJobs.name(context);
            boolean more = true;
            while (more && !isStopping(context)) { // a cron's next turn may be a day away
                more = merger.merge(view, () -> isStopping(context));
            }
        } else {
            maintenance.run(() -> isStopping(context));
        }
    }

    /** A shutdown waits for jobs. */
    private static boolean isStopping(JobExecutionContext context) {
        try {
            return context.getScheduler().isInStandbyMode();
        } catch (SchedulerException e) {
            throw new IllegalStateException(e);
        }
    }
}
