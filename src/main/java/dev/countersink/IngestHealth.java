package dev.countersink;

import dev.countersink.ingest.IngestMetrics;
import dev.countersink.ingest.IngestSnapshot;
import java.time.Duration;
import java.util.List;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;

/** Down while messages wait in the stream and none is finished. It reports the reason. */
final class IngestHealth implements HealthIndicator {
    private final IngestMetrics metrics;
    private final Duration stalledAfter;

    IngestHealth(IngestMetrics metrics, Duration stalledAfter) {
        this.metrics = metrics;
        this.stalledAfter = stalledAfter;
    }

    @Override
    public Health health() {
        IngestSnapshot now = metrics.snapshot();
        List<String> stalled = now.jobs().stream()
                .filter(job -> job.stalledSeconds() >= stalledAfter.toSeconds())
                .map(IngestSnapshot.Job::subject)
                .toList();
        boolean up = now.blocked() == null && now.problem() == null && stalled.isEmpty();
        Health.Builder health = up ? Health.up() : Health.down();
        health.withDetail("backlog", now.backlog());
        if (now.blocked() != null) {
            health.withDetail("database", now.blocked());
        }
        if (now.problem() != null) {
            health.withDetail("stream", now.problem());
        }
        if (!stalled.isEmpty()) {
            health.withDetail("stalled", stalled);
        }
        return health.build();
    }
}
