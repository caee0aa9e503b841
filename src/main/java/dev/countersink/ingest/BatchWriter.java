package dev.countersink.ingest;

import dev.countersink.ingest.db.ResultsDb;
import dev.countersink.ingest.db.SqlErrorClassifier;
import dev.countersink.ingest.message.DecodedMessage;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Brings a batch into the database, come what may: when it returns, every message of the batch is applied or is a dead
 * letter, and committed. A failure that is a message's fault bisects the batch until the culprit is alone; any other one
 * is waited out.
 */
public final class BatchWriter {
    private static final Logger LOG = LoggerFactory.getLogger(BatchWriter.class);
    private static final long FIRST_PAUSE_MILLIS = 50;
    private static final long LONGEST_PAUSE_MILLIS = 5_000;
    private static final long LOG_EVERY_NANOS = TimeUnit.SECONDS.toNanos(30);

    private final ResultsDb db;
    private final IngestMetrics metrics;
    private final CountDownLatch stopping;
    private long loggedAt;

    /** @param stopping at zero, a failure that would be waited out ends the attempt instead */
    public BatchWriter(ResultsDb db, IngestMetrics metrics, CountDownLatch stopping) {
        this.db = db;
        this.metrics = metrics;
        this.stopping = stopping;
    }

    /**
     * Writes a batch.
     *
     * @throws InterruptedException if it was given up while the database was failing; parts of it may be committed
     */
    public void write(List<DecodedMessage> batch) throws InterruptedException {
        SQLException failure = retryTransient(batch.size(), () -> metrics.dead(db.apply(batch)));
        if (failure == null) {
            return;
        }
        if (batch.size() > 1) {
            int half = batch.size() / 2;
            LOG.debug("Bisecting {} messages: {}", batch.size(), failure.getMessage());
            write(batch.subList(0, half));
            write(batch.subList(half, batch.size()));
        } else {
            writeSingle(batch);
        }
    }

    /** A lone message is tried once more: another writer may have been in its way. */
    private void writeSingle(List<DecodedMessage> one) throws InterruptedException {
        SQLException failure = retryTransient(1, () -> metrics.dead(db.apply(one)));
        if (failure == null) {
            return;
        }
        DecodedMessage culprit = one.get(0);
        LOG.info(
                "Message {} of {} is a dead letter ({}): {}",
                culprit.origin().sequence(),
                culprit.origin().subject(),
                failure.getSQLState(),
                failure.getMessage());
        SQLException unrecorded = retryTransient(
                1, () -> db.recordDeadLetter(culprit, failure.getSQLState(), culprit.explain(failure.getMessage())));
        if (unrecorded != null) {
            throw new IllegalStateException("A dead letter could not be recorded.", unrecorded);
        }
        metrics.dead(1);
    }

    private interface Attempt {
        void run() throws SQLException;
    }

    /** Tries until it succeeds (null) or fails by a message's fault (which it returns). */
    private SQLException retryTransient(int messages, Attempt attempt) throws InterruptedException {
        long pause = FIRST_PAUSE_MILLIS;
        while (true) {
            try {
                attempt.run();
                metrics.unblocked();
                return null;
            } catch (SQLException e) {
                if (SqlErrorClassifier.isOfMessage(e)) {
                    return e;
                }
                waitOut(e, messages, pause);
            }
            pause = Math.min(pause * 2, LONGEST_PAUSE_MILLIS);
        }
    }

    private void waitOut(SQLException e, int messages, long pause) throws InterruptedException {
        metrics.blocked(e.getMessage());
        long now = System.nanoTime();
        if (pause == FIRST_PAUSE_MILLIS || now - loggedAt > LOG_EVERY_NANOS) {
            loggedAt = now;
            LOG.warn(
                    "The database does not take a batch of {} ({}: {}); nothing is acked, trying again",
                    messages,
                    e.getSQLState(),
                    e.getMessage());
        }
        long jittered = pause / 2 + ThreadLocalRandom.current().nextLong(pause / 2 + 1);
        if (stopping.await(jittered, TimeUnit.MILLISECONDS)) {
            throw new InterruptedException("stopped while the database was failing");
        }
    }
}
