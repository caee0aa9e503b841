package dev.countersink.jobs;

import dev.countersink.config.MaintenanceSettings;
import dev.countersink.db.ControlDb;
import dev.countersink.db.DueView;
import dev.countersink.db.TallyDb;
import org.quartz.DisallowConcurrentExecution;
import org.quartz.Job;
import org.quartz.JobExecutionContext;
import org.quartz.SchedulerException;

/**
 * Runs once a night, on one instance of the cluster: deletes old runs, and verifies a sample of each derived view's keys. It
 * verifies one view after the other, so that the other threads go on merging. Each verification is stored as a run.
 */
@DisallowConcurrentExecution
class MaintenanceJob implements Job {
    private static final String NAME = "maintenance";

    private final ControlDb control;
    private final TallyDb tally;
    private final RunJob runs;
    private final MaintenanceSettings settings;
    private final RetryBackoff backoff;

    MaintenanceJob(
            ControlDb control, TallyDb tally, ViewActions actions, MaintenanceSettings settings, RetryBackoff backoff) {
        this.control = control;
        this.tally = tally;
        this.runs = new RunJob(control, actions);
        this.settings = settings;
        this.backoff = backoff;
    }

    @Override
    public void execute(JobExecutionContext context) {
        try {
            String instance = context.getScheduler().getSchedulerInstanceId();
            control.forgetRuns(settings.keepRuns());
            if (settings.verifySample() > 0) {
                for (DueView view : tally.due()) {
                    if (context.getScheduler().isInStandbyMode()) {
                        return;
                    }
                    runs.carryOut(control.requestRun(view.name(), "verify", settings.verifySample()), instance);
                }
            }
            backoff.succeeded(NAME);
        } catch (SchedulerException | RuntimeException e) {
            backoff.reported(NAME, QuartzJobs.message(e));
        }
    }
}
