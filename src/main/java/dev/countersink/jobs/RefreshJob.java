package dev.countersink.jobs;

import dev.countersink.db.TallyDb;
import org.quartz.DisallowConcurrentExecution;
import org.quartz.Job;
import org.quartz.JobExecutionContext;

/** Refreshes one snapshot, if one of its sources has changed. */
@DisallowConcurrentExecution
class RefreshJob implements Job {
    private final TallyDb tally;
    private final RetryBackoff backoff;

    RefreshJob(TallyDb tally, RetryBackoff backoff) {
        this.tally = tally;
        this.backoff = backoff;
    }

    @Override
    public void execute(JobExecutionContext context) {
        String view = QuartzJobs.view(context);
        try {
            // Not tally.refresh, which would wait for a running merge, and would not pause after an error.
            backoff.note(view, tally.merge(view));
        } catch (RuntimeException e) {
            backoff.reported(view, QuartzJobs.message(e));
        }
    }
}
