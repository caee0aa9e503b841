package dev.countersink.db;

import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Optional;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;

/** Calls the functions of schema {@code control}. Rows that are only passed on are JSON text. */
@Component
public class ControlDb {
    /** A definition that takes longer is no answer for somebody who waits. */
    private static final int LONGEST_SECONDS = 20;
    /** PostgreSQL writes a definition out only when nobody holds its tables exclusively. */
    private static final int QUICK_SECONDS = 3;

    private final DataSource dataSource;
    private final JdbcClient jdbc;
    private final JdbcClient limited;
    private final JdbcClient quick;

    public ControlDb(DataSource dataSource) {
        this.dataSource = dataSource;
        this.jdbc = JdbcClient.create(dataSource);
        this.limited = limited(dataSource, LONGEST_SECONDS);
        this.quick = limited(dataSource, QUICK_SECONDS);
    }

    private static JdbcClient limited(DataSource dataSource, int seconds) {
        JdbcTemplate template = new JdbcTemplate(dataSource);
        template.setQueryTimeout(seconds);
        return JdbcClient.create(template);
    }

    /**
     * The work of a run.
     *
     * @param run its id
     * @param action replay, or an action on a derived view
     * @param view its name, null for a replay
     * @param deadLetter its id, null otherwise
     * @param sample for verify: the share of the keys, null for all
     */
    public record Task(
            long run,
            String action,
            @Nullable String view,
            @Nullable Long deadLetter,
            @Nullable Double sample) {}

    public long requestRun(String view, String action, @Nullable Double sample) {
        return jdbc.sql("SELECT r FROM control.request_run(?, ?, ?::float8) r")
                .param(view)
                .param(action)
                .param(sample)
                .query(Long.class)
                .single();
    }

    /**
     * Requests an action on several derived views, all or none.
     *
     * @param who the name of the token
     * @param key the same request of his with the same key is only one; null for none
     * @return the runs in the order of the views
     */
    public List<Long> requestRuns(
            List<String> views, String action, @Nullable Double sample, String who, @Nullable String key) {
        return jdbc.sql("SELECT r FROM unnest(control.request_runs(?::text[], ?, ?::float8, ?, ?)) WITH ORDINALITY"
                        + " u(r, n) ORDER BY n")
                .param(views.toArray(String[]::new))
                .param(action)
                .param(sample)
                .param(who)
                .param(key)
                .query(Long.class)
                .list();
    }

    /** As {@link #requestRuns}, that a dead letter is applied again. */
    public long requestReplay(long deadLetter, String who, @Nullable String key) {
        return jdbc.sql("SELECT r FROM control.request_replay_once(?, ?, ?) r")
                .param(deadLetter)
                .param(who)
                .param(key)
                .query(Long.class)
                .single();
    }

    /** A dead letter that is to be applied again, and the run that does it. */
    public record Replay(long run, long deadLetter) {}

    /**
     * As {@link #requestRuns}, that the dead letters that wait are applied again, a page of them.
     *
     * @param sqlstate only those that have failed with it, null for all
     */
    public List<Replay> requestReplays(
            @Nullable String sqlstate, long after, int most, String who, @Nullable String key) {
        return jdbc.sql("SELECT run, dead_letter FROM control.request_replays(?, ?, ?, ?, ?)")
                .param(sqlstate)
                .param(after)
                .param(most)
                .param(who)
                .param(key)
                .query(Replay.class)
                .list();
    }

    /**
     * Takes up a run, on a connection of its own that keeps it from others.
     *
     * @param run its id, null for the oldest that can be taken up
     * @return nothing if there is none, or if it is finished or taken up by another
     */
    public Optional<HeldRun> takeRun(String instance, @Nullable Long run) {
        return HeldRun.take(dataSource, instance, run);
    }

    /** Gives a run back that was cut off, to be taken up again. */
    public void requeueRun(long run) {
        jdbc.sql("SELECT FROM control.requeue_run(?)").param(run).query(row -> {});
    }

    /** Ends a run: one that waits at once, one at work by cancelling its statement. Returns whether there was something to end. */
    public boolean cancelRun(long run) {
        return jdbc.sql("SELECT control.cancel_run(?)")
                .param(run)
                .query(Boolean.class)
                .single();
    }

    public void failRun(long run, String code, String error, @Nullable String hint) {
        jdbc.sql("SELECT FROM control.fail_run(?, ?, ?, ?)")
                .param(run)
                .param(code)
                .param(error)
                .param(hint)
                .query(row -> {});
    }

    /** Deletes the runs that were requested longer ago; returns how many. */
    public long forgetRuns(Duration olderThan) {
        return jdbc.sql("SELECT r FROM control.forget_runs(make_interval(secs => ?)) r")
                .param((double) olderThan.toSeconds())
                .query(Long.class)
                .single();
    }

    /** One run as a JSON object, or nothing. */
    public Optional<String> run(long run) {
        return jdbc.sql("SELECT to_jsonb(r) FROM control.run_of(?) r")
                .param(run)
                .query(String.class)
                .optional();
    }

    /**
     * A page of runs, the newest first, each as a JSON object.
     *
     * @param view only its runs, null for all
     * @param state queued, running, done or failed, null for all
     * @param since requested then or later, null for any time
     * @param until requested before, null for any time
     */
    public List<String> runs(
            @Nullable Long after,
            int limit,
            @Nullable String view,
            @Nullable String state,
            @Nullable String since,
            @Nullable String until) {
        return jdbc.sql("SELECT to_jsonb(r) FROM control.runs(?, ?, ?, ?, ?::timestamptz, ?::timestamptz) r")
                .param(after)
                .param(limit)
                .param(view)
                .param(state)
                .param(since)
                .param(until)
                .query(String.class)
                .list();
    }

