package dev.countersink.monitor;

import dev.countersink.config.WatchdogSettings;
import dev.countersink.db.GuardDb;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.stereotype.Component;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Cancels statements of some roles that run for too long, and says which. Off unless roles are named. */
@Component
class Watchdog extends PeriodicTask {
    private static final Logger LOG = LoggerFactory.getLogger(Watchdog.class);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(5);
    /** A limit is kept within so large a part of it. */
    private static final int PART = 4;

    private final WatchdogSettings settings;
    private final GuardDb guard;
    private final MeterRegistry meters;
    private final JsonMapper json;
    private final Set<String> refused = new HashSet<>();
    private boolean checked;

    Watchdog(WatchdogSettings settings, GuardDb guard, MeterRegistry meters, JsonMapper json) {
        super("watchdog", pause(settings.limit()));
        this.settings = settings;
        this.guard = guard;
        this.meters = meters;
        this.json = json;
        settings.roles().forEach(this::counter);
    }

    private Counter counter(String role) {
        return Counter.builder("countersink.watchdog.cancelled")
                .description("statements that the watchdog of this instance has cancelled")
                .tag("role", role)
                .register(meters);
    }

    private static Duration pause(Duration limit) {
        return Duration.ofMillis(Math.min(LONGEST_PAUSE.toMillis(), limit.toMillis() / PART));
    }

    @Override
    boolean isWanted() {
        return settings.enabled();
    }

    @Override
    void run() {
        if (!checked) {
            guard.watchdogLacks(settings.roles()).forEach(problem -> LOG.warn("The watchdog: {}", problem));
            checked = true;
        }
        guard.cancelLongStatements(settings.roles(), settings.limit()).stream()
                .map(json::readTree)
                .forEach(this::tell);
    }

    private void tell(JsonNode statement) {
        String role = statement.path("role").asString();
        if (statement.path("cancelled").asBoolean()) {
            counter(role).increment();
            LOG.warn(
                    "The watchdog has cancelled a statement of {} (session {}, {}), which had run for {}: {}",
                    role,
                    statement.path("pid").asInt(),
                    statement.path("program").asString(""),
                    Findings.shown(statement.path("seconds").asDouble()),
                    statement.path("statement").asString(""));
        } else if (refused.add(role)) {
            guard.watchdogLacks(List.of(role)).forEach(problem -> LOG.warn("The watchdog: {}", problem));
        }
    }
}
