package dev.countersink;

import com.zaxxer.hikari.HikariDataSource;
import dev.countersink.config.IngestSettings;
import dev.countersink.config.MessageSettings;
import dev.countersink.db.Database;
import dev.countersink.embedded.Servers;
import dev.countersink.ingest.IngestMetrics;
import dev.countersink.ingest.Ingestor;
import dev.countersink.ingest.db.Replays;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.ingest.nats.NatsLink;
import dev.countersink.ingest.nats.NatsObjects;
import dev.countersink.ingest.nats.ResultPublisher;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;
import io.nats.client.Connection;
import javax.sql.DataSource;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** The ingestion of an instance. It is closed before the connection to NATS and before the database. */
@Configuration(proxyBeanMethods = false)
class IngestConfiguration {

    @Bean(destroyMethod = "close")
    Connection nats(Servers servers) {
        return NatsLink.connect(servers.nats());
    }

    @Bean
    MeterBinder natsMetrics(Connection nats) {
        return registry -> {
            Gauge.builder("countersink.nats.connected", nats, IngestConfiguration::connected)
                    .description("1 while there is a connection to NATS")
                    .register(registry);
            FunctionCounter.builder(
                            "countersink.nats.reconnects",
                            nats,
                            connection -> connection.getStatistics().getReconnects())
                    .description("how often the connection to NATS was made again")
                    .register(registry);
        };
    }

    private static double connected(Connection nats) {
        return nats.getStatus() == Connection.Status.CONNECTED ? 1 : 0;
    }

    @Bean
    IngestMetrics ingestMetrics(MeterRegistry registry) {
        return new IngestMetrics(registry);
    }

    @Bean
    MessageDecoder messageDecoder(MessageSettings settings, Connection nats, Servers servers) {
        return new MessageDecoder(settings, new NatsObjects(nats, NatsLink.jetStream(servers.nats())));
    }

    @Bean
    ResultPublisher resultPublisher(Connection nats, Servers servers) {
        return new ResultPublisher(nats, NatsLink.jetStream(servers.nats()));
    }

    /** Writers connect without the pool, because after an outage the pool may hold a connection back and make them wait. */
    @Bean(initMethod = "start", destroyMethod = "close")
    Ingestor ingestor(
            Connection nats,
            Servers servers,
            HikariDataSource migrated,
            IngestSettings settings,
            MessageDecoder decoder,
            IngestMetrics metrics,
            ProgramEnd end) {
        return new Ingestor(
                nats,
                NatsLink.jetStream(servers.nats()),
                Database.unpooled(servers.db()),
                settings,
                decoder,
                metrics,
                end::afterError);
    }

    @Bean
    ProgramEnd programEnd() {
        return new ProgramEnd();
    }

    @Bean
    Replays replays(DataSource dataSource, MessageDecoder decoder) {
        return new Replays(dataSource, decoder);
    }

    /** Instead of Spring's, which waits for a connection as long as any other caller. */
    @Bean(destroyMethod = "close")
    DatabaseHealth dbHealthIndicator(HikariDataSource dataSource) {
        return new DatabaseHealth(dataSource);
    }

    @Bean
    HealthIndicator natsHealthIndicator(Connection nats) {
        return () -> {
            Connection.Status status = nats.getStatus();
            Health.Builder health = status == Connection.Status.CONNECTED ? Health.up() : Health.down();
            return health.withDetail("status", status.name()).build();
        };
    }

    @Bean
    HealthIndicator ingestHealthIndicator(IngestMetrics metrics, IngestSettings settings) {
        return new IngestHealth(metrics, settings.stalledAfter());
    }
}
