package dev.countersink.db;

import java.util.List;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;

/** Calls the functions of schema {@code results} that the admin API needs. Rows are JSON text. */
@Component
public class ResultsReads {
    private final JdbcClient jdbc;

    public ResultsReads(DataSource dataSource) {
        this.jdbc = JdbcClient.create(dataSource);
    }

    /** A page of jobs, each as a JSON object with its state. */
    public List<String> jobs(long after, int limit) {
        return jdbc.sql("SELECT to_jsonb(j) FROM results.jobs(?, ?) j")
                .params(after, limit)
                .query(String.class)
                .list();
    }

    /** The jobs with these ids that exist, each as a JSON object with its state. */
    public List<String> jobs(List<Long> ids) {
        return jdbc.sql("SELECT to_jsonb(j) FROM results.jobs(0, ?, ?) j")
                .params(ids.size(), ids.toArray(Long[]::new))
                .query(String.class)
                .list();
    }

    /** Whether a job with this id exists. */
    public boolean hasJob(long id) {
        return jdbc.sql("SELECT results.has_job(?)")
                .param(id)
                .query(Boolean.class)
                .single();
    }

    /**
     * A page of dead letters, the oldest first, each as a JSON object without its bytes.
     *
     * @param open only those that wait
     * @param sqlstate only those that wait and have failed with it, null for any
     */
    public List<String> deadLetters(long after, int limit, boolean open, @Nullable String sqlstate) {
        return jdbc.sql("SELECT to_jsonb(d) FROM results.dead_letters(?, ?, ?, ?) d")
                .param(after)
                .param(limit)
                .param(open)
                .param(sqlstate)
                .query(String.class)
                .list();
    }

    /** How many dead letters wait for each reason, each as a JSON object. */
    public List<String> deadLetterReasons() {
        return jdbc.sql("SELECT to_jsonb(r) FROM results.dead_letter_reasons() r")
                .query(String.class)
                .list();
    }

    /** How many dead letters have not been replayed since they last failed. */
    public long deadLetterCount() {
        return jdbc.sql("SELECT results.dead_letter_count()").query(Long.class).single();
    }

    /** The bytes of a dead letter. */
    public byte[] deadLetterPayload(long id) {
        return jdbc.sql("SELECT results.dead_letter_payload(?)")
                .param(id)
                .query(byte[].class)
                .single();
    }

    public void discardDeadLetter(long id) {
        jdbc.sql("SELECT FROM results.discard_dead_letter(?)").param(id).query(row -> {});
    }
}
