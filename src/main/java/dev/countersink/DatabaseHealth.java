package dev.countersink;

import com.zaxxer.hikari.HikariDataSource;
import com.zaxxer.hikari.HikariPoolMXBean;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.scheduling.concurrent.CustomizableThreadFactory;

/**
 * Whether the database answers, said within a second. One thread asks, however many probes there are: those that come while
 * it waits share its answer.
 */
final class DatabaseHealth implements HealthIndicator, AutoCloseable {
    private static final Duration PATIENCE = Duration.ofMillis(800);
    /** A pool whose connections are all at work is no outage yet: for as long as callers wait for one, the last answer counts. */
    private static final Duration BUSY = Duration.ofSeconds(10);

    private static final int VALID_SECONDS = 2;

    private final HikariDataSource dataSource;
    private final ExecutorService asker =
            Executors.newSingleThreadExecutor(new CustomizableThreadFactory("db-health-"));
    private @Nullable CompletableFuture<Boolean> asked;
    private volatile long answeredAt = System.nanoTime();

    DatabaseHealth(HikariDataSource dataSource) {
        this.dataSource = dataSource;
    }

    @Override
    public Health health() {
        return answers() || isBusy() ? Health.up().build() : Health.down().build();
    }

    private boolean answers() {
        try {
            return question().get(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        } catch (ExecutionException | TimeoutException e) {
            return false;
        }
    }

    private synchronized CompletableFuture<Boolean> question() {
        CompletableFuture<Boolean> pending = asked;
        if (pending == null || pending.isDone()) {
            pending = CompletableFuture.supplyAsync(this::ask, asker);
            asked = pending;
        }
        return pending;
    }

    private boolean ask() {
        try (Connection connection = dataSource.getConnection()) {
            boolean valid = connection.isValid(VALID_SECONDS);
            if (valid) {
                answeredAt = System.nanoTime();
            }
            return valid;
        } catch (SQLException e) {
            return false;
        }
    }

    private boolean isBusy() {
        HikariPoolMXBean pool = dataSource.getHikariPoolMXBean();
        return pool != null
                && pool.getActiveConnections() >= dataSource.getMaximumPoolSize()
                && System.nanoTime() - answeredAt < BUSY.toNanos();
    }

    @Override
    public void close() {
        asker.shutdownNow();
    }
}
