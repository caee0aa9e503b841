package dev.countersink.admin;

import dev.countersink.ingest.IngestMetrics;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.NullNode;
import tools.jackson.databind.node.ObjectNode;

/** What the ingestion of this instance does: backlog by job, rate, latency, redeliveries. */
@RestController
class IngestController {
    private final IngestMetrics metrics;
    private final JsonMapper json;

    IngestController(IngestMetrics metrics, JsonMapper json) {
        this.metrics = metrics;
        this.json = json;
    }

    @GetMapping("/api/ingest")
    ObjectNode ingest() {
        ObjectNode snapshot = json.valueToTree(metrics.snapshot());
        for (String name : snapshot.propertyNames().toArray(String[]::new)) {
            JsonNode value = snapshot.get(name);
            // A latency that was never measured is not a number, which JSON has no word for.
            if (value.isFloatingPointNumber() && Double.isNaN(value.doubleValue())) {
                snapshot.set(name, NullNode.getInstance());
            }
        }
        return snapshot;
    }
}
