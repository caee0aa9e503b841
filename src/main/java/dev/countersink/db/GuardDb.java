package dev.countersink.db;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;

/** Calls the functions of schema {@code control} that alerts and the watchdog need. Rows are JSON text. */
@Component
public class GuardDb {
    private final JdbcClient jdbc;

    public GuardDb(DataSource dataSource) {
        this.jdbc = JdbcClient.create(dataSource);
    }

    /** Whether an instance is the one that notes what every instance sees. */
    public boolean leads(String instance) {
        return jdbc.sql("SELECT control.leads(?)")
                .param(instance)
                .query(Boolean.class)
                .single();
    }

    /**
     * Stores what is wrong now.
     *
     * @param source the instance, if it alone can see it; empty otherwise
     * @param seenJson an array
     */
    public void noteAlerts(String source, String seenJson) {
        jdbc.sql("SELECT FROM control.note_alerts(?, ?::jsonb)")
                .params(source, seenJson)
                .query(row -> {});
    }

    /**
     * A page of alerts, the newest first, each as a JSON object.
     *
     * @param state firing or resolved, null for both
     */
    public List<String> alerts(@Nullable Long after, int limit, @Nullable String state) {
        return jdbc.sql("SELECT to_jsonb(a) FROM control.alerts(?, ?, ?) a")
                .param(after)
                .param(limit)
                .param(state)
                .query(String.class)
                .list();
    }

    /** Takes up an alert of which the webhook has to be told, as a JSON object. */
    public Optional<String> takeNotice() {
        return jdbc.sql("SELECT to_jsonb(n) FROM control.take_notice() n")
                .query(String.class)
                .optional();
    }

    public void finishNotice(long id, String state, boolean taken) {
        jdbc.sql("SELECT FROM control.finish_notice(?, ?, ?)")
                .params(id, state, taken)
                .query(row -> {});
    }

    /**
     * What the webhook has still to be told.
     *
     * @param notices how many alerts, or ends of alerts
     * @param oldestSeconds for how long the oldest has waited, 0 if none does
     */
    public record Untold(long notices, double oldestSeconds) {}

    public Untold untold() {
        return jdbc.sql("SELECT u.notices, u.oldest FROM control.untold_notices() u")
                .query((row, n) -> new Untold(row.getLong(1), row.getDouble(2)))
                .single();
    }

    /** Deletes the alerts that were resolved longer ago; returns how many. */
    public long forgetAlerts(Duration olderThan) {
        return jdbc.sql("SELECT r FROM control.forget_alerts(make_interval(secs => ?)) r")
                .param((double) olderThan.toSeconds())
                .query(Long.class)
                .single();
    }

    /** Cancels the statements of some roles that have run for longer than a limit; each as a JSON object. */
    public List<String> cancelLongStatements(List<String> roles, Duration limit) {
        return jdbc.sql("SELECT to_jsonb(c) FROM control.cancel_long_statements(?::text[], make_interval(secs => ?)) c")
                .param(roles.toArray(String[]::new))
                .param(limit.toMillis() / 1000d)
                .query(String.class)
                .list();
    }

    /** Why statements of some roles cannot be cancelled, a sentence each. */
    public List<String> watchdogLacks(List<String> roles) {
        return jdbc.sql("SELECT s FROM control.watchdog_lacks(?::text[]) s")
                .param(roles.toArray(String[]::new))
                .query(String.class)
                .list();
    }
}
