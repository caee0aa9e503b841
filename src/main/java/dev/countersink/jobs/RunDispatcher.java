package dev.countersink.jobs;

import dev.countersink.db.HeldRun;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.springframework.context.SmartLifecycle;
import org.springframework.scheduling.concurrent.CustomizableThreadFactory;
import org.springframework.stereotype.Component;

/**
 * Carries out requested runs, on threads of their own: a refresh that takes an hour keeps no view from being merged. A run
 * is taken up by a lock of its connection, so one whose instance dies is free again at once.
 */
@Component
class RunDispatcher implements SmartLifecycle {
    private static final String NAME = "runs";
    /** At once on an instance, so that a verification keeps no pause waiting. */
    static final int THREADS = 3;
    /** Between two looks for runs that were requested from another instance. */
    private static final Duration PAUSE = Duration.ofSeconds(1);

    private static final Duration PATIENCE = Duration.ofSeconds(1);

    private final RunExecutor runs;
    private final RetryBackoff backoff;
    private final Semaphore free = new Semaphore(THREADS);
    private final Semaphore requested = new Semaphore(0);
    private final AtomicInteger busy = new AtomicInteger();
    private ExecutorService pool;
    private Thread thread;
    private volatile boolean running;

    RunDispatcher(RunExecutor runs, RetryBackoff backoff) {
        this.runs = runs;
        this.backoff = backoff;
    }

    @Override
    public void start() {
        pool = Executors.newFixedThreadPool(THREADS, new CustomizableThreadFactory("run-"));
        running = true;
        thread = new Thread(this::run, NAME);
        thread.start();
    }

    @Override
    public void stop() {
        running = false;
        thread.interrupt();
        pool.shutdown();
        try {
            if (!pool.awaitTermination(PATIENCE.toMillis(), TimeUnit.MILLISECONDS)) {
                runs.stop();
                pool.awaitTermination(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    @Override
    public int getPhase() {
        return MergeDispatcher.PHASE;
    }

    /** How many of the threads carry out a run. */
    int busy() {
        return busy.get();
    }

    /** Has the requests looked at at once. */
    void requested() {
        requested.release();
    }

    private void run() {
        try {
            while (running) {
                free.acquire();
                Optional<HeldRun> run = take();
                run.ifPresentOrElse(this::submit, free::release);
                if (run.isEmpty()) {
                    requested.tryAcquire(PAUSE.toMillis(), TimeUnit.MILLISECONDS);
                    requested.drainPermits();
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private Optional<HeldRun> take() {
        try {
            Optional<HeldRun> run = runs.take();
            backoff.succeeded(NAME);
            return run;
        } catch (RuntimeException e) {
            backoff.reported(NAME, QuartzJobs.message(e));
            return Optional.empty();
        }
    }

    private void submit(HeldRun run) {
        try {
            pool.execute(() -> carryOut(run));
        } catch (RejectedExecutionException e) { // it is being stopped
            runs.giveBack(run);
        }
    }

    private void carryOut(HeldRun run) {
        busy.incrementAndGet();
        try {
            runs.carryOut(run);
        } catch (RuntimeException e) {
            backoff.reported("run " + run.task().run(), QuartzJobs.message(e));
        } finally {
            busy.decrementAndGet();
            free.release();
        }
    }
}
