package dev.countersink.jobs;

import dev.countersink.config.RefreshSettings;
import dev.countersink.db.DueView;
import dev.countersink.db.Hurry;
import dev.countersink.db.SqlError;
import dev.countersink.db.TallyDb;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.springframework.context.SmartLifecycle;
import org.springframework.scheduling.concurrent.CustomizableThreadFactory;
import org.springframework.stereotype.Component;

/**
 * Merges every view that is due by its interval and has something pending. Every instance does so, without a word to the
 * others: a view that another instance is merging answers "busy" at once, and when an instance dies the others go on.
 *
 * <p>One thread asks, with one question for all views that are due ({@code tally.ready}), and {@link Cadence} makes many due
 * at once; so views at which nothing happens cost next to nothing. Threads of a pool merge.
 */
@Component
class MergeDispatcher implements SmartLifecycle {
    /** After the web server: an instance whose port is taken shall not begin to work. */
    static final int PHASE = Integer.MAX_VALUE - 512;

    private static final String NAME = "merges";
    private static final String QUESTION = "the question what is pending";
    private static final Duration AFTER_ERROR = Duration.ofSeconds(1);
    /** Between two questions at least, but for short intervals. */
    private static final Duration SHORTEST = Duration.ofMillis(50);
    /** Between two looks at a definition at most; sooner where the catalog has changed. */
    private static final Duration DEFINITIONS = Duration.ofSeconds(5);

    private static final Duration CATALOG = Duration.ofSeconds(1);
    private static final Duration PATIENCE = Duration.ofSeconds(1);

    private final TallyDb tally;
    private final JobSynchronizer synchronizer;
    private final ViewMerger merger;
    private final RefreshSettings settings;
    private final RetryBackoff backoff;

    private final Map<String, Turn> turns = new LinkedHashMap<>();
    private volatile ThreadPoolExecutor pool;
    private Thread thread;
    private volatile boolean running;
    private boolean reload;
    private boolean woken;
    private long reloadAt;
    private long catalogAt;
    private long catalog;

    MergeDispatcher(
            TallyDb tally,
            JobSynchronizer synchronizer,
            ViewMerger merger,
            RefreshSettings settings,
            RetryBackoff backoff) {
        this.tally = tally;
        this.synchronizer = synchronizer;
        this.merger = merger;
        this.settings = settings;
        this.backoff = backoff;
    }

    /** When a view is asked about next; guarded by this dispatcher. */
    private static final class Turn {
        private Duration interval;
        private long dueAt;
        private long definitionAt;
        private boolean merging;

        Turn(Duration interval, long dueAt) {
            this.interval = interval;
            this.dueAt = dueAt;
        }
    }

    @Override
    public synchronized void start() {
        pool = new ThreadPoolExecutor(
                settings.threads(),
                settings.threads(),
                0,
                TimeUnit.SECONDS,
                new LinkedBlockingQueue<>(),
                new CustomizableThreadFactory("merge-"));
        running = true;
        reload = true;
        thread = new Thread(this::run, NAME);
        thread.start();
    }

