package dev.countersink.refresh;

import dev.countersink.db.TallyDb;
import org.quartz.DisallowConcurrentExecution;
import org.quartz.Job;
import org.quartz.JobExecutionContext;

/** Refreshes one snapshot, if one of its sources has changed. */
@DisallowConcurrentExecution
class RefreshJob implements Job {
    private final TallyDb tally;
    private final Troubles troubles;

    RefreshJob(TallyDb tally, Troubles troubles) {
        this.tally = tally;
        this.troubles = troubles;
    }

    @Override
    public void execute(JobExecutionContext context) {
        String view = Schedule.view(context);
        try {
            // Not tally.refresh, which would wait for another one at work and not wait after an error.
            troubles.note(view, tally.merge(view));
        } catch (RuntimeException e) {
            troubles.reported(view, Schedule.message(e));
        }
    }
}
