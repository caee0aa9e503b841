package dev.countersink.db;

import java.time.Duration;
import java.time.OffsetDateTime;
import java.util.List;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;

/** Calls the functions of schema {@code control} that tell who may call the API, and who did what. Rows are JSON text. */
@Component
public class AccessDb {
    private static final int QUICK_SECONDS = 2;

    private final JdbcClient jdbc;
    private final JdbcClient quick;

    public AccessDb(DataSource dataSource) {
        this.jdbc = JdbcClient.create(dataSource);
        JdbcTemplate template = new JdbcTemplate(dataSource);
        template.setQueryTimeout(QUICK_SECONDS);
        this.quick = JdbcClient.create(template);
    }

    /**
     * A named token that has not expired.
     *
     * @param hash its SHA-256
     * @param seconds until it expires, null for never
     */
    public record ValidToken(
            String name, String role, byte[] hash, @Nullable Double seconds) {}

    /**
     * What somebody is about to do.
     *
     * @param who the name of the token
     * @param target what is meant by the path, null if that is told later
     */
    public record Act(
            String who,
            String role,
            String address,
            String method,
            String path,
            @Nullable String target) {}

    public List<ValidToken> validTokens() {
        return quick.sql("SELECT name, role, hash, seconds FROM control.valid_tokens()")
                .query((row, number) -> new ValidToken(
                        row.getString("name"),
                        row.getString("role"),
                        row.getBytes("hash"),
                        row.getObject("seconds", Double.class)))
                .list();
    }

    /**
     * A page of tokens in the order of their names, each as a JSON object.
     *
     * @param after the last name of the previous page, null for the first page
     */
    public List<String> tokens(@Nullable String after, int limit) {
        return jdbc.sql("SELECT to_jsonb(t) FROM control.tokens(?, ?) t")
                .param(after)
                .param(limit)
                .query(String.class)
                .list();
    }

    /**
     * Stores a token.
     *
     * @param madeBy the name of the token that asked for it
     * @return the token as tokens() has it
     */
    public String addToken(
            @Nullable String name,
            @Nullable String role,
            byte[] hash,
            String madeBy,
            @Nullable OffsetDateTime expiresAt) {
        return jdbc.sql("SELECT control.add_token(?, ?, ?, ?, ?::timestamptz)")
                .param(name)
                .param(role)
                .param(hash)
                .param(madeBy)
                .param(expiresAt)
                .query(String.class)
                .single();
    }

    /** Returns whether there was one. */
    public boolean revokeToken(String name) {
        return jdbc.sql("SELECT control.revoke_token(?)")
                .param(name)
                .query(Boolean.class)
                .single();
    }

    /** Notes who is about to do what; returns the id of the note. */
    public long beginAct(Act act) {
        return jdbc.sql("SELECT r FROM control.begin_act(?, ?, ?, ?, ?, ?) r")
                .param(act.who())
                .param(act.role())
                .param(act.address())
                .param(act.method())
                .param(act.path())
                .param(act.target())
                .query(Long.class)
                .single();
    }

    /**
     * Notes what became of it.
     *
     * @param status of the answer
     * @param target null for the one that was noted at its begin
     * @param runs those that were requested or cancelled
     */
    public void finishAct(long act, int status, @Nullable String target, List<Long> runs) {
        jdbc.sql("SELECT FROM control.finish_act(?, ?, ?, ?::bigint[])")
                .param(act)
                .param(status)
                .param(target)
                .param(runs.toArray(Long[]::new))
                .query(row -> {});
    }

    /** Notes acts that are over. They are a JSON array of objects with the columns of the audit log. */
    public void noteActs(String acts) {
        jdbc.sql("SELECT FROM control.note_acts(?::jsonb)").param(acts).query(row -> {});
    }

    /**
     * A page of the audit log, the newest first, each as a JSON object.
     *
     * @param who only acts of the token of this name, null for all
     */
    public List<String> acts(@Nullable Long after, int limit, @Nullable String who) {
        return jdbc.sql("SELECT to_jsonb(a) FROM control.acts(?, ?, ?) a")
                .param(after)
                .param(limit)
                .param(who)
                .query(String.class)
                .list();
    }

    /** Deletes rows of the audit log that are older; returns how many. */
    public long forgetActs(Duration olderThan) {
        return jdbc.sql("SELECT r FROM control.forget_acts(make_interval(secs => ?)) r")
                .param((double) olderThan.toSeconds())
                .query(Long.class)
                .single();
    }
}
