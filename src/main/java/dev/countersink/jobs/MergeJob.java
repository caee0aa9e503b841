package dev.countersink.jobs;

import dev.countersink.db.MergeResult;
import dev.countersink.db.TallyDb;
import io.micrometer.core.instrument.MeterRegistry;
import org.quartz.DisallowConcurrentExecution;
import org.quartz.Job;
import org.quartz.JobExecutionContext;
import org.quartz.SchedulerException;

/** Merges the pending keys of one projection in steps, so that each transaction is short. */
@DisallowConcurrentExecution
class MergeJob implements Job {
    /** Bounds one execution, so that a long backfill does not keep a thread of the pool. */
    private static final int STEPS = 50;

    private final TallyDb tally;
    private final RetryBackoff backoff;
    private final MeterRegistry meters;

    MergeJob(TallyDb tally, RetryBackoff backoff, MeterRegistry meters) {
        this.tally = tally;
        this.backoff = backoff;
        this.meters = meters;
    }

    @Override
    public void execute(JobExecutionContext context) {
        String view = QuartzJobs.view(context);
        if (!backoff.mayTry(view)) {
            return;
        }
        try {
            int steps = 1;
            while (merge(view).more() && steps < STEPS && !isStopping(context)) {
                steps++;
            }
        } catch (SchedulerException | RuntimeException e) {
            backoff.failed(view, QuartzJobs.message(e));
        }
    }

    /** A shutdown waits for running jobs. So a long backfill stops here and continues in the next instance. */
    private static boolean isStopping(JobExecutionContext context) throws SchedulerException {
        return context.getScheduler().isInStandbyMode();
    }

    private MergeResult merge(String view) {
        MergeResult result = meters.timer("countersink.merge", "view", view).record(() -> tally.merge(view));
        meters.counter("countersink.merge.keys", "view", view).increment(result.keys());
        meters.counter("countersink.merge.changed", "view", view).increment(result.changed());
        backoff.note(view, result);
        return result;
    }
}
