package dev.countersink.jobs;

import dev.countersink.config.RefreshSettings;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.quartz.Scheduler;
import org.quartz.SchedulerException;
import org.springframework.stereotype.Component;

/** How many of the threads of this instance are at work: those that merge, that carry out runs, and that Quartz has. */
@Component
public class ThreadPools {
    private static final String MERGES = "merges";

    private final MeterRegistry meters;
    private final MergeDispatcher merges;
    private final Scheduler scheduler;
    private final List<Source> sources = new ArrayList<>();

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

    /** Where the figures of a pool are from. */
    private record Source(String pool, int threads, Supplier<@Nullable Integer> busy) {}

    /** The pools of this instance. */
    public List<Pool> now() {
        String instance = instance();
        return sources.stream()
                .map(source -> new Pool(
                        instance,
                        source.pool(),
                        source.threads(),
                        source.busy().get(),
                        source.pool().equals(MERGES) ? (Integer) merges.waiting() : null))
                .toList();
    }

    private String instance() {
        try {
            return scheduler.getSchedulerInstanceId();
        } catch (SchedulerException e) {
            return "";
        }
    }

    private void register(String pool, int threads, Supplier<@Nullable Integer> busy) {
        sources.add(new Source(pool, threads, busy));
        Gauge.builder("countersink.threads", () -> threads)
                .description("threads that there are for merges, for runs and for what the clock fires")
                .tag("pool", pool)
                .register(meters);
        Gauge.builder("countersink.threads.busy", () -> Objects.requireNonNullElse((Number) busy.get(), Double.NaN))
                .description("how many of these threads are at work")
                .tag("pool", pool)
                .register(meters);
    }

    private @Nullable Integer scheduled() {
        try {
            return scheduler.getCurrentlyExecutingJobs().size();
        } catch (SchedulerException e) { // it is being stopped
            return null;
        }
    }
}
