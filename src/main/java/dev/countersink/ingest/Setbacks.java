package dev.countersink.ingest;

import dev.countersink.ingest.db.SqlErrorClassifier;
import dev.countersink.ingest.db.SqlErrorClassifier.Cause;
import dev.countersink.ingest.message.DecodedMessage;
import dev.countersink.ingest.nats.Delivery;
import java.sql.SQLException;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Messages that failed in a batch of their own with an error that does not say whether they caused it, such as a timeout. They
 * are tried again from time to time. What tells is whether other messages are applied meanwhile: if some are between any two
 * attempts, it is the message, and it becomes a dead letter; if none is, it is the database. Shared by all writers; thread-safe.
 */
final class Setbacks {
    /** So many different messages in a row, and nothing applied between them: no message is to blame. */
    private static final int GENERAL = 3;
    /** Evidence weighs less for errors that come and go by themselves, as during a deployment. */
    private static final int MORE_ATTEMPTS = 4;
    /** A message that is alone in the stream is tried for so many times as long. */
    private static final int LONGER_ALONE = 2;
    /** An attempt takes at most one part in so many of the time. */
    private static final int REST = 4;

    private static final int PARTS_OF_TIME = 4;
    private static final long LONGEST_PAUSE_NANOS = Duration.ofSeconds(60).toNanos();
    private static final long SHORTEST_PAUSE_NANOS = Duration.ofMillis(500).toNanos();

    private final int maxAttempts;
    private final long giveUpNanos;
    private final Outage outage;
    private final Map<Delivery, Setback> open = new HashMap<>();
    private final Set<Delivery> sinceLastApplied = new HashSet<>();
    private long applied;

    /**
     * @param maxAttempts how often a message is tried at least
     * @param giveUpAfter for how long it is tried at least
     */
    Setbacks(int maxAttempts, Duration giveUpAfter, Outage outage) {
        this.maxAttempts = Math.max(2, maxAttempts);
        this.giveUpNanos = giveUpAfter.toNanos();
        this.outage = outage;
    }

    /** What a failed attempt left behind. */
    private static final class Setback {
        private final long sinceNanos = System.nanoTime();
        private final long appliedBefore;
        private List<DecodedMessage> unfinished = List.of();
        private int attempts;
        private int counted;
        private long appliedAtLast;

        Setback(long appliedBefore) {
            this.appliedBefore = appliedBefore;
            this.appliedAtLast = appliedBefore;
        }
    }

    /**
     * What to do with a message that failed.
     *
     * @param blamed why it becomes a dead letter; null if it is tried again
     * @param pauseNanos how long it is put aside
     */
    record Verdict(@Nullable String blamed, long pauseNanos) {}

    /** The results of a message that are still to be applied. */
    synchronized List<DecodedMessage> unfinished(Delivery delivery) {
        Setback setback = open.get(delivery);
        return setback == null || setback.unfinished.isEmpty() ? delivery.results() : setback.unfinished;
    }

    /** Whether a message has failed before. */
    synchronized boolean has(Delivery delivery) {
        return open.containsKey(delivery);
    }

    /** A message fails in a batch of its own. */
    synchronized void note(Delivery delivery) {
        sinceLastApplied.add(delivery);
    }

    /** Other messages were applied. */
    synchronized void applied(int messages) {
        if (messages > 0) {
            applied += messages;
            sinceLastApplied.clear();
            outage.ended(this);
        }
    }

    /** Whether different messages fail one after the other and nothing is applied between them. */
    synchronized boolean isGeneral() {
        return sinceLastApplied.size() >= GENERAL;
    }

    /** A message has an outcome, or is given back. */
    synchronized void forget(Delivery delivery) {
        open.remove(delivery);
        sinceLastApplied.remove(delivery);
        if (open.isEmpty()) {
            outage.ended(this);
        }
    }

    /**
     * A message failed in a batch of its own.
     *
     * @param unfinished which of its results; none if these are not known
     * @param tookNanos how long the attempt took
     */
    synchronized Verdict failed(
            Delivery delivery, List<DecodedMessage> unfinished, SQLException failure, long tookNanos) {
        Cause cause = SqlErrorClassifier.cause(failure);
        Setback setback = open.computeIfAbsent(delivery, d -> new Setback(applied));
        setback.unfinished = List.copyOf(unfinished);
        setback.attempts++;
        boolean first = setback.attempts == 1;
        boolean othersApplied = applied != setback.appliedAtLast;
        setback.appliedAtLast = applied;
        long time = System.nanoTime() - setback.sinceNanos;
        boolean alone = open.size() == 1 && time >= LONGER_ALONE * giveUpNanos;
        if (cause != Cause.LOCK && (first || othersApplied || alone)) {
            setback.counted++;
        }
        int needed = cause == Cause.LIMIT ? maxAttempts : MORE_ATTEMPTS * maxAttempts;
        if (setback.counted >= needed && time >= giveUpNanos) {
            return new Verdict(blame(setback, time, failure), 0);
        }
        note(delivery);
        boolean odd = cause == Cause.OTHER || cause == Cause.DATABASE;
        if (isGeneral() || (odd && !othersApplied)) {
            outage.failedAlone(this, failure.getSQLState(), SqlErrorClassifier.sentence(failure));
        }
        return new Verdict(null, othersApplied ? rest(tookNanos) : patience(cause, tookNanos));
    }

    /** Others go first. */
    private long rest(long tookNanos) {
        return Math.max(Math.min(giveUpNanos / PARTS_OF_TIME, LONGEST_PAUSE_NANOS), REST * tookNanos);
    }

    /** Nothing else can be applied either, or there is nothing else: the end of the cause should be noticed soon. */
    private long patience(Cause cause, long tookNanos) {
        return cause == Cause.LOCK || isGeneral() ? SHORTEST_PAUSE_NANOS : Math.max(SHORTEST_PAUSE_NANOS, tookNanos);
    }

    private String blame(Setback setback, long nanos, SQLException failure) {
        long others = applied - setback.appliedBefore;
        return String.format(
                Locale.ROOT,
                "This message failed alone, %d times within %d s, %s. The last time: %s",
                setback.attempts,
                Duration.ofNanos(nanos).toSeconds(),
                others == 0
                        ? "and there was no other to be applied"
                        : "while others were applied (" + others + " results)",
                SqlErrorClassifier.sentence(failure));
    }
}
