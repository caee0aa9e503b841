package dev.countersink.embedded;

import dev.countersink.config.DbSettings;
import dev.countersink.config.EmbeddedSettings;
import dev.countersink.config.NatsSettings;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** The servers of an instance; whatever uses one is stopped before it. */
@Configuration(proxyBeanMethods = false)
class ServersConfiguration {

    @Bean
    Servers servers(DbSettings db, NatsSettings nats, EmbeddedSettings embedded) {
        return new Servers(db, nats, embedded);
    }
}
