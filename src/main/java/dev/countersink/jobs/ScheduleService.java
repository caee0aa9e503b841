package dev.countersink.jobs;

import dev.countersink.db.TallyDb;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Component;

/** Changes schedules. This instance follows at once, the others within COUNTERSINK_REFRESH_FOLLOW. */
@Component
public class ScheduleService {
    private final TallyDb tally;
    private final MergeDispatcher dispatcher;

    ScheduleService(TallyDb tally, MergeDispatcher dispatcher) {
        this.tally = tally;
        this.dispatcher = dispatcher;
    }

    /**
     * Changes a derived view's schedule.
     *
     * @param changesJson an object with what is to change
     * @param expectedVersion the schedule's version as last read, null for whatever it is
     * @return the derived view after it, as a JSON object; empty if it has gone meanwhile
     */
    public Optional<String> change(String view, String changesJson, @Nullable Integer expectedVersion) {
        tally.schedule(view, changesJson, expectedVersion);
        dispatcher.schedulesChanged();
        return tally.view(view).stream().findFirst();
    }
}
