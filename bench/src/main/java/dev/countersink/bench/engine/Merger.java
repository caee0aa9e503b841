package dev.countersink.bench.engine;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.locks.LockSupport;

/** Merges a projection at a fixed interval, as the scheduler does. If a merge leaves a rest, the next one follows at once. */
final class Merger implements AutoCloseable {
    private static final long POLL_NS = 1_000_000;

    private final Session session;
    private final String projection;
    private final long interval;
    private final List<Merge> merges = new ArrayList<>();
    private final Thread thread;
    private volatile boolean stopped;
    private volatile Throwable failure;
    private volatile long caughtUp;

    /**
     * A merge that found something to do.
     *
     * @param start by {@link System#nanoTime}
     */
    record Merge(long start, double millis, long keys) {}

    Merger(Lab lab, String projection, long interval) {
        this.session = lab.session();
        this.projection = projection;
        this.interval = interval;
        this.caughtUp = System.nanoTime() - 1;
        this.thread = new Thread(this::loop, "merger of " + projection);
        thread.start();
    }

    private void loop() {
        try {
            while (!stopped) {
                long start = System.nanoTime();
                while (!stopped && merge()) {
                    // The rest is merged at once.
                }
                LockSupport.parkNanos(interval - (System.nanoTime() - start));
            }
        } catch (SQLException | RuntimeException e) {
            failure = e;
        }
    }

    private boolean merge() throws SQLException {
        long start = System.nanoTime();
        String[] result = session.text(String.format(
                        Locale.ROOT, "SELECT concat_ws(' ', outcome, keys, more) FROM tally.merge('%s')", projection))
                .split(" ");
        double millis = (System.nanoTime() - start) / 1e6;
        session.run("SELECT pg_stat_force_next_flush()"); // else the counters of reads lag behind
        if (result[0].equals("failed")) {
            throw new IllegalStateException(
                    String.format(Locale.ROOT, "A merge of %s failed; tally.status says why.", projection));
        }
        if (result[0].equals("merged")) {
            synchronized (merges) {
                merges.add(new Merge(start, millis, Long.parseLong(result[1])));
            }
        }
        boolean more = result[2].equals("t");
        if (!more) {
            caughtUp = start;
        }
        return more;
    }

    /** Returns and forgets the merges that began since the last call. */
    List<Merge> drain() {
        requireWell();
        synchronized (merges) {
            List<Merge> drained = List.copyOf(merges);
            merges.clear();
            return drained;
        }
    }

    /** Waits until there is a merge to {@link #drain}. */
    void awaitOne() {
        while (true) {
            requireWell();
            synchronized (merges) {
                if (!merges.isEmpty()) {
                    return;
                }
            }
            LockSupport.parkNanos(POLL_NS);
        }
    }

    /** Whether a merge that began after that moment left nothing pending. */
    boolean caughtUpSince(long nanos) {
        requireWell();
        return caughtUp - nanos > 0;
    }

    private void requireWell() {
        if (failure != null) {
            throw new IllegalStateException(failure);
        }
    }

    @Override
    public void close() throws SQLException {
        stopped = true;
        LockSupport.unpark(thread);
        Writers.join(thread);
        session.close();
    }
}
