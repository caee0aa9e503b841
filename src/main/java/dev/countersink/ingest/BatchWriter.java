package dev.countersink.ingest;

import dev.countersink.ingest.db.ResultsDb;
import dev.countersink.ingest.db.SqlErrorClassifier;
import dev.countersink.ingest.db.SqlErrorClassifier.Cause;
import dev.countersink.ingest.message.DecodeException;
import dev.countersink.ingest.message.DecodedMessage;
import dev.countersink.ingest.nats.Delivery;
import java.sql.SQLException;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes a batch to the database. When it returns, every message of the batch is applied or is a dead letter, and that is
 * committed. If a message is at fault, the batch is bisected until that message is alone. If a limit is at fault that a smaller
 * batch may not reach, the batch is halved and no message is blamed. After any other failure it waits and tries again.
 */
final class BatchWriter {
    private static final Logger LOG = LoggerFactory.getLogger(BatchWriter.class);
    private static final long FIRST_PAUSE_MILLIS = 50;
    /** Short, so that writers notice soon when the database is back. */
    private static final long LONGEST_PAUSE_MILLIS = 500;
    /** After this many batches of reduced size, a larger one is tried. */
    private static final int BATCHES_BEFORE_GROWTH = 16;

    private final ResultsDb db;
    private final IngestMetrics metrics;
    private final Outage outage;
    private final int maxAttempts;
    private final CountDownLatch stopping;
    private int mostMessages = Integer.MAX_VALUE;
    private int batchesOfThatSize;

    /**
     * @param maxAttempts how often a suspect message is tried before it becomes a dead letter
     * @param stopping at zero, a failure that would be retried ends the attempt instead
     */
    BatchWriter(ResultsDb db, IngestMetrics metrics, Outage outage, int maxAttempts, CountDownLatch stopping) {
        this.db = db;
        this.metrics = metrics;
        this.outage = outage;
        this.maxAttempts = maxAttempts;
        this.stopping = stopping;
    }

    /** How many messages the next batch may have. */
    int mostMessages() {
        return mostMessages;
    }

    /**
     * Writes a batch.
     *
     * @throws InterruptedException if it gave up while the database was failing; parts of the batch may be committed
     */
    void write(List<Delivery> batch) throws InterruptedException {
        if (batch.get(0).isSuspect()) {
            writeSuspect(batch.get(0));
        } else {
            writeMessages(batch.stream()
                    .flatMap(delivery -> delivery.results().stream())
                    .toList());
        }
    }

    /**
     * Writes a message that was delivered several times without any outcome. It may be the reason why the program ended each
     * time. So its attempts are counted in the database, where the count survives a crash.
     */
    private void writeSuspect(Delivery suspect) throws InterruptedException {
        int[] attempts = {0};
        DecodedMessage.Origin origin = suspect.origin();
        SQLException failure =
                retryTransient(() -> attempts[0] = db.beginAttempt(origin, suspect.publishedMicros()), false);
        if (failure != null) {
            throw new IllegalStateException("An attempt could not be recorded.", failure);
        }
        if (attempts[0] > maxAttempts) {
            String reason = String.format(
                    Locale.ROOT, "The program has ended %d times while it tried to apply this message.", maxAttempts);
            LOG.warn("Message {} of {} is a dead letter: {}", origin.sequence(), origin.subject(), reason);
            recordDeadLetter(origin, DecodeException.NO_OUTCOME, reason);
        } else {
            writeMessages(suspect.results());
        }
        retryTransient(
                () -> {
                    db.endAttempt(origin, suspect.publishedMicros());
                    return null;
                },
                false);
    }

    private void writeMessages(List<DecodedMessage> batch) throws InterruptedException {
        SQLException failure = retryTransient(() -> metrics.dead(db.apply(batch)), batch.size() > 1);
        if (failure == null) {
            succeeded(batch.size());
            return;
        }
        if (batch.size() > 1) {
            if (SqlErrorClassifier.cause(failure) == Cause.LIMIT) {
                reduce(batch.size() / 2, failure);
            } else {
                LOG.debug("Bisecting {} messages: {}", batch.size(), failure.getMessage());
            }
            int half = batch.size() / 2;
            writeMessages(batch.subList(0, half));
            writeMessages(batch.subList(half, batch.size()));
        } else {
            writeSingle(batch);
        }
    }

    private void reduce(int messages, SQLException failure) {
        if (messages < mostMessages) {
            mostMessages = messages;
            batchesOfThatSize = 0;
            LOG.warn(
                    "The database refuses a batch for its size ({}: {}); trying {} messages at a time",
                    failure.getSQLState(),
                    SqlErrorClassifier.sentence(failure),
                    messages);
        }
    }

    private void succeeded(int messages) {
        if (mostMessages != Integer.MAX_VALUE
                && messages >= mostMessages
                && ++batchesOfThatSize >= BATCHES_BEFORE_GROWTH) {
            batchesOfThatSize = 0;
            mostMessages = 2 * mostMessages;
        }
    }

    /** A single message is tried twice, because another writer may have caused the first failure. */
    private void writeSingle(List<DecodedMessage> one) throws InterruptedException {
        SQLException failure = retryTransient(() -> metrics.dead(db.apply(one)), false);
        if (failure == null) {
            return;
        }
        DecodedMessage.Origin culprit = one.get(0).letter();
        String reason = one.get(0).explain(SqlErrorClassifier.sentence(failure));
        LOG.info(
                "Message {} of {} is a dead letter ({}): {}",
                culprit.sequence(),
                culprit.subject(),
                failure.getSQLState(),
                reason);
        recordDeadLetter(culprit, failure.getSQLState(), reason);
    }

    private void recordDeadLetter(DecodedMessage.Origin origin, String sqlState, String reason)
            throws InterruptedException {
        SQLException unrecorded = retryTransient(
                () -> {
                    db.recordDeadLetter(origin, sqlState, reason);
                    return null;
                },
                false);
        if (unrecorded != null) {
            throw new IllegalStateException("A dead letter could not be recorded.", unrecorded);
        }
        metrics.dead(1);
    }

    private interface Attempt {
        @Nullable
        Object run() throws SQLException;
    }

    /**
     * Tries until it succeeds (returns null), or fails in a way that another batch may not (returns the failure).
     *
     * @param divisible whether a smaller batch can be tried, so that reaching a limit is returned too
     */
    private @Nullable SQLException retryTransient(Attempt attempt, boolean divisible) throws InterruptedException {
        long pause = FIRST_PAUSE_MILLIS;
        while (true) {
            try {
                attempt.run();
                outage.committed(this);
                return null;
            } catch (SQLException e) {
                Cause cause = SqlErrorClassifier.cause(e);
                boolean blamed = cause == Cause.MESSAGE || (cause == Cause.LIMIT && SqlErrorClassifier.isOfMessage(e));
                if (blamed || (cause == Cause.LIMIT && divisible)) {
                    outage.committed(this);
                    return e;
                }
                waitOut(e, pause);
            }
            pause = Math.min(pause * 2, LONGEST_PAUSE_MILLIS);
        }
    }

    private void waitOut(SQLException e, long pause) throws InterruptedException {
        if (stopping.getCount() > 0) { // what is cancelled because the program ends is no outage
            outage.failed(this, e.getSQLState(), SqlErrorClassifier.sentence(e));
        }
        long jittered = pause / 2 + ThreadLocalRandom.current().nextLong(pause / 2 + 1);
        if (stopping.await(jittered, TimeUnit.MILLISECONDS)) {
            throw new InterruptedException("stopped while the database was failing");
        }
    }
}
