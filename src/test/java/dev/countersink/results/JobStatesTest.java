package dev.countersink.results;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The states of jobs follow their stored progress, and only jobs whose progress has changed are read. */
class JobStatesTest {
    private static final String FOLLOW =
            "SELECT coalesce(string_agg(f.job_id || ' ' || f.state, ', ' ORDER BY f.job_id), '') FROM results.follow_jobs(0.1) f";

    private DbSettings db;
    private Sql sql;

    @BeforeEach
    void open() {
        db = TestPostgres.migrated();
        sql = new Sql(db);
        sql.run("INSERT INTO results.project (id) VALUES (1)");
        sql.run("INSERT INTO results.deployment (id, project_id) VALUES (1, 1)");
        sql.run("INSERT INTO results.capture (id, project_id, deployment_id, path)"
                + " SELECT i, 1, 1, 'c' || i FROM generate_series(1, 2) i");
        sql.run(
                "INSERT INTO results.job (id, project_id, total_captures) SELECT i, 1, 2 FROM generate_series(1, 50) i");
        refresh();
        assertThat(sql.number("SELECT count(*) FROM results.follow_jobs(0.1) f WHERE f.state = 'pending'"))
                .isEqualTo(50);
    }

    @AfterEach
    void close() throws Exception {
        sql.close();
    }

    @Test
    void aJobIsReadWhenItsProgressHasChangedAndOnlyThen() {
        process(7, 1);
        assertThat(sql.text("SELECT string_agg(DISTINCT t.job_id::text, ',') FROM results.job_touched t"))
                .isEqualTo("7");
        assertThat(sql.text(FOLLOW)).isEqualTo("7 running");
        assertThat(sql.number("SELECT count(*) FROM results.job_touched")).isZero();
        process(7, 2);
        process(8, 1);
        assertThat(sql.text(FOLLOW)).isEqualTo("7 succeeded, 8 running");
        assertThat(sql.text(FOLLOW)).isEmpty();
        sql.run("DELETE FROM results.job_capture WHERE job_id = 7 AND capture_id = 2");
        refresh();
        assertThat(sql.text(FOLLOW)).isEqualTo("7 running");
        sql.run("DELETE FROM results.job WHERE id = 7");
        refresh();
        assertThat(sql.text(FOLLOW)).isEmpty();
    }

    @Test
    void allAreReadWhereTheTriggersAreMissing() {
        sql.run("DROP TRIGGER job_inserted ON results.job_progress");
        sql.run("ALTER TABLE results.job_progress DISABLE TRIGGER job_updated");
        process(9, 1);
        assertThat(sql.number("SELECT count(*) FROM results.job_touched")).isZero();
        assertThat(sql.text(FOLLOW)).isEqualTo("9 running");
    }

    @Test
    void aJobThatIsMergedInATransactionStillOpenIsReadAfterIt() throws Exception {
        sql.run("BEGIN");
        sql.run("INSERT INTO results.job_touched VALUES (3)");
        try (Sql other = new Sql(db)) {
            assertThat(other.text(FOLLOW)).isEmpty();
            sql.run("COMMIT");
            assertThat(other.number("SELECT count(*) FROM results.job_touched")).isEqualTo(1);
        }
    }

    private void process(int job, int capture) {
        sql.run("INSERT INTO results.job_capture (job_id, capture_id, status) VALUES (" + job + ", " + capture
                + ", 'processed')");
        refresh();
    }

    private void refresh() {
        sql.run("SELECT tally.refresh('results.job_fact')");
    }
}
