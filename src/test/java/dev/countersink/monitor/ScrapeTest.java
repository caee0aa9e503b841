package dev.countersink.monitor;

import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Whoever scrapes while metrics are read sees each once, with its newest value. */
class ScrapeTest {
    private static final int READS = 3_000;

    @Test
    void aScrapeMeetsNoReadingTwice() {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        SchedulerMetrics scheduler = new SchedulerMetrics(registry);
        ViewMetrics views = new ViewMetrics(registry);
        AtomicBoolean over = new AtomicBoolean();
        CompletableFuture<Void> reading = CompletableFuture.runAsync(() -> {
            for (int n = 1; n <= READS; n++) {
                scheduler.read(List.of(), rows("{\"name\":\"one\",\"silent\":%d}".formatted(n)), List.of());
                views.read(rows("{\"name\":\"a.v\",\"lag\":%d,\"state\":\"active\"}".formatted(n)), 0);
            }
            over.set(true);
        });
        while (!over.get() && !reading.isCompletedExceptionally()) {
            assertThat(registry.scrape()).contains("countersink_board_age_seconds");
        }
        reading.join();
        assertThat(registry.scrape())
                .contains("countersink_scheduler_checkin_age_seconds{name=\"one\"} " + (double) READS)
                .contains("countersink_view_lag_seconds{view=\"a.v\"} " + (double) READS);
        views.read(List.of(), 0);
        assertThat(registry.scrape()).doesNotContain("a.v");
    }

    private static List<JsonNode> rows(String row) {
        return List.of(JsonMapper.shared().readTree(row));
    }
}
