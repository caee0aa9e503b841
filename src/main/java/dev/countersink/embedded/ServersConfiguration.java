package dev.countersink.embedded;

import dev.countersink.config.ApiSettings;
import dev.countersink.config.DbSettings;
import dev.countersink.config.EmbeddedSettings;
import dev.countersink.config.HttpSettings;
import dev.countersink.config.IngestSettings;
import dev.countersink.config.IntakeSettings;
import dev.countersink.config.LogSettings;
import dev.countersink.config.MaintenanceSettings;
import dev.countersink.config.NatsSettings;
import dev.countersink.config.RefreshSettings;
import dev.countersink.config.WatchdogSettings;
import dev.countersink.config.WebhookSettings;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** The servers of an instance. Everything that uses one is stopped before it. */
@Configuration(proxyBeanMethods = false)
class ServersConfiguration {

    /** All settings are parameters, so that wrong ones are reported before anything is started. */
    @Bean
    Servers servers(
            DbSettings db,
            NatsSettings nats,
            EmbeddedSettings embedded,
            HttpSettings http,
            ApiSettings api,
            IngestSettings ingest,
            IntakeSettings intake,
            LogSettings log,
            RefreshSettings refresh,
            MaintenanceSettings maintenance,
            WatchdogSettings watchdog,
            WebhookSettings webhook) {
        return new Servers(db, nats, embedded);
    }
}
