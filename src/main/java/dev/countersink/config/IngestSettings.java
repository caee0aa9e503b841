package dev.countersink.config;

import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

/**
 * How messages become batches: a batch ends at whichever of the three bounds is met first.
 *
 * @param batchMessages messages of a batch
 * @param batchBytes bytes of a batch as they come from the wire
 * @param linger how long a batch waits for more messages after its first
 */
@ConfigurationProperties("countersink.ingest")
public record IngestSettings(
        @DefaultValue("2000") int batchMessages,
        @DefaultValue("32MB") DataSize batchBytes,
        @DefaultValue("10ms") Duration linger) {
    private static final IngestSettings DEFAULTS =
            new IngestSettings(2000, DataSize.ofMegabytes(32), Duration.ofMillis(10));

    public IngestSettings {
        Check.within("countersink.ingest.batch-messages", batchMessages, 1, 100_000, 2000);
        Check.within(
                "countersink.ingest.batch-bytes",
                batchBytes,
                DataSize.ofMegabytes(1),
                DataSize.ofMegabytes(1024),
                DataSize.ofMegabytes(32));
        Check.within("countersink.ingest.linger", linger, Duration.ZERO, Duration.ofSeconds(10), Duration.ofMillis(10));
    }

    public static IngestSettings defaults() {
        return DEFAULTS;
    }
}
