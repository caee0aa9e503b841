package dev.countersink.ingest;

/** Events per second, over the last seconds or since the first event. Thread-safe. */
final class Rate {
    private static final int SECONDS = 10;
    private static final int SLOTS = 16;

    private final long[] counts = new long[SLOTS];
    private final long[] seconds = new long[SLOTS];
    private long firstSecond = Long.MAX_VALUE / 2;

    synchronized void add(long nowMillis, long number) {
        long second = nowMillis / 1000;
        int slot = (int) (second % SLOTS);
        if (seconds[slot] != second) {
            seconds[slot] = second;
            counts[slot] = 0;
        }
        counts[slot] += number;
        firstSecond = Math.min(firstSecond, second);
    }

    synchronized double perSecond(long nowMillis) {
        long second = nowMillis / 1000;
        long sum = 0;
        for (int slot = 0; slot < SLOTS; slot++) {
            if (seconds[slot] > second - SECONDS) {
                sum += counts[slot];
            }
        }
        return (double) sum / Math.max(1, Math.min(SECONDS, second - firstSecond + 1));
    }
}
