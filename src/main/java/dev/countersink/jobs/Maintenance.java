package dev.countersink.jobs;

import dev.countersink.config.MaintenanceSettings;
import dev.countersink.db.AccessDb;
import dev.countersink.db.ControlDb;
import dev.countersink.db.DueView;
import dev.countersink.db.GuardDb;
import dev.countersink.db.TallyDb;
import java.util.function.BooleanSupplier;
import org.springframework.stereotype.Component;

/**
 * Once a night, on one instance of the cluster: forgets old runs, acts and alerts, and verifies each derived view by a sample of its keys, one
 * after the other. Each verification is a run like one that was asked for.
 */
@Component
class Maintenance {
    static final String NAME = "maintenance";

    private final ControlDb control;
    private final AccessDb access;
    private final GuardDb guard;
    private final TallyDb tally;
    private final RunExecutor runs;
    private final MaintenanceSettings settings;
    private final RetryBackoff backoff;

    Maintenance(
            ControlDb control,
            AccessDb access,
            GuardDb guard,
            TallyDb tally,
            RunExecutor runs,
            MaintenanceSettings settings,
            RetryBackoff backoff) {
        this.control = control;
        this.access = access;
        this.guard = guard;
        this.tally = tally;
        this.runs = runs;
        this.settings = settings;
        this.backoff = backoff;
    }

    void run(BooleanSupplier stopping) {
        try {
            control.forgetRuns(settings.keepRuns());
            access.forgetActs(settings.keepAudit());
            guard.forgetAlerts(settings.keepRuns());
            if (settings.verifySample() > 0) {
                for (DueView view : tally.due()) {
                    if (stopping.getAsBoolean()) {
                        return;
                    }
                    runs.carryOut(control.requestRun(view.name(), "verify", settings.verifySample()));
                }
            }
            backoff.succeeded(NAME);
        } catch (RuntimeException e) {
            backoff.reported(NAME, QuartzJobs.message(e));
        }
    }
}
