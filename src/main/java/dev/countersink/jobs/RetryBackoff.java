package dev.countersink.jobs;

import dev.countersink.db.MergeResult;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Failures that repeat: each is logged only when its message changes, and tried less often the longer it lasts. The engine
 * backs off after errors inside a view. This class backs off when the job cannot call the engine.
 */
final class RetryBackoff {
    private static final Logger LOG = LoggerFactory.getLogger("dev.countersink.jobs");
    private static final Duration LONGEST = Duration.ofMinutes(1);
    private static final int DOUBLINGS = 6;

    private final InstantSource clock;
    private final Map<String, Failure> byName = new ConcurrentHashMap<>();

    RetryBackoff(InstantSource clock) {
        this.clock = clock;
    }

    private record Failure(String message, int failures, Instant retryAt) {}

    /** Whether to try again now. */
    boolean mayTry(String name) {
        Failure failure = byName.get(name);
        return failure == null || !clock.instant().isBefore(failure.retryAt());
    }

    /** Stores a failure. The next attempt is after one second, then two, four and so on up to a minute. */
    void failed(String name, String message) {
        note(name, message, true);
    }

    /** Stores a failure for whose retries the caller itself waits. */
    void reported(String name, String message) {
        note(name, message, false);
    }

    /** Stores the result of a merge or refresh. If it was busy, paused or waiting, the result says nothing about success. */
    void note(String name, MergeResult result) {
        switch (result.outcome()) {
            case "failed" -> reported(name, Objects.requireNonNullElse(result.error(), result.outcome()));
            case "merged", "nothing" -> succeeded(name);
            default -> {}
        }
    }

    void succeeded(String name) {
        if (byName.remove(name) != null) {
            LOG.info("{}: works again", name);
        }
    }

    private void note(String name, String message, boolean wait) {
        Failure before = byName.get(name);
        int failures = before == null ? 1 : before.failures() + 1;
        Duration pause = wait ? Duration.ofSeconds(1L << Math.min(failures - 1, DOUBLINGS)) : Duration.ZERO;
        Instant retryAt = clock.instant().plus(pause.compareTo(LONGEST) > 0 ? LONGEST : pause);
        byName.put(name, new Failure(message, failures, retryAt));
        if (before == null || !Objects.equals(before.message(), message)) {
            LOG.warn("{}: {}", name, message);
        }
    }
}
