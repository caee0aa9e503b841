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
    private final JdbcClient jdbc;

    public ControlDb(DataSource dataSource) {
        this.jdbc = JdbcClient.create(dataSource);
    }

    /**
     * The work of a run.
     *
     * @param action replay, or an action on a derived view
     * @param view its name, null for a replay
     * @param deadLetter its id, null otherwise
     * @param sample for verify: the share of the keys, null for all
     */
    public record Task(
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

    /** Starts a run; empty if the run is finished already. */
    public Optional<Task> beginRun(long run, String instance) {
        return jdbc.sql("SELECT action, view, dead_letter, sample FROM control.begin_run(?, ?)")
                .params(run, instance)
                .query(Task.class)
                .optional();
    }

    public void finishRun(long run, String resultJson) {
        jdbc.sql("SELECT FROM control.finish_run(?, ?::jsonb)")
                .params(run, resultJson)
                .query(row -> {});
    }

    public void failRun(long run, String code, String error, String hint) {
        jdbc.sql("SELECT FROM control.fail_run(?, ?, ?, ?)")
                .params(run, code, error, hint)
                .query(row -> {});
    }

    /** Deletes runs that were requested longer ago than this; returns how many. */
    public long forgetRuns(Duration olderThan) {
        return jdbc.sql("SELECT r FROM control.forget_runs(make_interval(secs => ?)) r")
                .param((double) olderThan.toSeconds())
                .query(Long.class)
                .single();
    }

    /** One run as a JSON object; empty if there is none. */
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
