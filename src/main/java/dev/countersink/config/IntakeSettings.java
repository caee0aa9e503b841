package dev.countersink.config;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

/**
 * Limits of the HTTP intake of results.
 *
 * @param maxBody bytes of a request's body, after decompression
 * @param maxRequests how many requests are read at the same time
 * @param maxBacklog if the stream has more messages, senders are told to wait; 0 for no bound
 */
@ConfigurationProperties("countersink.intake")
public record IntakeSettings(
        @DefaultValue("256MB") DataSize maxBody,
        @DefaultValue("8") int maxRequests,
        @DefaultValue("1000000") int maxBacklog) {

    public IntakeSettings {
        Check.within(
                "countersink.intake.max-body",
                maxBody,
                DataSize.ofMegabytes(1),
                DataSize.ofMegabytes(65_536),
                DataSize.ofMegabytes(256));
        Check.within("countersink.intake.max-requests", maxRequests, 1, 100, 8);
        Check.within("countersink.intake.max-backlog", maxBacklog, 0, 1_000_000_000, 1_000_000);
    }
}
