package dev.countersink.monitor;

import dev.countersink.db.Hurry;
import dev.countersink.db.SqlError;
import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;
import org.springframework.scheduling.concurrent.CustomizableThreadFactory;

/** What an instance does again and again, on a thread of its own, until it stops. */
abstract class PeriodicTask implements SmartLifecycle {
    private static final Logger LOG = LoggerFactory.getLogger(PeriodicTask.class);

    private final String name;
    private final ScheduledExecutorService thread;
    private final Duration pause;
    private volatile boolean running;
    private String trouble = "";

    /** @param pause before the first time, and between two times */
    PeriodicTask(String name, Duration pause) {
        this.name = name;
        this.thread = Executors.newSingleThreadScheduledExecutor(new CustomizableThreadFactory(name + "-"));
        this.pause = pause;
    }

    /** Does it once. */
    abstract void run();

    /** Logs what goes wrong, once as long as it is the same. An outage of the database is logged by the merges. */
    private void attempt() {
        String before = trouble;
        Hurry hurry = Hurry.ofTask();
        try {
            run();
            trouble = "";
        } catch (RuntimeException e) {
            trouble = SqlError.in(e).map(SqlError::message).orElseGet(e::toString);
            if (!running || !SqlError.in(e).map(SqlError::ofStatement).orElse(true)) {
                LOG.debug("{}: {}", name, trouble);
                trouble = before;
            } else if (!trouble.equals(before)) {
                LOG.warn("{} does not work: {}", name, trouble);
            }
        } finally {
            hurry.end();
        }
        if (!before.isEmpty() && trouble.isEmpty()) {
            LOG.info("{} works again", name);
        }
    }

    /** Whether it is done at all. */
    boolean isWanted() {
        return true;
    }

    @Override
    public final void start() {
        running = true;
        if (isWanted()) {
            thread.scheduleWithFixedDelay(this::attempt, pause.toMillis(), pause.toMillis(), TimeUnit.MILLISECONDS);
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
