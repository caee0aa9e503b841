package dev.countersink.db;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;

/** Calls the functions of schema {@code control}. Rows that are only passed on are JSON text. */
@Component
public class ControlDb {
    private final DataSource dataSource;
    private final JdbcClient jdbc;

    public ControlDb(DataSource dataSource) {
        this.dataSource = dataSource;
        this.jdbc = JdbcClient.create(dataSource);
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

    public long requestReplay(long deadLetter) {
        return jdbc.sql("SELECT r FROM control.request_replay(?) r")
                .param(deadLetter)
                .query(Long.class)
                .single();
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

    /** A page of runs, the newest first, each as a JSON object. */
    public List<String> runs(@Nullable Long after, int limit) {
        return jdbc.sql("SELECT to_jsonb(r) FROM control.runs(?, ?) r")
                .param(after)
                .param(limit)
                .query(String.class)
                .list();
    }
}
