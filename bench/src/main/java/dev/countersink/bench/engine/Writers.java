package dev.countersink.bench.engine;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/** Threads that repeat the same write until they are stopped. Each has its own connection. */
final class Writers implements AutoCloseable {
    private final List<Thread> threads = new ArrayList<>();
    private final AtomicLong writes = new AtomicLong();
    private volatile boolean stopped;
    private volatile Throwable failure;

    /** One write. */
    interface Write {
        void run(Session session) throws SQLException;
    }

    Writers(Lab lab, int count, Write write) {
        for (int i = 0; i < count; i++) {
            Thread thread = new Thread(() -> loop(lab, write), "writer");
            threads.add(thread);
            thread.start();
        }
    }

    private void loop(Lab lab, Write write) {
        try (Session session = lab.session()) {
            while (!stopped) {
                write.run(session);
                writes.incrementAndGet();
            }
        } catch (SQLException | RuntimeException e) {
            failure = e;
        }
    }

    /** The number of writes committed so far. */
    long writes() {
        if (failure != null) {
            throw new IllegalStateException(failure);
        }
        return writes.get();
    }

    @Override
    public void close() {
        stopped = true;
        threads.forEach(Writers::join);
    }

    static void join(Thread thread) {
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
