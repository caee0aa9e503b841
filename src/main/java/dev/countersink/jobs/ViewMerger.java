package dev.countersink.jobs;

import dev.countersink.db.MergeResult;
import dev.countersink.db.TallyDb;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.time.Duration;
import java.util.function.BooleanSupplier;
import org.springframework.stereotype.Component;

/** Merges what is pending of one projection, or refreshes a snapshot: step by step, so that each is a short transaction. */
@Component
class ViewMerger {
    /** Bounds one turn, so that a thread is given back while a backfill goes on. */
    private static final int STEPS = 50;
    /** Few, for there is a set of them for each view. */
    private static final Duration[] BUCKETS = {
        Duration.ofMillis(10),
        Duration.ofMillis(100),
        Duration.ofSeconds(1),
        Duration.ofSeconds(10),
        Duration.ofMinutes(1)
    };

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
        MergeResult result = Timer.builder("countersink.merge")
                .description("one step of a merge, which is one transaction")
                .tag("view", view)
                .serviceLevelObjectives(BUCKETS)
                .register(meters)
                .record(() -> tally.merge(view));
        count("countersink.merge.keys", "keys that merges have evaluated", view, result.keys());
        count("countersink.merge.changed", "rows that merges have changed", view, result.changed());
        backoff.note(view, result);
        return result;
    }

    private void count(String name, String description, String view, long amount) {
        Counter.builder(name)
                .description(description)
                .tag("view", view)
                .register(meters)
                .increment(amount);
    }
}
