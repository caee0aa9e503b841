package dev.countersink.ingest.nats;

import java.time.Duration;

/**
 * How much an instance takes in.
 *
 * @param batchMessages messages of a batch
 * @param batchBytes bytes of a batch
 * @param linger how long a batch waits for more messages after its first
 * @param writers that take batches at the same time
 * @param maxPayload the largest message that the server takes
 */
public record IntakeLimits(int batchMessages, long batchBytes, Duration linger, int writers, long maxPayload) {
    /** Batches that are ready or on their way while each writer has one in work. */
    private static final int BATCHES_AHEAD = 2;

    private static final long LARGEST_SHARE_OF_HEAP = 3;

    int mostMessages() {
        return (writers + BATCHES_AHEAD) * batchMessages;
    }

    /** At most a third of the heap, so that the largest machine's writers do not fill the smallest heap. */
    long mostBytes() {
        long heap = Runtime.getRuntime().maxMemory() / LARGEST_SHARE_OF_HEAP;
        return Math.max(batchBytes, Math.min((writers + BATCHES_AHEAD) * batchBytes, heap));
    }
}
