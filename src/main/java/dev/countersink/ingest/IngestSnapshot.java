package dev.countersink.ingest;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the ingestion of this instance is doing.
 *
 * @param messages finished since the start: applied or made a dead letter, and committed
 * @param deadLetters how many of these are dead letters
 * @param redelivered how many of these were delivered more than once
 * @param perSecond messages finished per second, over the last ten seconds or since the first message
 * @param p50Millis publish to commit over the last minute; NaN if there was none
 * @param allP50Millis the same since the start
 * @param held messages in memory: queued, in work or about to be acked
 * @param backlog messages in the stream, with those in work, for all instances together
 * @param oldestSeconds since the oldest message in the stream was published; null if there is none, or that is not known
 * @param blocked why the database does not accept batches at present, or null
 * @param problem why the stream is not usable at present, or null
 */
public record IngestSnapshot(
        long messages,
        long batches,
        long deadLetters,
        long redelivered,
        double perSecond,
        double p50Millis,
        double p99Millis,
        double allP50Millis,
        double allP99Millis,
        int held,
        long heldBytes,
        long backlog,
        @Nullable Long oldestSeconds,
        @Nullable String blocked,
        @Nullable String problem,
        List<Job> jobs) {

    /**
     * A subject with messages in the stream.
     *
     * @param jobId null if the subject names no job
     * @param open whether this instance pulls from it
     * @param perSecond messages of it that this instance finishes per second
     * @param etaSeconds until none is left at this rate; null if none was finished
     * @param stalledSeconds for how long no instance has finished any of its messages
     * @param oldestSeconds since the oldest of its messages was published; null if that is not known
     */
    public record Job(
            String subject,
            @Nullable Long jobId,
            long messages,
            boolean open,
            double perSecond,
            @Nullable Long etaSeconds,
            long stalledSeconds,
            @Nullable Long oldestSeconds) {}
}
