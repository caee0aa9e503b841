package dev.countersink.jobs;

import dev.countersink.db.ControlDb;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/** Takes requests for runs. A request that is recorded is not forgotten: some instance takes it up. */
@Component
public class RunService {
    private final ControlDb control;
    private final RunDispatcher dispatcher;

    RunService(ControlDb control, RunDispatcher dispatcher) {
        this.control = control;
        this.dispatcher = dispatcher;
    }

    /**
     * Has an action done on a derived view. The same request twice, before the first is begun, is one run.
     *
     * @param sample of verify: the share of the keys, null for all
     * @return the run's id
     */
    public long request(String view, String action, @Nullable Double sample) {
        long run = control.requestRun(view, action, sample);
        dispatcher.requested();
        return run;
    }

    /** Has a dead letter applied again; returns the run's id. */
    public long requestReplay(long deadLetter) {
        long run = control.requestReplay(deadLetter);
        dispatcher.requested();
        return run;
    }
}
