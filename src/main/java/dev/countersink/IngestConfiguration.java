package dev.countersink;

import dev.countersink.config.IngestSettings;
import dev.countersink.config.MessageSettings;
import dev.countersink.embedded.Servers;
import dev.countersink.ingest.IngestMetrics;
import dev.countersink.ingest.IngestSnapshot;
import dev.countersink.ingest.Ingestor;
import dev.countersink.ingest.db.Replays;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.ingest.nats.NatsLink;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.nats.client.Connection;
import java.util.function.ToDoubleFunction;
import javax.sql.DataSource;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** The ingestion of an instance; it ends before the connection to NATS and the database do. */
@Configuration(proxyBeanMethods = false)
class IngestConfiguration {

    @Bean(destroyMethod = "close")
    Connection nats(Servers servers) {
        return NatsLink.connect(servers.nats());
    }

    @Bean
    IngestMetrics ingestMetrics() {
        return new IngestMetrics();
    }

    @Bean
    MessageDecoder messageDecoder(MessageSettings settings) {
        return new MessageDecoder(settings);
    }

    @Bean(initMethod = "start", destroyMethod = "close")
    Ingestor ingestor(
            Connection nats,
            DataSource dataSource,
            IngestSettings settings,
            MessageDecoder decoder,
            IngestMetrics metrics) {
        return new Ingestor(nats, dataSource, settings, decoder, metrics);
    }

    @Bean
    Replays replays(DataSource dataSource, MessageDecoder decoder) {
        return new Replays(dataSource, decoder);
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
    IngestMeters ingestMeters(IngestMetrics metrics, MeterRegistry registry) {
        return new IngestMeters(metrics, registry);
    }

    /** The ingestion's figures for Prometheus. */
    static final class IngestMeters {
        private final IngestMetrics metrics;
        private final MeterRegistry registry;

        IngestMeters(IngestMetrics metrics, MeterRegistry registry) {
            this.metrics = metrics;
            this.registry = registry;
            count("countersink.ingest.messages", IngestSnapshot::messages);
            count("countersink.ingest.batches", IngestSnapshot::batches);
            count("countersink.ingest.dead.letters", IngestSnapshot::deadLetters);
            count("countersink.ingest.redelivered", IngestSnapshot::redelivered);
            gauge("countersink.ingest.backlog", IngestSnapshot::backlog);
            gauge("countersink.ingest.held", IngestSnapshot::held);
            gauge("countersink.ingest.commit.p99.seconds", s -> s.p99Millis() / 1000);
        }

        private void count(String name, ToDoubleFunction<IngestSnapshot> value) {
            FunctionCounter.builder(name, metrics, m -> value.applyAsDouble(m.snapshot()))
                    .register(registry);
        }

        private void gauge(String name, ToDoubleFunction<IngestSnapshot> value) {
            Gauge.builder(name, metrics, m -> value.applyAsDouble(m.snapshot())).register(registry);
        }
    }
}
