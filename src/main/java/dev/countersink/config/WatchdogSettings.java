package dev.countersink.config;

import java.time.Duration;
import java.util.List;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * The watchdog, which cancels statements that run for too long.
 *
 * @param roles whose; none: it is off
 * @param limit for how long a statement of theirs may run
 */
@ConfigurationProperties("countersink.watchdog")
public record WatchdogSettings(
        @DefaultValue List<String> roles,
        @DefaultValue("5m") Duration limit) {

    public WatchdogSettings {
        roles = roles.stream()
                .map(String::strip)
                .filter(role -> !role.isEmpty())
                .toList();
        Check.within(
                "countersink.watchdog.limit", limit, Duration.ofSeconds(1), Duration.ofDays(1), Duration.ofMinutes(5));
    }

    /** Whether there is one. */
    public boolean enabled() {
        return !roles.isEmpty();
    }
}
