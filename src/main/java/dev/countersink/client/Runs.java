package dev.countersink.client;

import java.util.Locale;
import java.util.Set;
import tools.jackson.databind.JsonNode;

/** Waits for runs that were requested. */
final class Runs {
    private static final long PAUSE_MILLIS = 300;
    private static final Set<String> OVER = Set.of("done", "failed");

    private Runs() {}

    /** The run once it is over. */
    static JsonNode await(ApiClient api, long run) {
        while (true) {
            JsonNode found = api.get("/api/runs/" + run);
            if (OVER.contains(found.path("state").asString(""))) {
                return found;
            }
            try {
                Thread.sleep(PAUSE_MILLIS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new ClientException(
                        ClientException.NO_ANSWER,
                        String.format(Locale.ROOT, "Run %d goes on, but nobody waits for it any more.", run),
                        null);
            }
        }
    }

    /** 0, unless it has failed, or a verification has found differences. */
    static int status(JsonNode run) {
        return hasFailed(run) || !agrees(run) ? ClientException.REFUSED : 0;
    }

    /** What has become of a run. */
    static String sentence(JsonNode run) {
        return String.format(
                Locale.ROOT,
                "%s of %s (run %d): %s",
                Table.text(run.path("action")),
                run.path("view").isString()
                        ? Table.text(run.path("view"))
                        : "dead letter " + Table.text(run.path("dead_letter")),
                run.path("id").asLong(),
                outcome(run, run.path("result")));
    }

    private static String outcome(JsonNode run, JsonNode result) {
        if (hasFailed(run)) {
            return Table.text(run.path("error"));
        }
        if (result.has("agrees")) {
            return agrees(run)
                    ? "equal to its definition"
                    : String.format(
                            Locale.ROOT,
                            "%d rows differ from its definition",
                            result.path("differences").asLong());
        }
        return result.has("outcome")
                ? String.format(
                        Locale.ROOT,
                        "%s, %d keys, %d rows changed",
                        Table.text(result.path("outcome")),
                        result.path("keys").asLong(0),
                        result.path("changed").asLong(0))
                : Table.text(run.path("state"));
    }

    private static boolean hasFailed(JsonNode run) {
        return "failed".equals(run.path("state").asString(""));
    }

    private static boolean agrees(JsonNode run) {
        return run.path("result").path("agrees").asBoolean(true);
    }
}
