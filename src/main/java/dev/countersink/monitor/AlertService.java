package dev.countersink.monitor;

import dev.countersink.db.ControlDb;
import dev.countersink.db.GuardDb;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.quartz.Scheduler;
import org.quartz.SchedulerException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;
import org.springframework.scheduling.concurrent.CustomizableThreadFactory;
import org.springframework.stereotype.Component;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Notes in the database what is wrong, since when, and when it is over. What every instance sees is noted by one of them.
 * Nothing is written while nothing is wrong.
 */
@Component
class AlertService implements SmartLifecycle {
    private static final Logger LOG = LoggerFactory.getLogger(AlertService.class);
    private static final Duration PAUSE = Duration.ofSeconds(5);
    /** What was read longer ago is no news. */
    private static final Duration OLDEST = Duration.ofMinutes(1);

    private static final String SHARED = "";

    private final ViewBoard board;
    private final ControlDb control;
    private final GuardDb guard;
    private final AlertRules rules;
    private final JsonMapper json;
    private final String instance;
    private final ScheduledExecutorService looker =
            Executors.newSingleThreadScheduledExecutor(new CustomizableThreadFactory("alerts-"));
    private boolean sharedNoted = true;
    private boolean localNoted = true;
    private volatile boolean running;

    AlertService(
            ViewBoard board,
            ControlDb control,
            GuardDb guard,
            MeterRegistry meters,
            JsonMapper json,
            Scheduler scheduler)
            throws SchedulerException {
        this.board = board;
        this.control = control;
        this.guard = guard;
        this.rules = new AlertRules(meters);
        this.json = json;
        this.instance = scheduler.getSchedulerInstanceId();
    }

    @Override
    public void start() {
        running = true;
        looker.scheduleWithFixedDelay(this::tryLook, PAUSE.toMillis(), PAUSE.toMillis(), TimeUnit.MILLISECONDS);
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

    private void tryLook() {
        try {
            look();
        } catch (RuntimeException e) {
            // An outage of the database is logged by the merges, once.
            LOG.debug("Alerts cannot be noted: {}", e.getMessage());
        }
    }

    private void look() {
        localNoted = note(instance, rules.local(instance), localNoted);
        ViewBoard.Now now = board.latest();
        if (Duration.between(now.at(), Instant.now()).compareTo(OLDEST) > 0) {
            return;
        }
        if (guard.leads(instance)) {
            List<AlertRules.Alert> shared = rules.shared(
                    now, read(control.triggers()), read(control.instances()), read(control.unfinishedRuns()));
            sharedNoted = note(SHARED, shared, sharedNoted);
        } else {
            sharedNoted = true; // whoever led before may have left something
        }
    }

    /** Nothing is written if there is nothing, and was nothing. Returns whether there is something. */
    private boolean note(String source, List<AlertRules.Alert> alerts, boolean before) {
        if (before || !alerts.isEmpty()) {
            guard.noteAlerts(source, json.writeValueAsString(alerts));
        }
        return !alerts.isEmpty();
    }

    private List<JsonNode> read(List<String> rows) {
        return rows.stream().map(json::readTree).toList();
    }
}
