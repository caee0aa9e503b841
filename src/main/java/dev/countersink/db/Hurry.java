package dev.countersink.db;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * Between its beginning and its end, the thread waits only so long for a connection of the pool, and no statement of it lasts for
 * ever: for threads that answer somebody, or that look at everything. A merge may take as long as it takes.
 */
public final class Hurry {
    /** Somebody waits for the answer, and can ask again. */
    private static final Duration OF_REQUESTS = Duration.ofSeconds(2);

    private static final Duration OF_TASKS = Duration.ofSeconds(10);
    private static final ThreadLocal<@Nullable Hurry> CURRENT = new ThreadLocal<>();

    private final Duration patience;
    private final @Nullable Hurry before;

    private Hurry(Duration patience) {
        this.patience = patience;
        this.before = CURRENT.get();
        CURRENT.set(this);
    }

    /** For a thread that answers a request. */
    public static Hurry ofRequest() {
        return new Hurry(OF_REQUESTS);
    }

    /** For a thread that does the same again and again. */
    public static Hurry ofTask() {
        return new Hurry(OF_TASKS);
    }

    /** How long this thread may wait for a connection; null: as long as others. */
    static @Nullable Duration ofThisThread() {
        Hurry current = CURRENT.get();
        return current == null ? null : current.patience;
    }

    /** The thread has as much time again as it had before. */
    public void end() {
        if (before == null) {
            CURRENT.remove();
        } else {
            CURRENT.set(before);
        }
    }
}
