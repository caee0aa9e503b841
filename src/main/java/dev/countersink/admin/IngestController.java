package dev.countersink.admin;

import dev.countersink.db.ResultsReads;
import dev.countersink.ingest.IngestMetrics;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.NullNode;
import tools.jackson.databind.node.ObjectNode;

/** What the ingestion of this instance does: backlog by job, rate, latency, redeliveries. */
@RestController
class IngestController {
    private static final Logger LOG = LoggerFactory.getLogger(IngestController.class);
    private static final List<String> STATE = List.of("state", "total", "processed", "failed", "started_at");

    private final IngestMetrics metrics;
    private final ResultsReads results;
    private final Connections connections;
    private final JsonMapper json;

    IngestController(IngestMetrics metrics, ResultsReads results, Connections connections, JsonMapper json) {
        this.metrics = metrics;
        this.results = results;
        this.connections = connections;
        this.json = json;
    }

    @GetMapping("/api/ingest")
    ObjectNode ingest() {
        ObjectNode snapshot = json.valueToTree(metrics.snapshot());
        for (String name : snapshot.propertyNames().toArray(String[]::new)) {
            JsonNode value = snapshot.get(name);
            // A latency that was never measured is NaN, which JSON cannot express.
            if (value.isFloatingPointNumber() && Double.isNaN(value.doubleValue())) {
                snapshot.set(name, NullNode.getInstance());
            }
        }
        addStates(snapshot);
        snapshot.set("nats", json.valueToTree(connections.nats()));
        snapshot.set("database", json.valueToTree(connections.database()));
        return snapshot;
    }

    /** Adds what the database knows about the jobs that have messages, if it answers. */
    private void addStates(ObjectNode snapshot) {
        Map<Long, JsonNode> known = known(snapshot);
        for (JsonNode job : snapshot.path("jobs")) {
            JsonNode row = known.get(job.path("jobId").asLong(0));
            for (String field : STATE) {
                ((ObjectNode) job).set(field, row == null ? NullNode.getInstance() : row.path(field));
            }
        }
    }

    private Map<Long, JsonNode> known(ObjectNode snapshot) {
        List<Long> ids = new ArrayList<>();
        snapshot.path("jobs").forEach(job -> {
            if (job.path("jobId").isNumber()) {
                ids.add(job.path("jobId").asLong());
            }
        });
        Map<Long, JsonNode> known = new HashMap<>();
        try {
            for (String row : ids.isEmpty() ? List.<String>of() : results.jobs(ids)) {
                JsonNode job = json.readTree(row);
                known.put(job.path("id").asLong(), job);
            }
        } catch (DataAccessException e) {
            LOG.debug("The states of jobs cannot be read: {}", e.getMessage());
        }
        return known;
    }
}
