package dev.countersink.monitor;

import dev.countersink.meters.Readings;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Metrics of every derived view. They are gone while the database cannot be asked, and {@code countersink.board.age} grows. */
final class ViewMetrics {
    private static final double MILLIS = 1000;

    private final Map<String, Readings> gauges = new LinkedHashMap<>();
    private volatile Instant readAt = Instant.now();
    private volatile double deadLetters = Double.NaN;
    private volatile double problems = Double.NaN;

    ViewMetrics(MeterRegistry registry) {
        add(registry, "countersink.view.lag", "how long the oldest change that is not merged has waited", "seconds");
        add(
                registry,
                "countersink.view.lag.limit",
                "above which lag the view is late; none if a cron merges it",
                "seconds");
        add(registry, "countersink.view.pending", "changes that are not merged yet", "changes");
        add(registry, "countersink.view.failures", "merges that have failed in a row", null);
        add(registry, "countersink.view.quarantined", "keys that cannot be evaluated and keep their old rows", "keys");
        add(registry, "countersink.view.merge.age", "time since the last merge that found something", "seconds");
        add(registry, "countersink.view.verify.age", "time since the last verification ended", "seconds");
        add(
                registry,
                "countersink.view.wrong",
                "rows that the last verification found wrong, unless repaired since",
                "rows");
        add(registry, "countersink.view.state", "1 for the state that the view is in", null);
        Gauge.builder("countersink.board.age", this, metrics -> age(metrics.readAt))
                .description("time since the state of the views could last be read")
                .baseUnit("seconds")
                .register(registry);
        Gauge.builder("countersink.dead.letters", this, metrics -> metrics.deadLetters)
                .description("messages in results.dead_letter that have not been replayed since they last failed")
                .register(registry);
        Gauge.builder("countersink.problems", this, metrics -> metrics.problems)
                .description("what tally.health finds wrong, besides quarantined keys")
                .register(registry);
    }

    private void add(MeterRegistry registry, String name, String description, @Nullable String unit) {
        gauges.put(name, new Readings(registry, name, description, unit));
    }

    /** Takes over what was read: views as {@link ViewBoard.Now} has them. */
    void read(List<? extends JsonNode> views, long letters) {
        readAt = Instant.now();
        deadLetters = letters;
        Map<String, Map<Tags, Double>> rows = new LinkedHashMap<>();
        gauges.keySet().forEach(name -> rows.put(name, new LinkedHashMap<>()));
        views.forEach(view -> addRows(view, rows));
        gauges.forEach((name, gauge) -> gauge.set(rows.getOrDefault(name, Map.of())));
    }

    private static void addRows(JsonNode view, Map<String, Map<Tags, Double>> rows) {
        Tags tags = Tags.of("view", view.path("name").asString());
        if (!view.path("projection").isString()) {
            add(rows, "countersink.view.lag", tags, number(view.path("lag")));
            add(rows, "countersink.view.lag.limit", tags, number(view.path("lag_limit")));
            add(rows, "countersink.view.pending", tags, number(view.path("pending")));
            add(rows, "countersink.view.failures", tags, number(view.path("failures")));
            add(rows, "countersink.view.quarantined", tags, number(view.path("quarantined")));
            add(rows, "countersink.view.merge.age", tags, age(view.path("last_merge_at")));
            add(
                    rows,
                    "countersink.view.state",
                    tags.and("state", view.path("state").asString("")),
                    1d);
        }
        JsonNode verified = view.path("verified");
        if (verified.isObject()) {
            add(rows, "countersink.view.verify.age", tags, age(verified.path("finished_at")));
            boolean repaired = verified.path("repaired").asBoolean(false);
            add(
                    rows,
                    "countersink.view.wrong",
                    tags,
                    repaired ? Double.valueOf(0) : number(verified.path("differences")));
        }
    }

    private static void add(Map<String, Map<Tags, Double>> rows, String name, Tags tags, @Nullable Double value) {
        Map<Tags, Double> of = rows.get(name);
        if (of != null && value != null) {
            of.put(tags, value);
        }
    }

    /** The database could not be asked: nothing old is shown as if it were new. */
    void unknown() {
        deadLetters = Double.NaN;
        gauges.values().forEach(gauge -> gauge.set(Map.of()));
    }

    void checked(int found) {
        problems = found;
    }

    private static @Nullable Double number(JsonNode value) {
        return value.isNumber() ? value.asDouble() : null;
    }

    private static @Nullable Double age(JsonNode time) {
        return time.isString() ? age(OffsetDateTime.parse(time.asString()).toInstant()) : null;
    }

    private static double age(Instant then) {
        return Duration.between(then, Instant.now()).toMillis() / MILLIS;
    }
}
