package dev.countersink.ingest;

import dev.countersink.ingest.db.ResultsDb;
import dev.countersink.ingest.db.SqlErrorClassifier;
import dev.countersink.ingest.db.SqlErrorClassifier.Cause;
import dev.countersink.ingest.message.ContentUnavailableException;
import dev.countersink.ingest.message.DecodeException;
import dev.countersink.ingest.message.DecodedMessage;
import dev.countersink.ingest.nats.Delivery;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes a batch to the database. When it returns, every message of the batch is applied, is a dead letter, or is put aside to
 * be tried again later, and that is committed. If a message is at fault, the batch is bisected until that message is alone; so it
 * is for an error that others may avoid. If a limit is at fault that a smaller batch may not reach, no message is blamed. While
 * the database can be written by nobody, it waits and tries again.
 */
final class BatchWriter {
    private static final Logger LOG = LoggerFactory.getLogger(BatchWriter.class);
    private static final long FIRST_PAUSE_MILLIS = 50;
    /** Short, so that writers notice soon when the database is back. */
    private static final long LONGEST_PAUSE_MILLIS = 500;
    /** After this many batches of reduced size, a larger one is tried. */
    private static final int BATCHES_BEFORE_GROWTH = 16;
    /** How often a batch is tried as it is, if a part of it may do better. */
    private static final int TRIES = 5;
    /** The same while different messages fail one after the other. */
    private static final int TRIES_IN_AN_OUTAGE = 40;

    private final ResultsDb db;
    private final IngestMetrics metrics;
    private final Outage outage;
    private final Setbacks setbacks;
    private final int maxAttempts;
    private final CountDownLatch stopping;
    /** What failed of the batch in work. */
    private final Map<Delivery, Failed> failed = new LinkedHashMap<>();

    private int mostMessages = Integer.MAX_VALUE;
    private int batchesOfThatSize;
    private long lastTookNanos;
    /** Whether the batch in work is a message that was put aside. */
    private boolean again;

    /**
     * @param setbacks shared by all writers
     * @param maxAttempts how often a suspect message is tried before it becomes a dead letter
     * @param stopping at zero, a failure that would be retried ends the attempt instead
     */
    BatchWriter(
            ResultsDb db,
            IngestMetrics metrics,
            Outage outage,
            Setbacks setbacks,
            int maxAttempts,
            CountDownLatch stopping) {
        this.db = db;
        this.metrics = metrics;
        this.outage = outage;
        this.setbacks = setbacks;
        this.maxAttempts = maxAttempts;
        this.stopping = stopping;
    }

    /** A result, and the message that holds it. */
    private record Part(Delivery delivery, DecodedMessage result) {}

    private record Failed(List<DecodedMessage> results, SQLException failure, long tookNanos) {}

    /** How many messages the next batch may have. */
    int mostMessages() {
        return mostMessages;
    }

    /**
     * Writes a batch.
     *
     * @return the messages that are put aside, with the nanoseconds until they are worth another attempt
     * @throws InterruptedException if it gave up while the database was failing; parts of the batch may be committed
     */
    Map<Delivery, Long> write(List<Delivery> batch) throws InterruptedException {
        failed.clear();
        again = setbacks.has(batch.get(0));
        if (batch.get(0).isSuspect()) {
            writeSuspect(batch.get(0));
        } else {
            writeParts(batch.stream().flatMap(this::parts).toList());
        }
        Map<Delivery, Long> aside = new HashMap<>();
        for (Delivery delivery : batch) {
            Failed part = failed.get(delivery);
            Long pause = part == null ? null : judge(delivery, part);
            if (pause == null) {
                setbacks.forget(delivery);
            } else {
                aside.put(delivery, pause);
            }
        }
        outage.ended(this);
        return aside;
    }

    private Stream<Part> parts(Delivery delivery) {
        return setbacks.unfinished(delivery).stream().map(result -> new Part(delivery, result));
    }

    /** Returns for how long a message is put aside; null if it has become a dead letter. */
    private @Nullable Long judge(Delivery delivery, Failed part) throws InterruptedException {
        Setbacks.Verdict verdict = setbacks.failed(delivery, part.results(), part.failure(), part.tookNanos());
        if (verdict.blamed() == null) {
            return verdict.pauseNanos();
        }
        if (part.results().isEmpty()) {
            recordDeadLetter(delivery.origin(), part.failure().getSQLState(), verdict.blamed());
        }
        for (DecodedMessage result : part.results()) {
            bury(result, part.failure().getSQLState(), verdict.blamed());
        }
        return null;
    }