    /** Ends between two steps of the merges at work; those that take longer are cut off with their connections. */
    @Override
    public void stop() {
        synchronized (this) {
            running = false;
            wake();
        }
        pool.shutdown();
        try {
            thread.join(PATIENCE.toMillis());
            pool.awaitTermination(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    @Override
    public int getPhase() {
        return PHASE;
    }

    /** How many of the threads merge a view. */
    int busy() {
        return pool == null ? 0 : pool.getActiveCount();
    }

    /** How many views have something to merge and wait for a thread. */
    int waiting() {
        return pool == null ? 0 : pool.getQueue().size();
    }

    /** Has the schedules read anew at once. */
    synchronized void schedulesChanged() {
        reload = true;
        wake();
    }

    private synchronized void wake() {
        woken = true;
        notifyAll();
    }

    private void run() {
        while (running) {
            Duration pause;
            Hurry hurry = Hurry.ofTask();
            try {
                pause = ask();
                backoff.succeeded(NAME);
            } catch (RuntimeException e) {
                backoff.reported(NAME, QuartzJobs.message(e));
                pause = AFTER_ERROR;
            } finally {
                hurry.end();
            }
            await(pause);
        }
    }

    private synchronized void await(Duration pause) {
        long end = System.nanoTime() + pause.toNanos();
        try {
            for (long left = pause.toNanos(); running && !woken && left > 0; left = end - System.nanoTime()) {
                TimeUnit.NANOSECONDS.timedWait(this, left);
            }
            woken = false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            running = false;
        }
    }

    /** Asks for all that is due, and returns how long nothing else is. */
    private Duration ask() {
        long now = System.nanoTime();
        loadSchedules(now);
        List<String> due = due(now);
        if (!due.isEmpty()) {
            List<String> ready = ready(due, now);
            // In the order of the schedules: what another view reads is merged before it.
            due.stream().filter(ready::contains).forEach(this::submit);
        }
        return untilDue();
    }

    /** Those for which a merge would find something to do; all of them if the question itself fails, for one may be to blame. */
    private List<String> ready(List<String> due, long now) {
        try {
            List<String> toLookAt = toLookAt(due, now);
            List<String> others = new ArrayList<>(due);
            others.removeAll(toLookAt);
            List<String> ready = new ArrayList<>(toLookAt.isEmpty() ? List.of() : tally.ready(toLookAt, true));
            ready.addAll(others.isEmpty() ? List.of() : tally.ready(others, false));
            backoff.succeeded(QUESTION);
            return ready;
        } catch (RuntimeException e) {
            if (SqlError.in(e).filter(SqlError::ofStatement).isEmpty()) {
                throw e;
            }
            backoff.reported(QUESTION, QuartzJobs.message(e));
            return due;
        }
    }

    private void loadSchedules(long now) {
        synchronized (this) {
            if (!reload && now < reloadAt) {
                return;
            }
            reload = false;
        }
        List<DueView> views = tally.due();
        synchronizer.synchronize(views);
        synchronized (this) {
            Map<String, Turn> before = new LinkedHashMap<>(turns);
            turns.clear();
            for (DueView view : views) {
                if (view.cron() == null) {
                    Duration interval = interval(view);
                    Turn turn = before.computeIfAbsent(view.name(), name -> new Turn(interval, now));
                    if (!interval.equals(turn.interval)) {
                        turn.interval = interval;
                        turn.dueAt = now;
                    }
                    turns.put(view.name(), turn);
                }
            }
            reloadAt = now + settings.follow().toNanos();
        }
    }

    private Duration interval(DueView view) {
        return view.intervalMs() == null ? settings.interval() : Duration.ofMillis(view.intervalMs());
    }

    private synchronized List<String> due(long now) {
        List<String> due = new ArrayList<>();
        turns.forEach((name, turn) -> {
            if (!turn.merging && turn.dueAt <= now) {
                due.add(name);
                turn.dueAt = Cadence.next(now, turn.interval);
            }
        });
        return due;
    }

    /** Those whose definition may have changed since it was last looked at. */
    private List<String> toLookAt(List<String> due, long now) {
        if (now >= catalogAt) {
            catalogAt = now + CATALOG.toNanos();
            long changes = tally.catalogChanges();
            if (changes != catalog) {
                catalog = changes;
                synchronized (this) {
                    turns.values().forEach(turn -> turn.definitionAt = now);
                }
            }
        }
        synchronized (this) {
            List<String> names =
                    due.stream().filter(name -> turn(name).definitionAt <= now).toList();
            names.forEach(name -> turn(name).definitionAt = now + DEFINITIONS.toNanos());
            return names;
        }
    }

    /** The turn of a view that is due. It has one, because only the thread that asks replaces the turns. */
    private Turn turn(String view) {
        return Objects.requireNonNull(turns.get(view), view);
    }

    private synchronized void submit(String view) {
        if (running) {
            turn(view).merging = true;
            pool.execute(() -> merge(view));
        }
    }

    private void merge(String view) {
        boolean more = false;
        try {
            more = merger.merge(view, () -> !running);
        } finally {
            merged(view, more);
        }
    }

    private synchronized void merged(String view, boolean more) {
        Turn turn = turns.get(view);
        if (turn != null) {
            turn.merging = false;
            turn.dueAt = more ? System.nanoTime() : turn.dueAt;
            wake(); // the thread that asks did not count this view when it went to sleep
        }
    }

    private synchronized Duration untilDue() {
        long now = System.nanoTime();
        long next = turns.values().stream()
                .filter(turn -> !turn.merging)
                .mapToLong(turn -> turn.dueAt - now)
                .min()
                .orElse(Long.MAX_VALUE);
        // A view with a short interval is not asked about a large part of it too late.
        long shortest = turns.values().stream()
                .mapToLong(turn -> turn.interval.toNanos() / 4)
                .min()
                .orElse(Long.MAX_VALUE);
        return Duration.ofNanos(Math.max(Math.min(SHORTEST.toNanos(), shortest), Math.min(next, reloadAt - now)));
    }
}
