package dev.countersink.monitor;

import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.springframework.context.SmartLifecycle;
import org.springframework.scheduling.concurrent.CustomizableThreadFactory;

/** What an instance does again and again, on a thread of its own, until it stops. */
abstract class PeriodicTask implements SmartLifecycle {
    private final ScheduledExecutorService thread;
    private final Duration pause;
    private volatile boolean running;

    /** @param pause before the first time, and between two times */
    PeriodicTask(String name, Duration pause) {
        this.thread = Executors.newSingleThreadScheduledExecutor(new CustomizableThreadFactory(name + "-"));
        this.pause = pause;
    }

    /** Does it once. It is never done again after an exception. */
    abstract void run();

    /** Whether it is done at all. */
    boolean isWanted() {
        return true;
    }

    @Override
    public final void start() {
        running = true;
        if (isWanted()) {
            thread.scheduleWithFixedDelay(this::run, pause.toMillis(), pause.toMillis(), TimeUnit.MILLISECONDS);
        }
    }

    @Override
    public final void stop() {
        running = false;
        thread.shutdownNow();
    }

    @Override
    public final boolean isRunning() {
        return running;
    }
}
