package dev.countersink.jobs;

import dev.countersink.config.RefreshSettings;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntSupplier;
import org.jspecify.annotations.Nullable;
import org.quartz.Scheduler;
import org.quartz.SchedulerException;
import org.springframework.stereotype.Component;

/** How many of the threads of this instance are at work: those that merge, that carry out runs, and that Quartz has. */
@Component
public class ThreadPools {
    private static final String MERGES = "merges";
    private static final int UNKNOWN = -1;

    private final MeterRegistry meters;
    private final MergeDispatcher merges;
    private final Scheduler scheduler;
    private final Map<String, IntSupplier> busy = new LinkedHashMap<>();
    private final Map<String, Integer> threads = new LinkedHashMap<>();

    ThreadPools(
            MeterRegistry meters,
            RefreshSettings settings,
            MergeDispatcher merges,
            RunDispatcher runs,
            Scheduler scheduler) {
        this.meters = meters;
        this.merges = merges;
        this.scheduler = scheduler;
        register(MERGES, settings.threads(), merges::busy);
        register("runs", RunDispatcher.THREADS, runs::busy);
        register("schedules", settings.threads(), this::scheduled);
        Gauge.builder("countersink.threads.waiting", merges, MergeDispatcher::waiting)
                .description("views that have something to merge and wait for a thread")
                .tag("pool", MERGES)
                .register(meters);
    }

    /**
     * A pool at a moment.
     *
     * @param pool merges, runs or schedules
     * @param busy how many of its threads are at work; null while the program stops
     * @param waiting how many views wait for one of its threads; null of a pool that takes no more than it has threads for
     */
    public record Pool(
            String instance,
            String pool,
            int threads,
            @Nullable Integer busy,
            @Nullable Integer waiting) {}

    /** The pools of this instance. */
    public List<Pool> now() {
        String instance = instance();
        List<Pool> pools = new ArrayList<>();
        threads.forEach((pool, count) -> {
            int atWork = busy.getOrDefault(pool, () -> UNKNOWN).getAsInt();
            pools.add(new Pool(
                    instance,
                    pool,
                    count,
                    atWork == UNKNOWN ? null : (Integer) atWork,
                    pool.equals(MERGES) ? (Integer) merges.waiting() : null));
        });
        return pools;
    }

    private String instance() {
        try {
            return scheduler.getSchedulerInstanceId();
        } catch (SchedulerException e) {
            return "";
        }
    }

    private void register(String pool, int count, IntSupplier atWork) {
        threads.put(pool, count);
        busy.put(pool, atWork);
        Gauge.builder("countersink.threads", () -> count)
                .description("threads that there are for merges, for runs and for what the clock fires")
                .tag("pool", pool)
                .register(meters);
        Gauge.builder("countersink.threads.busy", () -> measured(atWork.getAsInt()))
                .description("how many of these threads are at work")
                .tag("pool", pool)
                .register(meters);
    }

    private static double measured(int atWork) {
        return atWork == UNKNOWN ? Double.NaN : atWork;
    }

    private int scheduled() {
        try {
            return scheduler.getCurrentlyExecutingJobs().size();
        } catch (SchedulerException e) { // it is being stopped
            return UNKNOWN;
        }
    }
}
