package dev.countersink.monitor;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.MultiGauge;
import io.micrometer.core.instrument.Tags;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** Metrics of the scheduler and of requested runs, as the database knows them. They are gone while it cannot be asked. */
final class SchedulerMetrics {
    /** A trigger fires within a second; Quartz itself calls 5 s a misfire. */
    private static final double LATE_SECONDS = 10;

    private final MultiGauge checkIn;
    private final MultiGauge runs;
    private final MultiGauge oldest;
    private volatile double triggers = Double.NaN;
    private volatile double late = Double.NaN;
    private volatile double inError = Double.NaN;

    SchedulerMetrics(MeterRegistry registry) {
        checkIn = MultiGauge.builder("countersink.scheduler.checkin.age")
                .description("time since an instance last told the others that it lives")
                .baseUnit("seconds")
                .register(registry);
        runs = MultiGauge.builder("countersink.runs")
                .description("requested runs that wait or are at work")
                .register(registry);
        oldest = MultiGauge.builder("countersink.runs.oldest.age")
                .description("how long the oldest run that waits, or is at work, has done so")
                .baseUnit("seconds")
                .register(registry);
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
        checkIn.register(rows(instances, "name", "silent"), true);
        runs.register(rows(unfinished, "state", "runs"), true);
        oldest.register(rows(unfinished, "state", "oldest"), true);
    }

    private static double count(List<? extends JsonNode> found) {
        return found.size();
    }

    private static List<MultiGauge.Row<?>> rows(List<? extends JsonNode> found, String tag, String value) {
        return found.stream()
                .<MultiGauge.Row<?>>map(row -> MultiGauge.Row.of(
                        Tags.of(tag, row.path(tag).asString("")),
                        row.path(value).asDouble(0)))
                .toList();
    }

    /** The database could not be asked. */
    void unknown() {
        triggers = Double.NaN;
        late = Double.NaN;
        inError = Double.NaN;
        List.of(checkIn, runs, oldest).forEach(gauge -> gauge.register(List.of(), true));
    }
}
