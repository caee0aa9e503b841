package dev.countersink.db;

import java.util.ArrayList;
import java.util.List;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;

/** Calls the functions of schema {@code tally}. Rows that are only passed on are JSON text. */
@Component
public class TallyDb {
    private static final String RESULT = "SELECT outcome, consumed, keys, changed, quarantined, more, error FROM ";

    private final JdbcClient jdbc;

    public TallyDb(DataSource dataSource) {
        this.jdbc = JdbcClient.create(dataSource);
    }

    /** One bounded merge of a projection. */
    public MergeResult merge(String name) {
        return jdbc.sql(RESULT + "tally.merge(?)")
                .param(name)
                .query(MergeResult.class)
                .single();
    }

    /** Merges until nothing is pending, after waiting for a running merge; refreshes a snapshot that is out of date. */
    public MergeResult refresh(String name) {
        return jdbc.sql(RESULT + "tally.refresh(?)")
                .param(name)
                .query(MergeResult.class)
                .single();
    }

    public List<DueView> due() {
        return jdbc.sql("SELECT name, kind, action, interval_ms, cron, priority FROM tally.due()")
                .query(DueView.class)
                .list();
    }

    /**
     * Those of some derived views for which a merge would find something to do.
     *
     * @param definitions whether to look too if a definition, or a partition, has changed
     */
    public List<String> ready(List<String> names, boolean definitions) {
        return jdbc.sql("SELECT r FROM tally.ready(?::text[], ?) r")
                .param(array(names))
                .param(definitions)
                .query(String.class)
                .list();
    }

    /** A number that changes soon after a table, a view, a function or a type has. */
    public long catalogChanges() {
        return jdbc.sql("SELECT tally.catalog_changes()").query(Long.class).single();
    }

    /** All derived views, each as a JSON object. */
    public List<String> views() {
        return jdbc.sql("SELECT to_jsonb(v) FROM tally.views(NULL) v")
                .query(String.class)
                .list();
    }

    /** One derived view as a JSON object; empty if there is none. */
    public List<String> view(String name) {
        return jdbc.sql("SELECT to_jsonb(v) FROM tally.views(?) v")
                .param(name)
                .query(String.class)
                .list();
    }

    /**
     * What has to be watched to keep a view, declared or not.
     *
     * @param key columns; null: every possible key
     */
    public List<Explained> explain(String view, @Nullable List<String> key) {
        return jdbc.sql(
                        "SELECT source, array_to_string(columns, ',') AS columns, expand, reach, reason, index,"
                                + " keys_per_row, array_to_string(key_columns, ',') AS key, declared FROM tally.explain_view(?, ?::text[])")
                .param(view)
                .param(array(key))
                .query(Explained.class)
                .list();
    }

    /** The rows of {@link #explain}, each as a JSON object. */
    public List<String> explained(String view) {
        return jdbc.sql("SELECT to_jsonb(e) FROM tally.explain_view(?) e")
                .param(view)
                .query(String.class)
                .list();
    }

    /** The statements that keep a view as {@link #explain} proposes. */
    public List<String> keepStatements(String view, @Nullable List<String> key) {
        return jdbc.sql("SELECT s FROM tally.keep_statements(?, ?::text[]) s")
                .param(view)
                .param(array(key))
                .query(String.class)
                .list();
    }

    /**
     * What differs from the oracle.
     *
     * @param count of all rows that do
     * @param first some of them, each as a JSON object
     */
    public record Differences(long count, List<String> first) {}

    /**
     * Compares a derived view with its oracle. Only so many rows that differ are read: all rows of a view may, and they would fill the memory.
     *
     * @param sample share of a projection's keys
     */
    public Differences verify(String name, double sample, int most) {
        List<String> first = new ArrayList<>();
        long[] count = {0};
        jdbc.sql("SELECT to_jsonb(v), count(*) OVER () FROM tally.verify(?, ?) v LIMIT ?")
                .params(name, sample, most)
                .query(row -> {
                    first.add(row.getString(1));
                    count[0] = row.getLong(2);
                });
        return new Differences(count[0], first);
    }

    /**
     * Changes a schedule.
     *
     * @param changesJson an object with the changes
     * @param expectedVersion the version as last read; null: not checked
     */
    public void schedule(String name, String changesJson, @Nullable Integer expectedVersion) {
        jdbc.sql("SELECT tally.schedule(?, ?::jsonb, ?::integer)")
                .param(name)
                .param(changesJson)
                .param(expectedVersion)
                .query(row -> {});
    }

    public void repair(String name) {
        act("repair", name);
    }

    public void rebuild(String name) {
        act("rebuild", name);
    }

    public void pause(String name) {
        act("pause", name);
    }

    public void resume(String name) {
        act("resume", name);
    }

    private static String @Nullable [] array(@Nullable List<String> values) {
        return values == null ? null : values.toArray(String[]::new);
    }

    private void act(String function, String name) {
        jdbc.sql("SELECT FROM tally." + function + "(?)").param(name).query(row -> {});
    }
}
