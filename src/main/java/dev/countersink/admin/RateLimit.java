package dev.countersink.admin;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.function.LongSupplier;

/** How many requests a token may send to this instance: so many a second, after a pause twice as many at once. */
final class RateLimit {
    private static final double NANOS = Duration.ofSeconds(1).toNanos();
    private static final int BURST = 2;

    private final int perSecond;
    private final LongSupplier clock;
    private final Map<String, Bucket> buckets = new HashMap<>();

    /**
     * @param perSecond 0 for any number
     * @param clock in nanoseconds
     */
    RateLimit(int perSecond, LongSupplier clock) {
        this.perSecond = perSecond;
        this.clock = clock;
    }

    /** What a token may still send at a time; there are only as many as valid names. */
    private record Bucket(double left, long at) {}

    synchronized boolean admits(Caller caller) {
        if (perSecond == 0) {
            return true;
        }
        long now = clock.getAsLong();
        double most = (double) perSecond * BURST;
        Bucket bucket = buckets.getOrDefault(caller.name(), new Bucket(most, now));
        double left = Math.min(most, bucket.left() + (now - bucket.at()) / NANOS * perSecond);
        boolean admitted = left >= 1;
        buckets.put(caller.name(), new Bucket(admitted ? left - 1 : left, now));
        return admitted;
    }
}
