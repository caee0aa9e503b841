package dev.countersink.config;

import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * The nightly maintenance.
 *
 * @param cron when, in UTC; {@code off} for never
 * @param verifySample share of a projection's keys that is verified, 0 for no verification
 * @param keepRuns how long runs are kept after they were requested
 * @param keepAudit how long the audit log keeps what was done
 */
@ConfigurationProperties("countersink.maintenance")
public record MaintenanceSettings(
        @DefaultValue("0 30 3 * * ?") String cron,
        @DefaultValue("0.01") double verifySample,
        @DefaultValue("30d") Duration keepRuns,
        @DefaultValue("365d") Duration keepAudit) {
    private static final String OFF = "off";

    public MaintenanceSettings {
        cron = Check.orNull(cron) == null ? "0 30 3 * * ?" : cron.strip();
        if (!OFF.equalsIgnoreCase(cron)) {
            Check.cron("countersink.maintenance.cron", cron, "0 30 3 * * ?");
        }
        Check.within("countersink.maintenance.verify-sample", verifySample, 0, 1, 0.01);
        Check.within(
                "countersink.maintenance.keep-runs",
                keepRuns,
                Duration.ofHours(1),
                Duration.ofDays(3650),
                Duration.ofDays(30));
        Check.within(
                "countersink.maintenance.keep-audit",
                keepAudit,
                Duration.ofHours(1),
                Duration.ofDays(3650),
                Duration.ofDays(365));
    }

    /** Whether there is any maintenance. */
    public boolean enabled() {
        return !OFF.equalsIgnoreCase(cron);
    }
}
