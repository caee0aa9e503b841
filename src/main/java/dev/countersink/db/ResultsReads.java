package dev.countersink.db;

import java.util.List;
import javax.sql.DataSource;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Component;

/** Reads schema {@code results} for the admin API. Rows are JSON text. */
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

    /** A page of dead letters, the oldest first, each as a JSON object without its bytes. */
    public List<String> deadLetters(long after, int limit) {
        return jdbc.sql("SELECT to_jsonb(d) FROM results.dead_letters(?, ?) d")
                .params(after, limit)
                .query(String.class)
                .list();
    }
}
