package dev.countersink.refresh;

import dev.countersink.db.TallyDb;
import java.util.List;
import java.util.Map;
import org.springframework.stereotype.Component;
import tools.jackson.databind.json.JsonMapper;

/** What can be asked of a derived view, and what it answers as JSON. */
@Component
class Actions {
    /** Of the rows that differ so many are kept with the run; all of them are counted. */
    private static final int SHOWN = 100;

    private final TallyDb tally;
    private final JsonMapper json;

    Actions(TallyDb tally, JsonMapper json) {
        this.tally = tally;
        this.json = json;
    }

    String perform(String action, String view) {
        return switch (action) {
            case "refresh" -> json.writeValueAsString(tally.refresh(view));
            case "verify" -> verify(view);
            case "repair" -> done(() -> tally.repair(view));
            case "rebuild" -> done(() -> tally.rebuild(view));
            case "pause" -> done(() -> tally.pause(view));
            case "resume" -> done(() -> tally.resume(view));
            default -> throw new IllegalArgumentException("A derived view has no action " + action + ".");
        };
    }

    private String verify(String view) {
        List<String> different = tally.verify(view);
        return json.writeValueAsString(Map.of(
                "agrees",
                different.isEmpty(),
                "differences",
                different.size(),
                "rows",
                different.stream().limit(SHOWN).map(json::readTree).toList()));
    }

    private static String done(Runnable action) {
        action.run();
        return "{}";
    }
}