    /**
     * A page of derived views in the order of their names, each as a JSON object.
     *
     * @param after the last name of the previous page, null for the first page
     */
    public List<String> views(@Nullable String after, int limit) {
        return jdbc.sql("SELECT v FROM control.views(?, ?) v")
                .param(after)
                .param(limit)
                .query(String.class)
                .list();
    }

    /** What the last verification of some derived views found, each as a JSON object. */
    public List<String> lastVerified(List<String> views) {
        return jdbc.sql("SELECT to_jsonb(v) FROM control.last_verified(?::text[]) v")
                .param(views.toArray(String[]::new))
                .query(String.class)
                .list();
    }

    /** What tally.health finds wrong, each as a JSON object. */
    public List<String> problems() {
        return limited.sql("SELECT to_jsonb(p) FROM control.problems() p")
                .query(String.class)
                .list();
    }

    /** What the scheduler fires by the clock, each as a JSON object. */
    public List<String> triggers() {
        return jdbc.sql("SELECT to_jsonb(t) FROM control.triggers() t")
                .query(String.class)
                .list();
    }

    /** The instances of the program, each as a JSON object. */
    public List<String> instances() {
        return jdbc.sql("SELECT to_jsonb(i) FROM control.instances() i")
                .query(String.class)
                .list();
    }

    /** How many requested runs wait, and how many are at work, each as a JSON object. */
    public List<String> unfinishedRuns() {
        return jdbc.sql("SELECT to_jsonb(r) FROM control.unfinished_runs() r")
                .query(String.class)
                .list();
    }

    /** The merges that are running, each as a JSON object. */
    public List<String> merging() {
        return jdbc.sql("SELECT to_jsonb(m) FROM control.merging() m")
                .query(String.class)
                .list();
    }

    /** How large the delta tables are, the largest first, each as a JSON object. */
    public List<String> deltas(int limit) {
        return jdbc.sql("SELECT to_jsonb(d) FROM control.deltas(?) d")
                .param(limit)
                .query(String.class)
                .list();
    }

    /**
     * The statements that took longest on average, each as a JSON object; none where pg_stat_statements is not installed.
     *
     * @param texts whether those of other roles are shown
     */
    public List<String> slowStatements(int limit, boolean texts) {
        return jdbc.sql("SELECT to_jsonb(s) FROM control.slow_statements(?, ?) s")
                .params(limit, texts)
                .query(String.class)
                .list();
    }

    /** The last verifications of a derived view, and since when none has found a difference, each as a JSON object. */
    public List<String> trust(String view, int limit) {
        return jdbc.sql("SELECT to_jsonb(t) FROM control.trust(?, ?) t")
                .params(view, limit)
                .query(String.class)
                .list();
    }

    /** Which derived views read which others, each as a JSON object. */
    public List<String> chains() {
        return jdbc.sql("SELECT to_jsonb(c) FROM control.chains() c")
                .query(String.class)
                .list();
    }

    /** The requested runs that were at work at a moment, or in the 15 s before it, each as a JSON object. */
    public List<String> runsAt(Instant at) {
        return jdbc.sql("SELECT to_jsonb(r) FROM control.runs_at(?) r")
                .param(at.atOffset(ZoneOffset.UTC))
                .query(String.class)
                .list();
    }

    /** The rows of the sources that a row of a projection comes from, each as a JSON object. */
    public List<String> baseRows(String view, String cellJson) {
        return limited.sql("SELECT to_jsonb(b) FROM control.base_rows(?, ?::jsonb) b")
                .params(view, cellJson)
                .query(String.class)
                .list();
    }

    /** Which transaction wrote the stored row of a derived view last, each as a JSON object. */
    public List<String> lastChange(String view, String cellJson) {
        return limited.sql("SELECT to_jsonb(c) FROM control.last_change(?, ?::jsonb) c")
                .params(view, cellJson)
                .query(String.class)
                .list();
    }

    /** Definition, key, size and sources of a derived view as a JSON object. */
    public Optional<String> viewDetails(String view) {
        return quick.sql("SELECT to_jsonb(v) FROM control.view_details(?) v")
                .param(view)
                .query(String.class)
                .optional();
    }

    /** The keys of a derived view that could not be evaluated, each as a JSON object. */
    public List<String> quarantined(String view, int limit) {
        return jdbc.sql("SELECT to_jsonb(q) FROM control.quarantined(?, ?) q")
                .params(view, limit)
                .query(String.class)
                .list();
    }

    /**
     * Transactions that hold things up, the oldest first, each as a JSON object.
     *
     * @param texts whether the statements of other roles are shown
     */
    public List<String> transactions(boolean texts) {
        return jdbc.sql("SELECT to_jsonb(t) FROM control.transactions(texts => ?) t")
                .param(texts)
                .query(String.class)
                .list();
    }

    /** Cancels the statement of a transaction, or ends its session if it is idle. Returns whether it was still there. */
    public boolean endTransaction(int pid, String since) {
        return jdbc.sql("SELECT control.end_transaction(?, ?::timestamptz)")
                .params(pid, since)
                .query(Boolean.class)
                .single();
    }

    /**
     * One row of a derived view as it is stored, live and by its definition, and the rows that it is made of.
     *
     * @param cellJson an object with the values of its key, or of the columns that a rollup groups by
     */
    public List<String> compareRow(String view, String cellJson) {
        return limited.sql("SELECT to_jsonb(c) FROM control.compare_row(?, ?::jsonb) c")
                .params(view, cellJson)
                .query(String.class)
                .list();
    }
}
