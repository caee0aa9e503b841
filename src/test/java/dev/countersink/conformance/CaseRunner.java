package dev.countersink.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.ingest.Rig;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Runs one case: it inserts the rows, then executes the steps in order, through a real NATS server and the real ingestion. */
final class CaseRunner implements AutoCloseable {
    private static final JsonMapper JSON = JsonMapper.builder().build();

    private final JsonNode document;
    private final Rig rig = new Rig();

    CaseRunner(Path file) {
        document = JSON.readTree(file);
    }

    void run() throws Exception {
        rig.keepSession();
        given();
        rig.ingest();
        List<JsonNode> steps = new ArrayList<>();
        document.get("steps").forEach(steps::add);
        int at = 0;
        while (at < steps.size()) {
            int end = at;
            // Consecutive counts are all read live before the first merge.
            while (end < steps.size() && steps.get(end).has("counts")) {
                end++;
            }
            if (end > at) {
                counts(steps.subList(at, end), at);
                at = end;
            } else {
                step(steps.get(at), "step " + (at + 1));
                at++;
            }
        }
    }

    private void given() {
        for (Map.Entry<String, JsonNode> table : document.get("given").properties()) {
            for (JsonNode row : table.getValue()) {
                String columns = row.properties().stream()
                        .map(field -> '"' + field.getKey() + '"')
                        .collect(Collectors.joining(", "));
                rig.execute(
                        "INSERT INTO results.%1$s (%2$s) SELECT %2$s FROM jsonb_populate_record(NULL::results.%1$s, %3$s)"
                                .formatted(table.getKey(), columns, literal(row.toString())));
            }
        }
        for (Map.Entry<String, JsonNode> table : document.get("given").properties()) {
            if (table.getValue().size() > 0 && table.getValue().get(0).has("id")) {
                rig.rows("SELECT setval(pg_get_serial_sequence('results.%1$s', 'id'), max(id)) FROM results.%1$s"
                        .formatted(table.getKey()));
            }
        }
    }

    private void step(JsonNode step, String name) throws Exception {
        if (step.has("publish")) {
            publish(step.get("publish"));
        } else if (step.has("run")) {
            rig.execute(step.get("run").asString());
        } else if (step.has("sql")) {
            rows(step, name);
        } else if (step.has("dead_letters")) {
            deadLetters(step, name);
        } else {
            throw new IllegalArgumentException(name + " is of no known kind: " + step);
        }
    }

    private void publish(JsonNode message) throws Exception {
        byte[] payload = message.has("raw")
                ? message.get("raw").asString().getBytes(StandardCharsets.UTF_8)
                : JSON.writeValueAsBytes(message.get("body"));
        rig.publish(message.get("subject").asString(), payload, null);
        rig.awaitFinished();
    }

    private void rows(JsonNode step, String name) {
        String sql = step.get("sql").asString();
        List<String> expected = new ArrayList<>();
        step.get("rows").forEach(row -> expected.add(Values.ofJson(row)));
        List<String> found = new ArrayList<>();
        rig.rows(sql).forEach(row -> found.add(Values.ofDatabase(row)));
        if (!sql.toUpperCase(Locale.ROOT).contains("ORDER BY")) {
            expected.sort(null);
            found.sort(null);
        }
        assertThat(found).as("%s: %s", name, sql).isEqualTo(expected);
    }

    private void deadLetters(JsonNode step, String name) {
        List<List<Object>> reasons = rig.rows("SELECT reason FROM results.dead_letter");
        assertThat(reasons)
                .as("%s: dead letters", name)
                .hasSize(step.get("dead_letters").asInt());
        if (step.has("reason_contains")) {
            String text = step.get("reason_contains").asString();
            assertThat(reasons)
                    .as("%s: one reason contains \"%s\"", name, text)
                    .anyMatch(row -> row.get(0).toString().contains(text));
        }
    }

    /** Reads live and oracle before anything is merged, then stored after merging. */
    private void counts(List<JsonNode> steps, int first) {
        for (int i = 0; i < steps.size(); i++) {
            count(steps.get(i), "_live", first + i + 1);
            count(steps.get(i), "_def", first + i + 1);
        }
        rig.refreshAll();
        for (int i = 0; i < steps.size(); i++) {
            count(steps.get(i), "", first + i + 1);
        }
    }

    private void count(JsonNode step, String suffix, int number) {
        String view = "results." + step.get("counts").asString() + suffix;
        List<String> columns = new ArrayList<>();
        List<String> expected = new ArrayList<>();
        for (Map.Entry<String, JsonNode> column : step.get("columns").properties()) {
            columns.add(column.getKey());
            expected.add(Values.ofJson(column.getValue()));
        }
        String where = step.get("key").properties().stream()
                .map(key -> key.getKey() + " = " + key.getValue())
                .collect(Collectors.joining(" AND "));
        String sql = "SELECT %s FROM %s WHERE %s".formatted(String.join(", ", columns), view, where);
        List<List<Object>> rows = rig.rows(sql);
        assertThat(rows).as("step %d: %s", number, sql).hasSize(1);
        assertThat(rows.get(0).stream().map(Values::ofDatabase).toList())
                .as("step %d: %s", number, sql)
                .isEqualTo(expected);
    }

    private static String literal(String text) {
        return "'" + text.replace("'", "''") + "'";
    }

    @Override
    public void close() {
        rig.close();
    }
}
