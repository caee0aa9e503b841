package dev.countersink.config;

import java.time.Duration;
import java.util.List;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

/**
 * How messages are collected in batches. A batch ends at the first of three bounds: messages, bytes, time.
 *
 * @param batchMessages messages of a batch
 * @param batchBytes bytes of a batch, as received
 * @param linger how long a batch waits for more messages after its first
 * @param writers how many batches are applied at the same time, each by a connection of its own; 0: one for each core, at
 *     least two
 * @param maxAttempts how often a message is tried that ends the program each time; then it becomes a dead letter
 * @param giveUpAfter for how long a message that fails alone, while others are applied, is tried; then it becomes a dead letter
 * @param stalledAfter how long a job may have messages without any progress before readiness reports it
 * @param failedShare a finished job counts as failed if a larger share of its captures has failed
 * @param replySubjects where answers to messages may be published; with NATS wildcards
 */
@ConfigurationProperties("countersink.ingest")
public record IngestSettings(
        @DefaultValue("250") int batchMessages,
        @DefaultValue("32MB") DataSize batchBytes,
        @DefaultValue("10ms") Duration linger,
        @DefaultValue("0") int writers,
        @DefaultValue("3") int maxAttempts,
        @DefaultValue("30s") Duration giveUpAfter,
        @DefaultValue("30s") Duration stalledAfter,
        @DefaultValue("0.1") double failedShare,
        @DefaultValue({"_INBOX.>", "$JS.ACK.>"}) List<String> replySubjects) {
    private static final int MOST_WRITERS = 64;
    private static final IngestSettings DEFAULTS = new IngestSettings(
            250,
            DataSize.ofMegabytes(32),
            Duration.ofMillis(10),
            0,
            3,
            Duration.ofSeconds(30),
            Duration.ofSeconds(30),
            0.1,
            List.of("_INBOX.>", "$JS.ACK.>"));

    public IngestSettings {
        Check.within("countersink.ingest.batch-messages", batchMessages, 1, 100_000, 250);
        Check.within(
                "countersink.ingest.batch-bytes",
                batchBytes,
                DataSize.ofMegabytes(1),
                DataSize.ofMegabytes(1024),
                DataSize.ofMegabytes(32));
        Check.within("countersink.ingest.linger", linger, Duration.ZERO, Duration.ofSeconds(10), Duration.ofMillis(10));
        Check.within("countersink.ingest.writers", writers, 0, MOST_WRITERS, 0);
        Check.within("countersink.ingest.max-attempts", maxAttempts, 1, 100, 3);
        Check.within(
                "countersink.ingest.give-up-after",
                giveUpAfter,
                Duration.ZERO,
                Duration.ofHours(24),
                Duration.ofSeconds(30));
        Check.within(
                "countersink.ingest.stalled-after",
                stalledAfter,
                Duration.ofSeconds(5),
                Duration.ofHours(1),
                Duration.ofSeconds(30));
        Check.within("countersink.ingest.failed-share", failedShare, 0, 1, 0.1);
        replySubjects = List.copyOf(replySubjects);
    }

    public static IngestSettings defaults() {
        return DEFAULTS;
    }

    /** The number of writers on this machine. */
    public int writersHere() {
        return writers > 0
                ? writers
                : Math.min(MOST_WRITERS, Math.max(2, Runtime.getRuntime().availableProcessors()));
    }

    public IngestSettings withBatch(int messages, DataSize bytes, Duration time) {
        return new IngestSettings(
                messages, bytes, time, writers, maxAttempts, giveUpAfter, stalledAfter, failedShare, replySubjects);
    }

    public IngestSettings withWriters(int count) {
        return new IngestSettings(
                batchMessages,
                batchBytes,
                linger,
                count,
                maxAttempts,
                giveUpAfter,
                stalledAfter,
                failedShare,
                replySubjects);
    }

    public IngestSettings withGiveUpAfter(Duration time) {
        return new IngestSettings(
                batchMessages,
                batchBytes,
                linger,
                writers,
                maxAttempts,
                time,
                stalledAfter,
                failedShare,
                replySubjects);
    }

    public IngestSettings withReplySubjects(String... subjects) {
        return new IngestSettings(
                batchMessages,
                batchBytes,
                linger,
                writers,
                maxAttempts,
                giveUpAfter,
                stalledAfter,
                failedShare,
                List.of(subjects));
    }
}
