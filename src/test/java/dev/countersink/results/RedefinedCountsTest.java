package dev.countersink.results;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.Differences;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The counts of results get other definitions, by the statements of docs/ingest.md. */
class RedefinedCountsTest {
    private DbSettings db;
    private Sql sql;

    @BeforeEach
    void open() {
        db = TestPostgres.migrated();
        sql = new Sql(db);
        sql.run("INSERT INTO results.project (id) VALUES (1);"
                + " INSERT INTO results.deployment (id, project_id) VALUES (1, 1);"
                + " INSERT INTO results.event (id, project_id, deployment_id, group_by) VALUES (1, 1, 1, 'n');"
                + " INSERT INTO results.capture (id, project_id, deployment_id, event_id, path, captured_at, byte_size)"
                + " SELECT i, 1, 1, 1, 'c' || i, now(), 100 FROM generate_series(1, 4) i;"
                + " INSERT INTO results.job (id, project_id, total_captures) VALUES (1, 1, 4), (2, 1, 4);"
                + " INSERT INTO results.job_capture (job_id, capture_id, status)"
                + " VALUES (1, 1, 'processed'), (1, 2, 'failed'), (2, 3, 'processed')");
        refresh();
    }

    @AfterEach
    void close() throws Exception {
        sql.close();
    }

    @Test
    void theProgressOfJobs() {
        sql.run(
                "CREATE SCHEMA app; CREATE VIEW app.job_fact_def AS SELECT f.job_id, f.capture_id, f.total, f.processed + f.failed AS processed,"
                        + " 0 AS failed, f.captures_with_detections, f.detections, f.classifications FROM results.job_fact_def f");
        sql.run("SELECT * FROM results.follow_jobs(0.1)");
        assertThatThrownBy(() -> sql.run("SELECT tally.redefine('results.job_fact', 'app.job_fact_def')"))
                .rootCause()
                .hasMessageContaining("trigger job_inserted of results.job_progress")
                .hasMessageContaining("SELECT results.untouch_jobs()");
        sql.run(
                "BEGIN; SELECT results.untouch_jobs(); SELECT tally.redefine('results.job_fact', 'app.job_fact_def'); COMMIT");
        // meanwhile the states of jobs are followed, and nothing comes in the way of the swap
        sql.run("INSERT INTO results.job_capture (job_id, capture_id, status) VALUES (2, 4, 'processed')");
        sql.run("SELECT tally.merge('results.job_fact')");
        assertThat(sql.number("SELECT count(*) FROM results.follow_jobs(0.1) f WHERE f.job_id = 2 OR true"))
                .isZero();
        assertThat(sql.number("SELECT s.processed FROM results.job_state s WHERE s.job_id = 2"))
                .isEqualTo(2);
        refresh();
        assertThat(sql.number("SELECT p.processed FROM results.job_progress p WHERE p.job_id = 1"))
                .isEqualTo(2);
        sql.run("SELECT * FROM results.follow_jobs(0.1)");
        assertThat(sql.text("SELECT results.jobs_are_touched()::text")).isEqualTo("true");
        assertThat(sql.number("SELECT s.processed FROM results.job_state s WHERE s.job_id = 1"))
                .isEqualTo(2);
        sql.run("INSERT INTO results.job_capture (job_id, capture_id, status) VALUES (1, 3, 'failed')");
        refresh();
        assertThat(sql.number("SELECT count(*) FROM results.job_touched")).isEqualTo(1);
        assertThat(sql.text(Differences.sql("results.job_progress", "results.job_progress_def")))
                .isEmpty();
    }

    @Test
    void theCountsBelowTheCharts() {
        sql.run(
                "CREATE SCHEMA app; CREATE VIEW app.fact_def AS SELECT f.kind, f.id, f.project_id, f.deployment_id, f.event_id, f.capture_id,"
                        + " f.events, f.captures, 2 * f.bytes AS bytes, f.captured_at, f.detections, f.processed, f.occurrences, f.determined,"
                        + " f.taxon_id, f.score, f.last_detected_at FROM results.fact_def f");
        assertThatThrownBy(() -> sql.run("SELECT tally.redefine('results.fact', 'app.fact_def')"))
                .rootCause()
                .hasMessageContaining("results.captures_by_hour")
                .hasMessageContaining("SELECT results.drop_charts()");
        sql.run("BEGIN; SELECT results.drop_charts(); SELECT tally.redefine('results.fact', 'app.fact_def'); COMMIT");
        refresh();
        assertThat(sql.number("SELECT c.bytes FROM results.deployment_counts c"))
                .isEqualTo(800);
        sql.run("SELECT results.create_charts(); SELECT results.create_charts()");
        refresh();
        assertThat(sql.number("SELECT sum(c.captures) FROM results.captures_by_hour c"))
                .isEqualTo(4);
        assertThat(sql.text(Differences.sql("results.event_counts", "results.event_counts_def")))
                .isEmpty();
    }

    private void refresh() {
        sql.run("SELECT tally.refresh(s.name) FROM tally.status s WHERE s.name NOT LIKE '%\\_next'");
    }
}
