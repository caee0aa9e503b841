package dev.countersink.monitor;

import dev.countersink.config.RefreshSettings;
import dev.countersink.db.ControlDb;
import dev.countersink.db.GuardDb;
import dev.countersink.db.Hurry;
import dev.countersink.db.ResultsReads;
import dev.countersink.db.TallyDb;
import dev.countersink.monitor.Finding.Level;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiFunction;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;
import org.springframework.dao.TransientDataAccessResourceException;
import org.springframework.scheduling.concurrent.CustomizableThreadFactory;
import org.springframework.stereotype.Component;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * All derived views at a glance. The database is asked once a second at most, however many look, and four times a minute if
 * nobody does, for the last hour's curves.
 */
@Component
public class ViewBoard implements SmartLifecycle {
    private static final Logger LOG = LoggerFactory.getLogger(ViewBoard.class);
    private static final Duration FRESH = Duration.ofSeconds(1);
    /** Between two looks at what costs more and changes less: the health of triggers. */
    private static final Duration CHECKS = Duration.ofMinutes(1);
    /** The same while nobody looks, for the metrics. */
    private static final Duration IDLE_CHECKS = Duration.ofMinutes(5);

    private static final String QUERY_CANCELED = "57014";
    private static final Duration PATIENCE = Duration.ofSeconds(2);
    private static final String SILENT = "The database has not said for 2 s how the views are.";

    private static final int MOST_ALERTS = 1000;
    private static final int SMALL_PICTURE = 30;
    private static final int STATE_LINE_SECONDS = 60;
    private static final double SECONDS_PER_MINUTE = 60;
    private static final double MILLIS = 1000;
    private static final double NANOS = 1e9;

    private final TallyDb tally;
    private final ControlDb control;
    private final GuardDb guard;
    private final ResultsReads results;
    private final RefreshSettings settings;
    private final MeterRegistry meters;
    private final JsonMapper json;

    private final ViewMetrics metrics;
    private final SchedulerMetrics schedulerMetrics;
    private final StateLine stateLine;
    /** Of whoever asks the database. What it has said before is shown to others meanwhile. */
    private final ReentrantLock reading = new ReentrantLock();

    private final Map<String, Merges> merges = new HashMap<>();
    private Map<String, Long> changedBefore = new HashMap<>();
    private @Nullable Instant sampledAt;
    private Instant failedAt = Instant.EPOCH;
    private @Nullable RuntimeException failure;

    /** Guarded by itself, and nobody asks the database meanwhile. */
    private final History history = new History();

    private volatile Known known = Known.NOTHING;
    private volatile List<ObjectNode> problems = List.of();
    private volatile Instant checkedAt = Instant.EPOCH;
    private final ScheduledExecutorService sampler =
            Executors.newSingleThreadScheduledExecutor(new CustomizableThreadFactory("board-"));
    private volatile boolean running;

    ViewBoard(
            TallyDb tally,
            ControlDb control,
            GuardDb guard,
            ResultsReads results,
            RefreshSettings settings,
            MeterRegistry meters,
            JsonMapper json) {
        this.tally = tally;
        this.control = control;
        this.guard = guard;
        this.results = results;
        this.settings = settings;
        this.meters = meters;
        this.json = json;
        this.metrics = new ViewMetrics(meters);
        this.schedulerMetrics = new SchedulerMetrics(meters);
        this.stateLine = new StateLine(meters);
    }

    private record Merges(long count, double millis) {}

    /** What the database has said. Nobody changes its rows. */
    private record Known(
            Instant readAt,
            List<ObjectNode> views,
            List<ObjectNode> verified,
            List<ObjectNode> triggers,
            List<ObjectNode> firing,
            Chains chains,
            long deadLetters) {
        static final Known NOTHING =
                new Known(Instant.EPOCH, List.of(), List.of(), List.of(), List.of(), new Chains(Set.of(), Map.of()), 0);
    }

    /**
     * Which derived views read which others.
     *
     * @param of the views and their states, with which they change
     */
    private record Chains(Set<String> of, Map<String, List<String>> readBy) {}

