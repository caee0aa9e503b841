package dev.countersink.monitor;

import dev.countersink.meters.Readings;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;

/** Metrics of the scheduler and of requested runs, as the database knows them. They are gone while it cannot be asked. */
final class SchedulerMetrics {
    /** A trigger fires within a second; Quartz itself calls 5 s a misfire. */
    private static final double LATE_SECONDS = 10;

    private final Readings checkIn;
    private final Readings runs;
    private final Readings oldest;
    private volatile double triggers = Double.NaN;
    private volatile double late = Double.NaN;
    private volatile double inError = Double.NaN;

    SchedulerMetrics(MeterRegistry registry) {
        checkIn = new Readings(
                registry,
                "countersink.scheduler.checkin.age",
                "time since an instance last told the others that it lives",
                "seconds");
        runs = new Readings(registry, "countersink.runs", "requested runs that wait or are at work", null);
        oldest = new Readings(
                registry,
                "countersink.runs.oldest.age",
                "how long the oldest run that waits, or is at work, has done so",
                "seconds");
        Gauge.builder("countersink.scheduler.triggers", this, metrics -> metrics.triggers)
                .description("triggers that fire by the clock")
                .register(registry);
        Gauge.builder("countersink.scheduler.triggers.late", this, metrics -> metrics.late)
                .description("triggers that should have fired more than 10 s ago")
                .register(registry);
        Gauge.builder("countersink.scheduler.triggers.error", this, metrics -> metrics.inError)
                .description("triggers in state ERROR, which fire no more until they are set right")
                .register(registry);
    }

    /** Takes over what was read: rows of control.triggers, control.instances and control.unfinished_runs. */
    void read(List<? extends JsonNode> fired, List<? extends JsonNode> instances, List<? extends JsonNode> unfinished) {
        triggers = fired.size();
        late = count(fired.stream()
                .filter(trigger -> trigger.path("late").asDouble(0) > LATE_SECONDS)
                .toList());
        inError = count(fired.stream()
                .filter(trigger -> "error".equals(trigger.path("state").asString("")))
                .toList());
        checkIn.set(rows(instances, "name", "silent"));
        runs.set(rows(unfinished, "state", "runs"));
        oldest.set(rows(unfinished, "state", "oldest"));
    }

    private static double count(List<? extends JsonNode> found) {
        return found.size();
    }

    private static Map<Tags, Double> rows(List<? extends JsonNode> found, String tag, String value) {
        Map<Tags, Double> rows = new LinkedHashMap<>();
        found.forEach(row -> rows.put(
                Tags.of(tag, row.path(tag).asString("")), row.path(value).asDouble(0)));
        return rows;
    }

    /** The database could not be asked. */
    void unknown() {
        triggers = Double.NaN;
        late = Double.NaN;
        inError = Double.NaN;
        List.of(checkIn, runs, oldest).forEach(gauge -> gauge.set(Map.of()));
    }
}
