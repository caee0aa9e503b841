package dev.countersink.jobs;

import dev.countersink.db.ControlDb;
import dev.countersink.db.HeldRun;
import dev.countersink.db.SqlError;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.quartz.Scheduler;
import org.quartz.SchedulerException;
import org.springframework.stereotype.Component;

/** Carries out runs that somebody requested, and records what became of them. */
@Component
class RunExecutor {
    private static final String INTERNAL_ERROR = "XX000";

    private final ControlDb control;
    private final ViewActions actions;
    private final MeterRegistry meters;
    private final String instance;
    private final Set<HeldRun> atWork = ConcurrentHashMap.newKeySet();
    private volatile boolean stopping;

    RunExecutor(ControlDb control, ViewActions actions, Scheduler scheduler, MeterRegistry meters)
            throws SchedulerException {
        this.control = control;
        this.actions = actions;
        this.meters = meters;
        this.instance = scheduler.getSchedulerInstanceId();
    }

    /** Takes up the oldest run that nobody has taken up, or whose instance has died. */
    Optional<HeldRun> take() {
        return control.takeRun(instance, null);
    }

    /** Carries out one run, unless another thread has taken it up or it is done. */
    void carryOut(long run) {
        control.takeRun(instance, run).ifPresent(this::carryOut);
    }

    /** Carries out a run that was taken up, records what became of it, and gives it back. One that was cut off is left for another instance. */
    void carryOut(HeldRun run) {
        atWork.add(run);
        try (run) {
            perform(run);
        } finally {
            atWork.remove(run);
        }
    }

    /** Leaves a run that was taken up for another instance. */
    void giveBack(HeldRun run) {
        try (run) {
            control.requeueRun(run.task().run());
        }
    }

    private void perform(HeldRun run) {
        try {
            run.finish(actions.perform(run));
            count(run.task(), "done");
        } catch (RuntimeException e) {
            SqlError error = SqlError.in(e).orElseGet(() -> new SqlError(INTERNAL_ERROR, e.toString(), null));
            if (stopping) {
                control.requeueRun(run.task().run());
            } else if (!error.unreachable()) {
                control.failRun(run.task().run(), error.code(), error.message(), error.hint());
                count(run.task(), "failed");
            }
        }
    }

    private void count(ControlDb.Task task, String state) {
        Counter.builder("countersink.runs.finished")
                .description("runs that this instance has carried out")
                .tag("action", task.action())
                .tag("state", state)
                .register(meters)
                .increment();
    }

    /** Cancels the statements of the runs at work; another instance, or the next start, takes them up again. */
    void stop() {
        stopping = true;
        atWork.forEach(run -> control.cancelRun(run.task().run()));
    }
}
