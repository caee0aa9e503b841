package dev.countersink.bench.ingest;

import dev.countersink.db.TallyDb;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** Merges both projections every second, again at once while there is more, as the scheduler does. */
final class Merger implements AutoCloseable {
    private static final long EVERY_NANOS = TimeUnit.SECONDS.toNanos(1);

    private final TallyDb tally;
    private final Thread thread = new Thread(this::run, "bench-merger");
    private volatile boolean stopped;
    private volatile RuntimeException failure;

    Merger(TallyDb tally) {
        this.tally = tally;
    }

    void start() {
        thread.start();
    }

    /** Raises what has ended it. */
    void check() {
        if (failure != null) {
            throw failure;
        }
    }

    private void run() {
        try {
            while (!stopped) {
                long start = System.nanoTime();
                for (String name : new String[] {"results.fact", "results.job_fact"}) {
                    while (!stopped && tally.merge(name).more()) {
                        // the rest at once
                    }
                }
                LockSupport.parkNanos(EVERY_NANOS - (System.nanoTime() - start));
            }
        } catch (RuntimeException e) {
            failure = e;
        }
    }

    @Override
    public void close() {
        stopped = true;
        LockSupport.unpark(thread);
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
