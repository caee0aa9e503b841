package dev.countersink.config;

import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * How often derived views are brought up to date.
 *
 * @param interval between two merges of a projection that has no interval of its own
 * @param follow how often the list of derived views is read again
 * @param threads how many threads run merges and refreshes on this instance; requested runs have threads of their own
 */
@ConfigurationProperties("countersink.refresh")
public record RefreshSettings(
        @DefaultValue("1s") Duration interval,
        @DefaultValue("5s") Duration follow,
        @DefaultValue("4") int threads) {

    public RefreshSettings {
        Check.within(
                "countersink.refresh.interval",
                interval,
                Duration.ofMillis(100),
                Duration.ofDays(1),
                Duration.ofSeconds(1));
        Check.within(
                "countersink.refresh.follow",
                follow,
                Duration.ofMillis(100),
                Duration.ofHours(1),
                Duration.ofSeconds(5));
        Check.within("countersink.refresh.threads", threads, 1, 64, 4);
    }
}
