package dev.countersink.ingest;

import java.util.List;

/**
 * What the ingestion of this instance is doing.
 *
 * @param messages finished (applied or a dead letter, committed) since the start
 * @param deadLetters of these
 * @param redelivered of these, delivered for a second time or more
 * @param perSecond messages finished a second, over the last ten seconds or since the first one
 * @param p50Millis publish to commit over the last minute; not a number while there was none
 * @param allP50Millis the same since the start
 * @param held messages in memory: queued, in work or about to be acked
 * @param backlog messages in the stream, those in work included; of all instances
 * @param blocked why the database takes nothing at present, or null
 * @param problem why the stream of messages cannot be trusted at present, or null
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
        String blocked,
        String problem,
        List<Job> jobs) {

    /**
     * A subject with messages in the stream.
     *
     * @param jobId null when the subject names no job
     * @param open whether this instance pulls from it
     * @param perSecond messages of it that this instance finishes a second
     * @param etaSeconds until it has none left at this rate; null while nothing is finished
     * @param stalledSeconds how long nobody has finished any of its messages
     */
    public record Job(
            String subject,
            Long jobId,
            long messages,
            boolean open,
            double perSecond,
            Long etaSeconds,
            long stalledSeconds) {}
}
