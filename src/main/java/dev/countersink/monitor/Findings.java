package dev.countersink.monitor;

import static dev.countersink.monitor.Finding.Level.BAD;
import static dev.countersink.monitor.Finding.Level.OK;
import static dev.countersink.monitor.Finding.Level.WARN;

import dev.countersink.monitor.AlertRules.Rule;
import dev.countersink.monitor.Finding.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** What is wrong with derived views, the worst first; from what the database says of them. */
final class Findings {
    /** A view without a target is late after so many of its intervals. */
    private static final int INTERVALS = 10;

    private static final double SHORTEST_LIMIT_SECONDS = 10;
    private static final double MILLIS = 1000;

    static final String LATE_REMEDY = "See which merges are running and what they wait for; Refresh merges it at once.";
    static final String FAILS_REMEDY = "Correct the cause; it is tried again by itself, and Refresh tries at once.";
    static final String QUARANTINE_REMEDY =
            "Correct the rows that these keys are made of; they are tried again by themselves.";
    static final String WRONG_REMEDY = "Repair it, then verify it, and look for what wrote to it.";
    static final String DEAD_LETTERS_REMEDY = "See Ingestion: correct the cause, then replay or discard them.";

    /** Alerts that are found here without them, and sooner. */
    private static final Set<String> FOUND = Stream.of(
                    Rule.VIEW_LATE,
                    Rule.VIEW_FAILS,
                    Rule.KEYS_QUARANTINED,
                    Rule.WRONG_ROWS,
                    Rule.UNHEALTHY,
                    Rule.DEAD_LETTERS)
            .map(Rule::title)
            .collect(Collectors.toSet());

    private final Duration interval;
    private final List<Finding> all = new ArrayList<>();

    /** @param interval of views that have none of their own */
    Findings(Duration interval) {
        this.interval = interval;
    }

    /** The worst first; those of one level in the order in which they were added. */
    List<Finding> sorted() {
        return all.stream()
                .sorted(Comparator.comparing(Finding::level).reversed())
                .toList();
    }

    /**
     * What a row of tally.status shows.
     *
     * @return the level of this view
     */
    Level addView(JsonNode view) {
        int before = all.size();
        String name = view.path("name").asString();
        if (view.path("projection").isString()) { // a rollup is merged with its projection, which has the same trouble
            return OK;
        }
        addErrors(name, view);
        addState(name, view);
        addLag(name, view);
        return all.subList(before, all.size()).stream()
                .map(Finding::level)
                .max(Comparator.naturalOrder())
                .orElse(OK);
    }

    private void addErrors(String name, JsonNode view) {
        long quarantined = view.path("quarantined").asLong(0);
        String error = view.path("error").isString() ? view.path("error").asString() : "";
        if (view.path("failures").asInt(0) > 0 || !error.isEmpty() && quarantined == 0) {
            add(BAD, name, cannotBeMerged(name, view), FAILS_REMEDY);
        } else if (quarantined > 0) {
            add(
                    BAD,
                    name,
                    String.format(
                            Locale.ROOT,
                            "%s keeps old rows of %d %s: %s",
                            name,
                            quarantined,
                            quarantined == 1 ? "key" : "keys",
                            error),
                    QUARANTINE_REMEDY);
        }
    }

    static String cannotBeMerged(String name, JsonNode view) {
        return String.format(
                Locale.ROOT,
                "%s cannot be merged: %s (%s)",
                name,
                view.path("error").asString(""),
                view.path("error_sqlstate").asString(""));
    }

    private void addState(String name, JsonNode view) {
        switch (view.path("state").asString("")) {
            case "paused" ->
                add(
                        WARN,
                        name,
                        String.format(
                                Locale.ROOT,
                                "%s is paused, with %d pending",
                                name,
                                view.path("pending").asLong(0)),
                        "Resume it when whatever it was paused for is done.");
            case "defined" ->
                add(
                        WARN,
                        name,
                        name + " is declared, but not active",
                        "SELECT tally.activate(…) with its name, in SQL.");
            case "filling" -> addFilling(name, view);
            default -> {}
        }
    }

    /** One that is refreshed by a cron is filled when that fires: nothing is wrong meanwhile. */
    private void addFilling(String name, JsonNode view) {
        if (!view.path("cron").isString()) {
            String share = view.path("progress").isNumber()
                    ? String.format(
                            Locale.ROOT, ": %.0f %%", view.path("progress").asDouble() * 100)
                    : "";
            add(WARN, name, name + " is being filled" + share, "Wait: it goes on by itself.");
        }
    }

