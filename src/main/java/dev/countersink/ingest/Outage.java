package dev.countersink.ingest;

import java.time.Duration;
import java.util.HashSet;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Whether the database accepts batches. It logs one line when an outage begins and one when it ends. Thread-safe. */
final class Outage {
    private static final Logger LOG = LoggerFactory.getLogger(Outage.class);
    private static final long REPEAT_NANOS = Duration.ofSeconds(30).toNanos();

    private final Set<Object> blocked = new HashSet<>();
    private @Nullable String reason;
    private @Nullable String loggedReason;
    private long loggedNanos;
    private long beganNanos;
    private boolean anyCommit;
    /** Whether the database refuses particular batches, though it can be reached. */
    private boolean reached;

    /** A writer's batch failed, but not because of a message. */
    synchronized void failed(Object writer, String sqlState, String message) {
        long now = System.nanoTime();
        if (blocked.isEmpty()) {
            beganNanos = now;
            anyCommit = false;
            reached = false;
            loggedReason = null;
        }
        blocked.add(writer);
        reason = message;
        boolean another = !Objects.equals(loggedReason, message) && now - loggedNanos > REPEAT_NANOS;
        if (loggedReason == null || another) {
            loggedReason = message;
            loggedNanos = now;
            LOG.warn("The database takes no batch ({}: {}); nothing is acked, trying again", sqlState, message);
        }
    }

    /** Several messages failed, each alone, and nothing was committed between them. Others may fare better, so the outage is not total. */
    synchronized void failedAlone(Object part, String sqlState, String message) {
        failed(part, sqlState, message);
        reached = true;
    }

    /** A writer's batch was committed. */
    synchronized void committed(Object writer) {
        anyCommit = true;
        end(writer);
    }

    /** A part that had failed works again. This does not count as a committed batch. */
    synchronized void ended(Object part) {
        end(part);
    }

    /** A writer stops. */
    synchronized void left(Object writer) {
        blocked.remove(writer);
    }

    private void end(Object writer) {
        if (blocked.remove(writer) && blocked.isEmpty()) {
            reason = null;
            long seconds = Duration.ofNanos(System.nanoTime() - beganNanos).toSeconds();
            LOG.info("The database takes batches again, after {} s", seconds);
        }
    }

    /** Why batches fail at present, or null. */
    synchronized @Nullable String reason() {
        return blocked.isEmpty() ? null : reason;
    }

    /** Whether no batch was committed since the outage began, and none is worth a try. */
    synchronized boolean isTotal() {
        return !blocked.isEmpty() && !anyCommit && !reached;
    }
}
