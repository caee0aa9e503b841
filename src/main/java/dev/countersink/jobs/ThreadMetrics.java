package dev.countersink.jobs;

import dev.countersink.config.RefreshSettings;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.function.ToDoubleFunction;
import org.quartz.Scheduler;
import org.quartz.SchedulerException;
import org.springframework.stereotype.Component;

/** How many of the threads of this instance are at work: those that merge, that carry out runs, and that Quartz has. */
@Component
class ThreadMetrics {
    private final MeterRegistry meters;

    ThreadMetrics(
            MeterRegistry meters,
            RefreshSettings settings,
            MergeDispatcher merges,
            RunDispatcher runs,
            Scheduler scheduler) {
        this.meters = meters;
        register("merges", settings.threads(), merges, MergeDispatcher::busy);
        register("runs", RunDispatcher.THREADS, runs, RunDispatcher::busy);
        register("schedules", settings.threads(), scheduler, ThreadMetrics::busy);
    }

    private <T> void register(String pool, int threads, T of, ToDoubleFunction<T> busy) {
        Gauge.builder("countersink.threads", () -> threads)
                .description("threads that there are for merges, for runs and for what the clock fires")
                .tag("pool", pool)
                .register(meters);
        Gauge.builder("countersink.threads.busy", of, busy)
                .description("how many of these threads are at work")
                .tag("pool", pool)
                .register(meters);
    }

    private static double busy(Scheduler scheduler) {
        try {
            return scheduler.getCurrentlyExecutingJobs().size();
        } catch (SchedulerException e) { // it is being stopped
            return Double.NaN;
        }
    }
}
