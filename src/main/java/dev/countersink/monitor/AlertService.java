package dev.countersink.monitor;

import dev.countersink.db.ControlDb;
import dev.countersink.db.GuardDb;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.quartz.Scheduler;
import org.quartz.SchedulerException;
import org.springframework.stereotype.Component;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Notes in the database what is wrong, since when, and when it is over. What every instance sees is noted by one of them.
 * Nothing is written while nothing is wrong.
 */
@Component
class AlertService extends PeriodicTask {
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
    private boolean sharedNoted = true;
    private boolean localNoted = true;

    AlertService(
            ViewBoard board,
            ControlDb control,
            GuardDb guard,
            MeterRegistry meters,
            JsonMapper json,
            Scheduler scheduler)
            throws SchedulerException {
        super("alerts", PAUSE);
        this.board = board;
        this.control = control;
        this.guard = guard;
        this.rules = new AlertRules(meters);
        this.json = json;
        this.instance = scheduler.getSchedulerInstanceId();
    }

    @Override
    void run() {
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
