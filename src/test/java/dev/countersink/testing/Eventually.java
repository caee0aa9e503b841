package dev.countersink.testing;

import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Predicate;

/** Waits for a condition, with a deadline; the last value seen is in the message. */
public final class Eventually {
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final long PAUSE_NS = TimeUnit.MILLISECONDS.toNanos(20);

    private Eventually() {}

    public static <T> T await(String what, Callable<T> value, Predicate<T> condition) {
        return await(what, PATIENCE, value, condition);
    }

    public static <T> T await(String what, Duration patience, Callable<T> value, Predicate<T> condition) {
        long deadline = System.nanoTime() + patience.toNanos();
        while (true) {
            T seen = call(value);
            if (condition.test(seen)) {
                return seen;
            }
            if (System.nanoTime() > deadline) {
                throw new AssertionError("after %s still not: %s; last seen: %s".formatted(patience, what, seen));
            }
            LockSupport.parkNanos(PAUSE_NS);
        }
    }

    private static <T> T call(Callable<T> value) {
        try {
            return value.call();
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }
}
