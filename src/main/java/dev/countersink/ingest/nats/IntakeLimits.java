package dev.countersink.ingest.nats;

import java.time.Duration;
import java.util.function.LongSupplier;

/**
 * The limits of an instance's intake.
 *
 * @param batchMessages messages of a batch
 * @param batchBytes bytes of a batch
 * @param linger how long a batch waits for more messages after its first
 * @param writers how many writers take batches at the same time
 * @param maxPayload the largest message that the server accepts at present
 */
public record IntakeLimits(int batchMessages, long batchBytes, Duration linger, int writers, LongSupplier maxPayload) {
    /** Batches that are ready or requested while each writer works on one. */
    private static final int BATCHES_AHEAD = 2;

    private static final long LARGEST_SHARE_OF_HEAP = 3;

    int mostMessages() {
        return (writers + BATCHES_AHEAD) * batchMessages;
    }

    /** At most a third of the heap, so that many writers do not fill a small heap. */
    long mostBytes() {
        long heap = Runtime.getRuntime().maxMemory() / LARGEST_SHARE_OF_HEAP;
        return Math.max(batchBytes, Math.min((writers + BATCHES_AHEAD) * batchBytes, heap));
    }
}
