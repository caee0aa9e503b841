package dev.countersink.bench.api;

import dev.countersink.config.DbSettings;
import dev.countersink.db.Database;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/** Writes rows to the views that bench.grow made, one after the other, until it is closed. */
final class Load implements AutoCloseable {
    private static final long PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(10);
    private static final long FIRST_ID = 1_000_000_000;

    private final Connection connection;
    private final int views;
    private final AtomicLong written = new AtomicLong();
    private final AtomicReference<@Nullable SQLException> failure = new AtomicReference<>();
    private final long begun = System.nanoTime();
    private final Thread thread = new Thread(this::write, "bench-load");
    private volatile boolean running = true;

    /** @param views how many projections there are, with the two of the schema results */
    Load(DbSettings db, int views) {
        this.connection = Database.connect(db);
        this.views = views;
        thread.start();
    }

    private void write() {
        Random random = new Random(11);
        try (PreparedStatement change = connection.prepareStatement("SELECT bench.change(?, ?)")) {
            while (running) {
                change.setInt(1, 3 + random.nextInt(views - 2));
                change.setLong(2, FIRST_ID + written.get());
                change.execute();
                written.incrementAndGet();
                LockSupport.parkNanos(PAUSE_NANOS);
            }
        } catch (SQLException e) {
            failure.set(e);
        }
    }

    double perSecond() {
        return written.get() / ((System.nanoTime() - begun) / 1e9);
    }

    @Override
    public void close() throws SQLException {
        running = false;
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        connection.close();
        SQLException failed = failure.get();
        if (failed != null) {
            throw failed;
        }
    }
}