    /**
     * Writes a message that was delivered several times without any outcome. It may be the reason why the program ended each
     * time. So its attempts are counted in the database, where the count survives a crash.
     */
    private void writeSuspect(Delivery suspect) throws InterruptedException {
        int[] attempts = {0};
        DecodedMessage.Origin origin = suspect.origin();
        SQLException failure = retry(() -> attempts[0] = db.beginAttempt(origin, suspect.publishedMicros()), false);
        if (failure != null) {
            throw new IllegalStateException("An attempt could not be recorded.", failure);
        }
        if (attempts[0] > maxAttempts) {
            String reason = String.format(
                    Locale.ROOT,
                    "The program has failed or ended %d times while it tried to apply this message.",
                    maxAttempts);
            LOG.warn("Message {} of {} is a dead letter: {}", origin.sequence(), origin.subject(), reason);
            recordDeadLetter(origin, DecodeException.NO_OUTCOME, reason);
        } else {
            try {
                writeParts(parts(suspect).toList());
            } catch (ContentUnavailableException e) {
                failed.put(
                        suspect, new Failed(List.of(), new SQLException(e.getMessage(), DecodeException.NO_OBJECT), 0));
            }
        }
        retry(
                () -> {
                    db.endAttempt(origin, suspect.publishedMicros());
                    return null;
                },
                false);
    }

    private void writeParts(List<Part> batch) throws InterruptedException {
        if (batch.isEmpty()) {
            return; // messages that are known to be applied
        }
        SQLException failure = apply(batch);
        if (failure == null) {
            succeeded(batch.size());
        } else if (batch.size() == 1) {
            failedAlone(batch.get(0), failure);
        } else {
            int half = batch.size() / 2;
            if (SqlErrorClassifier.cause(failure) == Cause.LIMIT) {
                reduce(half, failure);
            } else {
                LOG.debug("Bisecting {} messages: {}", batch.size(), failure.getMessage());
            }
            writeParts(batch.subList(0, half));
            writeParts(batch.subList(half, batch.size()));
        }
    }

    private @Nullable SQLException apply(List<Part> batch) throws InterruptedException {
        List<DecodedMessage> results = batch.stream().map(Part::result).toList();
        return retry(
                () -> {
                    int dead = metrics.dead(db.apply(results));
                    setbacks.applied(results.size() - dead);
                    return null;
                },
                true);
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

    /** A message to blame is tried twice, because another writer may have caused the first failure. */
    private void failedAlone(Part part, SQLException first) throws InterruptedException {
        SQLException failure = SqlErrorClassifier.isOfMessage(first) ? apply(List.of(part)) : first;
        if (failure == null) {
            return;
        }
        if (SqlErrorClassifier.isOfMessage(failure)) {
            bury(part.result(), failure.getSQLState(), SqlErrorClassifier.sentence(failure));
            return;
        }
        LOG.debug(
                "Message {} of {} is put aside ({}: {})",
                part.result().origin().sequence(),
                part.result().origin().subject(),
                failure.getSQLState(),
                failure.getMessage());
        Failed others = failed.get(part.delivery());
        List<DecodedMessage> results = new ArrayList<>(others == null ? List.of() : others.results());
        results.add(part.result());
        failed.put(part.delivery(), new Failed(results, failure, lastTookNanos));
        setbacks.note(part.delivery());
    }

    private void bury(DecodedMessage result, String sqlState, String why) throws InterruptedException {
        DecodedMessage.Origin culprit = result.letter();
        String reason = result.explain(why);
        LOG.info("Message {} of {} is a dead letter ({}): {}", culprit.sequence(), culprit.subject(), sqlState, reason);
        recordDeadLetter(culprit, sqlState, reason);
    }

    private void recordDeadLetter(DecodedMessage.Origin origin, String sqlState, String reason)
            throws InterruptedException {
        SQLException unrecorded = retry(
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
     * @param others whether there are other batches to try; if not, only an error that a message causes is returned
     */
    private @Nullable SQLException retry(Attempt attempt, boolean others) throws InterruptedException {
        long pause = FIRST_PAUSE_MILLIS;
        int tries = 0;
        while (true) {
            long begin = System.nanoTime();
            try {
                attempt.run();
                outage.committed(this);
                return null;
            } catch (SQLException e) {
                lastTookNanos = System.nanoTime() - begin;
                if (db.wasOpen()) {
                    tries++;
                }
                if (isOver(e, others, tries)) {
                    if (SqlErrorClassifier.isOfMessage(e)) {
                        outage.committed(this);
                    }
                    return e;
                }
                waitOut(e, pause);
            }
            pause = Math.min(pause * 2, LONGEST_PAUSE_MILLIS);
        }
    }

    private boolean isOver(SQLException e, boolean others, int tries) {
        int most = setbacks.isGeneral() ? TRIES_IN_AN_OUTAGE : TRIES;
        boolean enough = others && tries >= (again ? 1 : most);
        return switch (SqlErrorClassifier.cause(e)) {
            case MESSAGE -> true;
            case LIMIT -> others || SqlErrorClassifier.isOfMessage(e);
            case LOCK -> others;
            case DATABASE -> enough && SqlErrorClassifier.isCut(e);
            case OTHER -> enough;
        };
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
