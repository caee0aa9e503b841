package dev.countersink.monitor;

import dev.countersink.monitor.Finding.Level;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** The rules of ops/alerts.yaml, as the program itself applies them. A test compares the two. */
final class AlertRules {
    private static final Duration UNVERIFIED = Duration.ofDays(3);
    private static final double STALLED_SECONDS = 300;
    private static final double LATE_SECONDS = 10;
    private static final double SILENT_SECONDS = 60;
    private static final double WAITING_SECONDS = 600;
    private static final double UNTOLD_SECONDS = 600;

    private final MeterRegistry meters;

    AlertRules(MeterRegistry meters) {
        this.meters = meters;
    }

    /**
     * A kind of alert.
     *
     * @param hold for how many seconds it has to last before it fires
     * @param local whether an instance sees it of itself alone
     */
    enum Rule {
        VIEW_LATE(Level.BAD, 60, false, Findings.LATE_REMEDY),
        VIEW_FAILS(Level.BAD, 120, false, Findings.FAILS_REMEDY),
        KEYS_QUARANTINED(Level.WARN, 300, false, Findings.QUARANTINE_REMEDY),
        WRONG_ROWS(Level.BAD, 0, false, Findings.WRONG_REMEDY),
        NOT_VERIFIED(
                Level.WARN,
                0,
                false,
                "Verify it, and see COUNTERSINK_MAINTENANCE_CRON, which should do so every night."),
        UNHEALTHY(Level.BAD, 600, false, "GET /api/health has the findings; SELECT tally.heal() restores triggers."),
        DEAD_LETTERS(Level.WARN, 600, false, Findings.DEAD_LETTERS_REMEDY),
        BACKLOG_WITHOUT_PROGRESS(
                Level.BAD, 0, false, "GET /api/ingest says which job, and whether the database accepts batches."),
        TRIGGER_IN_ERROR(
                Level.BAD, 60, false, "Instances set it right by themselves: look at their logs for why they cannot."),
        TRIGGER_LATE(Level.BAD, 120, false, "No instance has a free thread, or none is alive: see Activity."),
        INSTANCE_SILENT(Level.WARN, 0, false, "It has died or hangs: look at its log, and start it again."),
        RUNS_WAIT(
                Level.WARN, 0, false, "All threads for runs are at work: GET /api/runs?state=running shows with what."),
        WEBHOOK_FAILS(
                Level.WARN,
                0,
                false,
                "Look at the receiver: the log says why it does not take alerts, and GET /api/alerts has them meanwhile."),
        NATS_AWAY(Level.BAD, 60, true, "No message arrives at this instance, and none is lost: look at nats-server."),
        POOL_EXHAUSTED(Level.WARN, 300, true, "Look at what holds the database up, or raise COUNTERSINK_DB_POOL_SIZE.");

        private final Level level;
        private final int hold;
        private final boolean local;
        private final String remedy;

        Rule(Level level, int hold, boolean local, String remedy) {
            this.level = level;
            this.hold = hold;
            this.local = local;
            this.remedy = remedy;
        }

        int hold() {
            return hold;
        }

        boolean local() {
            return local;
        }

        Level level() {
            return level;
        }

        /** As it is stored, and called in ops/alerts.yaml after "Countersink". */
        String title() {
            return Stream.of(name().split("_"))
                    .map(word -> word.charAt(0) + word.substring(1).toLowerCase(Locale.ROOT))
                    .collect(Collectors.joining());
        }
    }

    /**
     * Something that is wrong now.
     *
     * @param subject the view, trigger or instance; empty: none
     */
    record Alert(String rule, String subject, String level, String sentence, String remedy, int hold) {}

    private static Alert alert(Rule rule, String subject, String sentence) {
        return new Alert(rule.title(), subject, rule.level.toString(), sentence, rule.remedy, rule.hold);
    }

    /** What every instance sees: of views, triggers, instances, runs and messages. */
    List<Alert> shared(
            ViewBoard.Now now,
            List<? extends JsonNode> triggers,
            List<? extends JsonNode> instances,
            List<? extends JsonNode> runs) {
        List<Alert> all = new ArrayList<>();
        now.views().forEach(view -> addView(all, view, now.at()));
        addCount(all, Rule.UNHEALTHY, "countersink.problems", 0, "tally.health has %.0f findings");
        addCount(all, Rule.DEAD_LETTERS, "countersink.dead.letters", 0, "%.0f messages could not be applied");
        addCount(
                all,
                Rule.BACKLOG_WITHOUT_PROGRESS,
                "countersink.ingest.stalled.seconds",
                STALLED_SECONDS,
                "Messages of a job have waited %.0f s without any being finished");
        addCount(
                all,
                Rule.WEBHOOK_FAILS,
                "countersink.webhook.oldest.age",
                UNTOLD_SECONDS,
                "The webhook has not taken an alert for %.0f s");
        triggers.forEach(trigger -> addTrigger(all, trigger));
        instances.stream()
                .filter(instance -> instance.path("silent").asDouble(0) > SILENT_SECONDS)
                .forEach(instance -> all.add(alert(
                        Rule.INSTANCE_SILENT,
                        text(instance, "name"),
                        String.format(
                                Locale.ROOT,
                                "Instance %s has not checked in for %s",
                                text(instance, "name"),
                                Findings.shown(instance.path("silent").asDouble())))));
        runs.stream()
                .filter(run -> "queued".equals(text(run, "state"))
                        && run.path("oldest").asDouble(0) > WAITING_SECONDS)
                .forEach(run -> all.add(alert(
                        Rule.RUNS_WAIT,
                        "",
                        String.format(
                                Locale.ROOT,
                                "A requested run has waited for %s",
                                Findings.shown(run.path("oldest").asDouble())))));
        return all;
    }