    /**
     * What an operator sees first.
     *
     * @param level the worst of all findings
     * @param sentence the worst finding, or that all is well
     * @param at when the database said so
     * @param findings the worst first
     * @param views rows of tally.status, each with a level, the limit of its lag and what its last verification found
     */
    public record Now(Level level, String sentence, Instant at, List<Finding> findings, List<ObjectNode> views) {}

    /** The state of all views, at most a second old. */
    public Now now() {
        takeTurn();
        try {
            refresh();
        } finally {
            reading.unlock();
        }
        return latest();
    }

    /** The state as it was last read, for whoever can wait: it is read four times a minute at least. */
    Now latest() {
        Known latest = known;
        Findings findings = new Findings(settings.interval());
        Map<String, ObjectNode> triggersOf = latest.triggers().stream()
                .collect(Collectors.toMap(ViewBoard::viewOf, trigger -> trigger, (first, other) -> first));
        Map<String, ObjectNode> byName = new LinkedHashMap<>();
        for (ObjectNode row : latest.views()) {
            ObjectNode view = row.deepCopy();
            view.put("level", findings.addView(view).toString());
            view.put("lag_limit", findings.limitSeconds(view));
            addWork(view, triggersOf, latest.chains().readBy());
            byName.put(view.path("name").asString(), view);
        }
        latest.verified().forEach(found -> {
            findings.addVerified(found);
            ObjectNode view = byName.get(found.path("view").asString());
            if (view != null) {
                view.set("verified", found.deepCopy());
            }
        });
        problems.forEach(findings::addProblem);
        findings.addDeadLetters(latest.deadLetters());
        latest.firing().forEach(alert -> findings.addAlert(alert, byName.keySet()));
        List<Finding> sorted = findings.sorted();
        for (Finding finding : sorted) {
            if (finding.view() != null) {
                raise(byName.get(finding.view()), finding.level());
            }
        }
        List<ObjectNode> shown = new ArrayList<>(byName.values());
        return new Now(
                sorted.isEmpty() ? Level.OK : sorted.get(0).level(),
                sorted.isEmpty() ? allWell(shown) : sorted.get(0).sentence(),
                latest.readAt(),
                sorted,
                shown);
    }

    /** When it is merged, how many of its rows change, and which other derived views it reads. */
    private void addWork(ObjectNode view, Map<String, ObjectNode> triggersOf, Map<String, List<String>> readBy) {
        String name = view.path("name").asString();
        if (!view.path("projection").isString()) {
            ObjectNode trigger = triggersOf.get(name);
            view.set("trigger", trigger == null ? null : trigger.deepCopy());
            if (!view.path("cron").isString()) {
                view.put(
                        "every_ms",
                        view.path("interval_ms").asLong(settings.interval().toMillis()));
            }
            synchronized (history) {
                view.put("rows_per_minute", history.latestRowsPerMinute(name));
            }
        }
        ArrayNode reads = view.putArray("reads");
        readBy.getOrDefault(name, List.of()).forEach(reads::add);
    }

    private static void raise(@Nullable ObjectNode view, Level level) {
        if (view != null
                && level.compareTo(Level.valueOf(view.path("level").asString().toUpperCase(Locale.ROOT))) > 0) {
            view.put("level", level.toString());
        }
    }

    private static String allWell(List<ObjectNode> views) {
        if (views.isEmpty()) {
            return "There are no derived views yet";
        }
        return Findings.oldestChange(views)
                .map(oldest -> String.format(Locale.ROOT, "All %d views are fresh; %s", views.size(), oldest))
                .orElseGet(() ->
                        String.format(Locale.ROOT, "All %d views are fresh, and nothing is pending", views.size()));
    }

    /**
     * What was at work at a moment.
     *
     * @param merges of this instance, in the quarter of a minute before the moment
     * @param runs rows of control.run, of the same time
     */
    public record Moment(Instant at, List<Merged> merges, List<ObjectNode> runs) {}

