package dev.countersink.jobs;

import dev.countersink.db.ControlDb;
import dev.countersink.db.HeldRun;
import dev.countersink.db.TallyDb;
import dev.countersink.ingest.db.Replays;
import java.sql.SQLException;
import java.util.Map;
import java.util.Objects;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.stereotype.Component;
import tools.jackson.databind.json.JsonMapper;

/** The actions on a derived view or a dead letter, and their results as JSON. */
@Component
class ViewActions {
    /** A run stores at most this many of the rows that differ, but counts all of them. */
    private static final int SHOWN = 100;

    private static final Logger LOG = LoggerFactory.getLogger(ViewActions.class);

    private final Replays replays;
    private final JsonMapper json;

    ViewActions(Replays replays, JsonMapper json) {
        this.replays = replays;
        this.json = json;
    }

    String perform(HeldRun run) {
        ControlDb.Task task = run.task();
        TallyDb tally = run.tally();
        return switch (task.action()) {
            case "refresh" -> json.writeValueAsString(tally.refresh(view(task)));
            case "verify" -> verify(tally, view(task), task.sample() == null ? 1 : task.sample());
            case "repair" -> done(() -> tally.repair(view(task)));
            case "rebuild" -> done(() -> tally.rebuild(view(task)));
            case "pause" -> done(() -> tally.pause(view(task)));
            case "resume" -> done(() -> tally.resume(view(task)));
            case "replay" -> replay(Objects.requireNonNull(task.deadLetter(), "dead letter"));
            default -> throw new IllegalArgumentException("There is no action " + task.action() + ".");
        };
    }

    /** The view of a run. Only a replay has none. */
    private static String view(ControlDb.Task task) {
        return Objects.requireNonNull(task.view(), "view");
    }

    private String verify(TallyDb tally, String view, double sample) {
        TallyDb.Differences different = tally.verify(view, sample, SHOWN);
        if (different.count() > 0) {
            LOG.warn(
                    "{} differs from its oracle: {} rows, the first {}",
                    view,
                    different.count(),
                    different.first().get(0));
        }
        return json.writeValueAsString(Map.of(
                "agrees",
                different.count() == 0,
                "differences",
                different.count(),
                "rows",
                different.first().stream().map(json::readTree).toList()));
    }

    /** If the message is rejected again, the run fails with the new reason of the dead letter. */
    private String replay(long deadLetter) {
        try {
            Replays.Rejection rejection = replays.replay(deadLetter).orElse(null);
            if (rejection != null) {
                throw new SQLException(rejection.reason(), rejection.sqlState());
            }
            return "{}";
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String done(Runnable action) {
        action.run();
        return "{}";
    }
}
