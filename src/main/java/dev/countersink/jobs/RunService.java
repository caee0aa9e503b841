package dev.countersink.jobs;

import dev.countersink.db.ControlDb;
import java.util.function.LongSupplier;
import org.quartz.Scheduler;
import org.quartz.SchedulerException;
import org.springframework.stereotype.Component;
import org.springframework.transaction.support.TransactionOperations;

/** Takes requests for runs. The run and Quartz's job are stored in one transaction, so no run is lost. */
@Component
public class RunService {
    private final ControlDb control;
    private final Scheduler scheduler;
    private final TransactionOperations transactions;

    RunService(ControlDb control, Scheduler scheduler, TransactionOperations transactions) {
        this.control = control;
        this.scheduler = scheduler;
        this.transactions = transactions;
    }

    /**
     * Requests an action on a derived view.
     *
     * @param sample for verify: the share of the keys, null for all
     * @return the run's id
     */
    public long request(String view, String action, Double sample) {
        return requested(() -> control.requestRun(view, action, sample));
    }

    /** Requests that a dead letter is applied again; returns the run's id. */
    public long requestReplay(long deadLetter) {
        return requested(() -> control.requestReplay(deadLetter));
    }

    private long requested(LongSupplier request) {
        return transactions.execute(status -> {
            long run = request.getAsLong();
            try {
                QuartzJobs.runNow(scheduler, run);
            } catch (SchedulerException e) {
                throw new IllegalStateException(e);
            }
            return run;
        });
    }
}