    /**
     * Merges of a view.
     *
     * @param mergeMs how long a step took on average
     * @param lag of the view then, in seconds
     */
    public record Merged(String view, long mergeMs, double lag, long pending) {}

    /** What was at work at a moment of the last hour. */
    public Moment at(Instant time) {
        Map<String, History.Sample> samples;
        synchronized (history) {
            samples = history.at(time.getEpochSecond() + time.getNano() / NANOS);
        }
        List<Merged> merged = new ArrayList<>();
        samples.forEach((view, sample) -> {
            if (!Double.isNaN(sample.mergeMillis())) {
                merged.add(
                        new Merged(view, Math.round(sample.mergeMillis()), sample.lag(), Math.round(sample.pending())));
            }
        });
        return new Moment(time, merged, objects(control.runsAt(time)));
    }

    /** What tally.health finds wrong. */
    public List<ObjectNode> problems() {
        return objects(control.problems());
    }

    /** Small pictures of all views: the highest lag of every two minutes. */
    public Map<String, List<@Nullable Double>> lags() {
        return pictures(history::lags);
    }

    /** The same of the time that a step of a merge took on average, in milliseconds. */
    public Map<String, List<@Nullable Double>> mergeTimes() {
        return pictures(history::mergeMillis);
    }

    private Map<String, List<@Nullable Double>> pictures(BiFunction<String, Integer, List<@Nullable Double>> values) {
        Map<String, List<@Nullable Double>> pictures = new LinkedHashMap<>();
        List<ObjectNode> views = known.views();
        synchronized (history) {
            views.forEach(view -> {
                String name = view.path("name").asString();
                pictures.put(name, values.apply(name, SMALL_PICTURE));
            });
        }
        return pictures;
    }

    /** The last hour of a view: when, and its curves. */
    public Map<String, List<? extends @Nullable Object>> history(String view) {
        Map<String, List<? extends @Nullable Object>> curves = new LinkedHashMap<>();
        synchronized (history) {
            curves.put("times", history.times());
            curves.putAll(history.of(view));
        }
        return curves;
    }

