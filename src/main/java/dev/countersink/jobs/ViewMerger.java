package dev.countersink.jobs;

import dev.countersink.db.MergeResult;
import dev.countersink.db.TallyDb;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.function.BooleanSupplier;
import org.springframework.stereotype.Component;

/** Merges what is pending of one projection, or refreshes a snapshot: step by step, so that each is a short transaction. */
@Component
class ViewMerger {
    /** Bounds one turn, so that a thread is given back while a backfill goes on. */
    private static final int STEPS = 50;

    private final TallyDb tally;
    private final RetryBackoff backoff;
    private final MeterRegistry meters;

    ViewMerger(TallyDb tally, RetryBackoff backoff, MeterRegistry meters) {
        this.tally = tally;
        this.backoff = backoff;
        this.meters = meters;
    }

    /**
     * Merges a view until it has caught up, or for one turn.
     *
     * @param stopping whether the instance is being stopped: the next one goes on
     * @return whether more is known to be pending
     */
    boolean merge(String view, BooleanSupplier stopping) {
        if (!backoff.mayTry(view)) {
            return false;
        }
        try {
            for (int step = 0; step < STEPS && !stopping.getAsBoolean(); step++) {
                if (!mergeStep(view).more()) {
                    return false;
                }
            }
            return true;
        } catch (RuntimeException e) {
            backoff.failed(view, QuartzJobs.message(e));
            return false;
        }
    }

    private MergeResult mergeStep(String view) {
        // Not tally.refresh for a snapshot: that waits for another one at work, and does not wait after an error.
        MergeResult result = meters.timer("countersink.merge", "view", view).record(() -> tally.merge(view));
        meters.counter("countersink.merge.keys", "view", view).increment(result.keys());
        meters.counter("countersink.merge.changed", "view", view).increment(result.changed());
        backoff.note(view, result);
        return result;
    }
}
