package dev.countersink.jobs;

import dev.countersink.db.TallyDb;
import org.springframework.stereotype.Component;
import org.springframework.transaction.support.TransactionOperations;

/** Changes schedules. The catalog and Quartz's triggers change in one transaction, so every instance follows at once. */
@Component
public class ScheduleService {
    private final TallyDb tally;
    private final JobSynchronizer synchronizer;
    private final TransactionOperations transactions;

    ScheduleService(TallyDb tally, JobSynchronizer synchronizer, TransactionOperations transactions) {
        this.tally = tally;
        this.synchronizer = synchronizer;
        this.transactions = transactions;
    }

    /**
     * Changes a derived view's schedule.
     *
     * @param changesJson an object with the changes
     * @param expectedVersion the schedule's version as last read; null: not checked
     * @return the derived view after the change, as a JSON object
     */
    public String change(String view, String changesJson, Integer expectedVersion) {
        return transactions.execute(status -> {
            tally.schedule(view, changesJson, expectedVersion);
            synchronizer.synchronizeAll();
            return tally.view(view).get(0);
        });
    }
}