    private void addLag(String name, JsonNode view) {
        double lag = view.path("lag").asDouble(0);
        @Nullable Double limit = limitSeconds(view);
        if (limit != null && lag > limit && "active".equals(view.path("state").asString(""))) {
            add(
                    BAD,
                    name,
                    String.format(
                            Locale.ROOT,
                            "%s is %s behind, with %d pending; it should be at most %s",
                            name,
                            shown(lag),
                            view.path("pending").asLong(0),
                            shown(limit)),
                    LATE_REMEDY);
        }
    }

    /** Above which lag a view is late; null for one that is merged by the clock. */
    @Nullable
    Double limitSeconds(JsonNode view) {
        if (view.path("cron").isString()) {
            return null;
        }
        if (view.path("target_lag_ms").isNumber()) {
            return view.path("target_lag_ms").asDouble() / MILLIS;
        }
        double every = view.path("interval_ms").isNumber()
                ? view.path("interval_ms").asDouble() / MILLIS
                : interval.toMillis() / MILLIS;
        return Math.max(SHORTEST_LIMIT_SECONDS, INTERVALS * every);
    }

    /** What a row of control.problems shows. */
    void addProblem(JsonNode problem) {
        @Nullable
        String view = problem.path("view").isString() ? problem.path("view").asString() : null;
        String place = problem.path("relation").isString()
                ? " (" + problem.path("relation").asString() + ")"
                : "";
        add(
                BAD,
                view,
                (view == null ? "" : view + place + ": ")
                        + problem.path("problem").asString(),
                "SELECT tally.heal() restores triggers; docs/tally.md, health, has the others.");
    }

    /** What a row of control.last_verified shows. */
    void addVerified(JsonNode verified) {
        long differences = verified.path("differences").asLong(0);
        if (differences > 0) {
            String name = verified.path("view").asString();
            boolean repaired = verified.path("repaired").asBoolean(false);
            add(
                    repaired ? WARN : BAD,
                    name,
                    String.format(
                            Locale.ROOT,
                            repaired
                                    ? "%s had %d wrong %s; it was repaired, and has not been verified since"
                                    : "%s has %d wrong %s, its last verification found",
                            name,
                            differences,
                            differences == 1 ? "row" : "rows"),
                    repaired ? "Verify it." : WRONG_REMEDY);
        }
    }

    void addDeadLetters(long count) {
        if (count > 0) {
            add(
                    WARN,
                    null,
                    String.format(
                            Locale.ROOT,
                            count == 1 ? "%d message could not be applied" : "%d messages could not be applied",
                            count),
                    DEAD_LETTERS_REMEDY);
        }
    }

    /**
     * What an alert that is firing says, unless it is found without it.
     *
     * @param views the names of those that there are
     */
    void addAlert(JsonNode alert, Set<String> views) {
        if (!FOUND.contains(alert.path("rule").asString(""))) {
            String subject = alert.path("subject").asString("");
            add(
                    Level.valueOf(alert.path("level").asString().toUpperCase(Locale.ROOT)),
                    views.contains(subject) ? subject : null,
                    alert.path("sentence").asString(),
                    alert.path("remedy").asString());
        }
    }

    private void add(Level level, @Nullable String view, String sentence, String remedy) {
        all.add(new Finding(level, view, sentence, remedy));
    }

    /** How long the oldest of all pending changes has waited, and in which view; nothing if none is pending. */
    static Optional<String> oldestChange(List<? extends JsonNode> views) {
        return views.stream()
                .filter(view -> view.path("lag").asDouble(0) > 0)
                .max(Comparator.comparingDouble(view -> view.path("lag").asDouble(0)))
                .map(view -> String.format(
                        Locale.ROOT,
                        "the oldest change has waited %s, in %s",
                        shown(view.path("lag").asDouble(0)),
                        view.path("name").asString()));
    }

    /** A number of seconds for people. */
    static String shown(double seconds) {
        if (seconds < 1) {
            return String.format(Locale.ROOT, "%.0f ms", seconds * MILLIS);
        }
        if (seconds < 120) {
            return String.format(Locale.ROOT, "%.1f s", seconds);
        }
        return seconds < 7200
                ? String.format(Locale.ROOT, "%.0f min", seconds / 60)
                : String.format(Locale.ROOT, "%.1f h", seconds / 3600);
    }
}