    /** Who comes while another waits for a database that does not answer is told so, and holds no thread. */
    private void takeTurn() {
        try {
            if (!reading.tryLock(PATIENCE.toMillis(), TimeUnit.MILLISECONDS)) {
                throw new TransientDataAccessResourceException(SILENT, new SQLException(SILENT, QUERY_CANCELED));
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** What fails is not tried again for a second: who waits for the same answer need not wait one after the other. */
    private void refresh() {
        Instant now = Instant.now();
        if (failure != null && isFresh(failedAt, now, FRESH)) {
            throw failure;
        }
        try {
            if (!isFresh(known.readAt(), now, FRESH)) {
                read(now);
            }
            checkUnlessYounger(now, CHECKS);
            failure = null;
        } catch (RuntimeException e) {
            failure = e;
            failedAt = Instant.now();
            throw e;
        }
    }

    private void checkUnlessYounger(Instant now, Duration age) {
        if (running && !isFresh(checkedAt, now, age)) {
            checkedAt = now;
            sampler.execute(this::check);
        }
    }

    private static boolean isFresh(Instant then, Instant now, Duration age) {
        return Duration.between(then, now).compareTo(age) < 0;
    }

    private void read(Instant now) {
        List<ObjectNode> views = objects(tally.views());
        List<ObjectNode> verified = objects(control.lastVerified(
                views.stream().map(view -> view.path("name").asString()).toList()));
        List<ObjectNode> triggers = objects(control.triggers());
        Chains chains = chains(views);
        long deadLetters = results.deadLetterCount();
        List<ObjectNode> firing = objects(guard.alerts(null, MOST_ALERTS, "firing"));
        known = new Known(now, views, verified, triggers, firing, chains, deadLetters);
    }

    private Chains chains(List<ObjectNode> views) {
        Set<String> names = views.stream()
                .map(view ->
                        view.path("name").asString() + ' ' + view.path("state").asString(""))
                .collect(Collectors.toSet());
        Chains before = known.chains();
        if (names.equals(before.of())) { // they change only with the views themselves
            return before;
        }
        return new Chains(
                names,
                objects(control.chains()).stream()
                        .collect(Collectors.groupingBy(
                                ViewBoard::viewOf,
                                Collectors.mapping(chain -> chain.path("reads").asString(), Collectors.toList()))));
    }

    private static String viewOf(ObjectNode row) {
        return row.path("view").asString("");
    }

    /** Takes up to a second with hundreds of views, so nobody waits for it. */
    private void check() {
        Hurry hurry = Hurry.ofTask();
        try {
            List<ObjectNode> wrong = problems();
            problems = wrong;
            metrics.checked(wrong.size());
        } catch (RuntimeException e) {
            LOG.debug("The health of the views cannot be read: {}", e.getMessage());
            checkedAt = Instant.EPOCH;
        } finally {
            hurry.end();
        }
    }

    private List<ObjectNode> objects(List<String> rows) {
        return rows.stream().map(row -> (ObjectNode) json.readTree(row)).toList();
    }

    @Override
    public void start() {
        running = true;
        sampler.scheduleWithFixedDelay(this::sample, 1, History.SECONDS, TimeUnit.SECONDS);
        sampler.scheduleWithFixedDelay(this::writeStateLine, STATE_LINE_SECONDS, STATE_LINE_SECONDS, TimeUnit.SECONDS);
    }

    @Override
    public void stop() {
        running = false;
        sampler.shutdownNow();
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    /** Reads the state, and adds it to the history. */
    void sample() {
        reading.lock();
        Hurry hurry = Hurry.ofTask();
        try {
            sampleInTurn();
        } finally {
            hurry.end();
            reading.unlock();
        }
    }

    /** From what was last read: nobody is asked for it. */
    private void writeStateLine() {
        stateLine.write(latest());
    }

    private void sampleInTurn() {
        Instant now = Instant.now();
        Map<String, History.Sample> samples = new HashMap<>();
        try {
            read(now);
            double minutes = sampledAt == null
                    ? Double.NaN
                    : Duration.between(sampledAt, now).toMillis() / 1000d / SECONDS_PER_MINUTE;
            Map<String, Long> changedNow = new HashMap<>();
            for (ObjectNode view : known.views()) {
                String name = view.path("name").asString();
                long changed = view.path("rows_changed").asLong(0);
                Long before = changedBefore.get(name);
                changedNow.put(name, changed);
                samples.put(
                        name,
                        new History.Sample(
                                view.path("lag").asDouble(0),
                                view.path("pending").asDouble(0),
                                mergeMillis(name),
                                before == null ? Double.NaN : Math.max(0, changed - before) / minutes));
            }
            changedBefore = changedNow;
            sampledAt = now;
            Set<String> names = Set.copyOf(samples.keySet());
            synchronized (history) {
                history.retain(names);
            }
            merges.keySet().retainAll(names);
            metrics.read(latest().views(), known.deadLetters());
            schedulerMetrics.read(known.triggers(), objects(control.instances()), objects(control.unfinishedRuns()));
            checkUnlessYounger(now, IDLE_CHECKS);
        } catch (RuntimeException e) {
            // The merges log an outage, once; here it is a gap in the curves.
            metrics.unknown();
            schedulerMetrics.unknown();
            LOG.debug("The state of the views cannot be read: {}", e.getMessage());
        }
        synchronized (history) {
            history.add(now.toEpochMilli() / 1000d, samples);
        }
    }

    /** How long this instance's merges since the last sample took on average, NaN if there was none. */
    private double mergeMillis(String view) {
        Timer timer = meters.find("countersink.merge").tag("view", view).timer();
        if (timer == null) {
            return Double.NaN;
        }
        Merges now = new Merges(timer.count(), timer.totalTime(TimeUnit.MILLISECONDS));
        Merges before = merges.put(view, now);
        long count = now.count() - (before == null ? 0 : before.count());
        return count == 0 ? Double.NaN : (now.millis() - (before == null ? 0 : before.millis())) / count;
    }
}
