package dev.countersink.jobs;

import dev.countersink.db.ControlDb;
import java.util.List;
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
     * Who sends a request.
     *
     * @param who the name of the token
     * @param key the same request of his with the same key is only one; null for none
     */
    public record Sender(String who, @Nullable String key) {}

    /**
     * Has an action done on derived views, on all or none. The same request twice, before the first is begun, is one run.
     *
     * @param sample of verify: the share of the keys, null for all
     * @return the runs in the order of the views
     */
    public List<Long> request(List<String> views, String action, @Nullable Double sample, Sender sender) {
        List<Long> requested = control.requestRuns(views, action, sample, sender.who(), sender.key());
        dispatcher.requested();
        return requested;
    }

    /** Has a page of the dead letters that wait applied again. */
    public List<ControlDb.Replay> requestReplays(@Nullable String sqlstate, long after, int most, Sender sender) {
        List<ControlDb.Replay> replays = control.requestReplays(sqlstate, after, most, sender.who(), sender.key());
        dispatcher.requested();
        return replays;
    }

    /** Has a dead letter applied again; returns the run's id. */
    public long requestReplay(long deadLetter, Sender sender) {
        long run = control.requestReplay(deadLetter, sender.who(), sender.key());
        dispatcher.requested();
        return run;
    }
}
