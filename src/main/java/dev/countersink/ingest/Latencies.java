package dev.countersink.ingest;

import java.util.Arrays;

/** Durations in buckets that grow by 7 %, over all time and over the last minute. */
final class Latencies {
    private static final int BUCKETS = 256;
    private static final double SMALLEST_MILLIS = 0.1;
    private static final double GROWTH = Math.log(1.07);
    private static final int SLOTS = 6;
    private static final long SLOT_MILLIS = 10_000;

    private final long[] all = new long[BUCKETS];
    private final long[][] slots = new long[SLOTS][BUCKETS];
    private final long[] slotNumbers = new long[SLOTS];

    synchronized void record(double millis, long nowMillis) {
        int bucket = millis <= SMALLEST_MILLIS ? 0 : (int) (Math.log(millis / SMALLEST_MILLIS) / GROWTH) + 1;
        bucket = Math.min(bucket, BUCKETS - 1);
        all[bucket]++;
        long number = nowMillis / SLOT_MILLIS;
        int slot = (int) (number % SLOTS);
        if (slotNumbers[slot] != number) {
            slotNumbers[slot] = number;
            Arrays.fill(slots[slot], 0);
        }
        slots[slot][bucket]++;
    }

    /** The quantile in milliseconds, not a number while nothing was recorded. */
    synchronized double quantile(double q) {
        return quantile(all, q);
    }

    /** The same over about the last minute. */
    synchronized double recent(double q, long nowMillis) {
        long oldest = nowMillis / SLOT_MILLIS - SLOTS + 1;
        long[] sum = new long[BUCKETS];
        for (int slot = 0; slot < SLOTS; slot++) {
            for (int i = 0; slotNumbers[slot] >= oldest && i < BUCKETS; i++) {
                sum[i] += slots[slot][i];
            }
        }
        return quantile(sum, q);
    }

    private static double quantile(long[] counts, double q) {
        long left = (long) Math.ceil(q * Arrays.stream(counts).sum());
        if (left == 0) {
            return Double.NaN;
        }
        int bucket = 0;
        for (left -= counts[0]; left > 0; left -= counts[bucket]) {
            bucket++;
        }
        return SMALLEST_MILLIS * Math.exp(bucket * GROWTH);
    }
}
