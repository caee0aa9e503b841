package dev.countersink.monitor;

import dev.countersink.config.WatchdogSettings;
import dev.countersink.db.GuardDb;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;
import org.springframework.scheduling.concurrent.CustomizableThreadFactory;
import org.springframework.stereotype.Component;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Cancels statements of some roles that run for too long, and says which. Off unless roles are named. */
@Component
class Watchdog implements SmartLifecycle {
    private static final Logger LOG = LoggerFactory.getLogger(Watchdog.class);
    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(5);
    /** A limit is kept within so large a part of it. */
    private static final int PART = 4;

    private final WatchdogSettings settings;
    private final GuardDb guard;
    private final MeterRegistry meters;
    private final JsonMapper json;
    private final Set<String> refused = new HashSet<>();
    private final ScheduledExecutorService looker =
            Executors.newSingleThreadScheduledExecutor(new CustomizableThreadFactory("watchdog-"));
    private volatile boolean running;

    Watchdog(WatchdogSettings settings, GuardDb guard, MeterRegistry meters, JsonMapper json) {
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

    @Override
    public void start() {
        running = true;
        if (settings.enabled()) {
            long pause = Math.min(LONGEST_PAUSE.toMillis(), settings.limit().toMillis() / PART);
            looker.scheduleWithFixedDelay(this::look, pause, pause, TimeUnit.MILLISECONDS);
        }
    }

    @Override
    public void stop() {
        running = false;
        looker.shutdownNow();
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    private void look() {
        try {
            guard.cancelLongStatements(settings.roles(), settings.limit()).stream()
                    .map(json::readTree)
                    .forEach(this::tell);
        } catch (RuntimeException e) {
            LOG.debug("Long statements cannot be looked for: {}", e.getMessage());
        }
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
            LOG.warn(
                    "The watchdog may not cancel statements of {}: GRANT pg_signal_backend to the program's role",
                    role);
        }
    }
}