    /** What an instance sees of itself. */
    List<Alert> local(String instance) {
        List<Alert> all = new ArrayList<>();
        @Nullable Double connected = gauge("countersink.nats.connected");
        if (connected != null && connected == 0) {
            all.add(alert(Rule.NATS_AWAY, instance, "Instance " + instance + " has no connection to NATS"));
        }
        @Nullable Double pending = gauge("hikaricp.connections.pending");
        if (pending != null && pending > 0) {
            all.add(alert(
                    Rule.POOL_EXHAUSTED,
                    instance,
                    String.format(
                            Locale.ROOT, "%.0f callers of instance %s wait for a connection", pending, instance)));
        }
        return all;
    }

    private static void addView(List<Alert> all, JsonNode view, Instant now) {
        String name = text(view, "name");
        if (!view.path("projection").isString()) {
            double lag = view.path("lag").asDouble(0);
            if (view.path("lag_limit").isNumber()
                    && lag > view.path("lag_limit").asDouble()) {
                all.add(alert(
                        Rule.VIEW_LATE,
                        name,
                        String.format(
                                Locale.ROOT,
                                "%s is %s behind; it should be at most %s",
                                name,
                                Findings.shown(lag),
                                Findings.shown(view.path("lag_limit").asDouble()))));
            }
            if (view.path("failures").asInt(0) > 0) {
                all.add(alert(Rule.VIEW_FAILS, name, Findings.cannotBeMerged(name, view)));
            }
            if (view.path("quarantined").asLong(0) > 0) {
                all.add(alert(
                        Rule.KEYS_QUARANTINED,
                        name,
                        String.format(
                                Locale.ROOT,
                                "%s keeps old rows of %d keys: %s",
                                name,
                                view.path("quarantined").asLong(),
                                text(view, "error"))));
            }
        }
        addVerified(all, name, view.path("verified"), now);
    }

    private static void addVerified(List<Alert> all, String name, JsonNode verified, Instant now) {
        if (!verified.isObject()) {
            return;
        }
        long wrong = verified.path("differences").asLong(0);
        if (wrong > 0 && !verified.path("repaired").asBoolean(false)) {
            all.add(alert(
                    Rule.WRONG_ROWS,
                    name,
                    String.format(Locale.ROOT, "%s had %d wrong rows when it was last verified", name, wrong)));
        }
        Instant finished = OffsetDateTime.parse(text(verified, "finished_at")).toInstant();
        if (Duration.between(finished, now).compareTo(UNVERIFIED) > 0) {
            all.add(alert(
                    Rule.NOT_VERIFIED,
                    name,
                    String.format(Locale.ROOT, "%s has not been verified since %s", name, finished)));
        }
    }

    private static void addTrigger(List<Alert> all, JsonNode trigger) {
        String name = text(trigger, "name");
        if ("error".equals(text(trigger, "state"))) {
            all.add(alert(
                    Rule.TRIGGER_IN_ERROR, name, "The trigger of " + name + " is in state ERROR, and fires no more"));
        }
        if (trigger.path("late").asDouble(0) > LATE_SECONDS) {
            all.add(alert(
                    Rule.TRIGGER_LATE,
                    name,
                    String.format(
                            Locale.ROOT,
                            "The trigger of %s should have fired %s ago",
                            name,
                            Findings.shown(trigger.path("late").asDouble()))));
        }
    }

    private void addCount(List<Alert> all, Rule rule, String gauge, double most, String sentence) {
        @Nullable Double value = gauge(gauge);
        if (value != null && value > most) {
            all.add(alert(rule, "", String.format(Locale.ROOT, sentence, value)));
        }
    }

    private @Nullable Double gauge(String name) {
        Gauge gauge = meters.find(name).gauge();
        double value = gauge == null ? Double.NaN : gauge.value();
        return Double.isNaN(value) ? null : value;
    }

    private static String text(JsonNode row, String field) {
        return row.path(field).asString("");
    }

    /** Titles of all rules. */
    static Set<String> titles() {
        return Stream.of(Rule.values()).map(Rule::title).collect(Collectors.toSet());
    }
}
