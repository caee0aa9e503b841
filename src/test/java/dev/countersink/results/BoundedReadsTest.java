package dev.countersink.results;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What is asked again and again reads as much after years as on the first day. */
class BoundedReadsTest {
    private static final int MANY = 20_000;
    private static final String READ =
            "SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) FROM pg_stat_xact_user_tables WHERE schemaname = 'results'";
    private static final String FOLLOW = "SELECT count(*) FROM results.follow_jobs(0.1)";

    private DbSettings db;
    private Sql sql;

    @BeforeEach
    void open() {
        db = TestPostgres.migrated();
        sql = new Sql(db);
        sql.run("INSERT INTO results.project (id) VALUES (1)");
    }

    @AfterEach
    void close() throws Exception {
        sql.close();
    }

    @Test
    void theNumberOfDeadLettersIsKnownWithoutReadingThem() {
        letters(MANY);
        assertThat(read("SELECT results.dead_letter_count()")).isLessThan(200);
        assertThat(sql.number("SELECT results.dead_letter_count()")).isEqualTo(MANY);
    }

    @Test
    void theNumberOfDeadLettersFollowsEveryWayInWhichItChanges() {
        letters(500);
        counted();
        for (int id = 1; id <= 250; id++) { // many transactions, which leave a row each
            sql.run("SELECT results.begin_replay(" + id + ")");
        }
        counted();
        sql.run("SELECT results.discard_dead_letter(1), results.discard_dead_letter(400)");
        counted();
        sql.run("INSERT INTO results.dead_letter (stream, stream_seq, subject, payload, reason, sqlstate)"
                + " SELECT stream, stream_seq, subject, payload, 'again', 'RS001' FROM results.dead_letter WHERE id < 9"
                + " ON CONFLICT (stream, stream_seq, sha256(payload)) DO UPDATE SET replayed_at = NULL");
        counted();
        sql.run("BEGIN; DELETE FROM results.dead_letter; ROLLBACK");
        counted();
        sql.run("DELETE FROM results.dead_letter WHERE replayed_at IS NOT NULL OR id % 2 = 0");
        counted();
        assertThat(sql.number("SELECT count(*) FROM results.dead_letter_change"))
                .isLessThan(200);
        sql.run("ALTER TABLE results.dead_letter DISABLE TRIGGER USER");
        sql.run("DELETE FROM results.dead_letter WHERE id < 480");
        sql.run("ALTER TABLE results.dead_letter ENABLE TRIGGER USER");
        sql.run("SELECT results.recount_dead_letters()");
        counted();
        sql.run("TRUNCATE results.dead_letter");
        counted();
        assertThat(sql.number("SELECT results.dead_letter_count()")).isZero();
    }

    @Test
    void twoWhoAddUpAtOnceLoseNothing() throws Exception {
        letters(150);
        for (int id = 1; id <= 99; id++) {
            sql.run("SELECT results.begin_replay(" + id + ")");
        }
        try (Sql other = new Sql(db)) {
            sql.run("BEGIN; SELECT results.begin_replay(100); SELECT results.begin_replay(101)");
            other.run("SELECT results.begin_replay(102)");
            sql.run("COMMIT");
        }
        counted();
    }

    private void letters(int count) {
        sql.run("INSERT INTO results.dead_letter (stream, stream_seq, subject, payload, reason, sqlstate)"
                + " SELECT 'RESULTS', i, 'results.1', convert_to(repeat('x', 200), 'UTF8'), 'none', 'RS001'"
                + " FROM generate_series(1, " + count + ") i");
    }

    private void counted() {
        assertThat(sql.number("SELECT results.dead_letter_count()"))
                .isEqualTo(sql.number("SELECT count(*) FROM results.dead_letter WHERE replayed_at IS NULL"));
    }

    @Test
    void aPageOfJobsReadsThePageWhateverTheStatisticsSay() {
        sql.run("ANALYZE results.job, results.job_state");
        sql.run("ALTER TABLE results.job SET (autovacuum_enabled = off);"
                + " ALTER TABLE results.job_state SET (autovacuum_enabled = off)");
        jobs();
        for (int round = 0; round < 2; round++) {
            for (int page = 0; page < 8; page++) { // from the sixth on, a session keeps its plans
                assertThat(read("SELECT count(*) FROM results.jobs(" + 2000 * page + ", 100)"))
                        .isLessThan(1000);
            }
            assertThat(read("SELECT count(*) FROM results.jobs(0, 100, '{5,7,15000,999999}')"))
                    .isLessThan(50);
            sql.run("ANALYZE results.job, results.job_state");
        }
        assertThat(sql.text("SELECT string_agg(j.id || j.state, ' ') FROM results.jobs(6, 2, '{7,5,15000,15000,8}') j"))
                .isEqualTo("7running 8running");
    }

    private void jobs() {
        sql.run("INSERT INTO results.job (id, project_id) SELECT i, 1 FROM generate_series(1, " + MANY + ") i");
        sql.run("INSERT INTO results.job_state (job_id, state, total, processed, failed, started_at)"
                + " SELECT i, 'running', 9, 1, 0, now() FROM generate_series(1, " + MANY + ") i");
    }

    @Test
    void whileNobodyFollowsTheJobsThoseThatChangeAreNotedOnce() {
        sql.run("INSERT INTO results.deployment (id, project_id) VALUES (1, 1);"
                + " INSERT INTO results.capture (id, project_id, deployment_id, path)"
                + " SELECT i, 1, 1, 'c' || i FROM generate_series(1, 50) i;"
                + " INSERT INTO results.job (id, project_id, total_captures) VALUES (1, 1, 50), (2, 1, 50)");
        for (int capture = 1; capture <= 50; capture++) {
            process(sql, 1 + capture % 2, capture);
        }
        assertThat(sql.number("SELECT count(*) FROM results.job_touched")).isEqualTo(2);
    }

    /** Whoever follows, and whoever merges, neither wait for each other nor lose a change. */
    @Test
    void aJobThatIsBeingMergedIsFollowedAfterIt() throws Exception {
        sql.run("INSERT INTO results.deployment (id, project_id) VALUES (1, 1);"
                + " INSERT INTO results.capture (id, project_id, deployment_id, path)"
                + " SELECT i, 1, 1, 'c' || i FROM generate_series(1, 4) i;"
                + " INSERT INTO results.job (id, project_id, total_captures) VALUES (1, 1, 4)");
        process(sql, 1, 1);
        try (Sql other = new Sql(db)) {
            sql.run("BEGIN");
            process(sql, 1, 2);
            other.run("SET statement_timeout = '20s'");
            assertThat(other.number(FOLLOW)).isZero();
            sql.run("COMMIT");
            assertThat(other.number(FOLLOW)).isEqualTo(1);
            other.run("BEGIN; SELECT * FROM results.follow_jobs(0.1)");
            process(sql, 1, 3);
            other.run("SELECT * FROM results.follow_jobs(0.1)");
            sql.run("SET statement_timeout = '20s'");
            process(sql, 1, 4);
            other.run("COMMIT");
            assertThat(other.number(FOLLOW)).isEqualTo(1);
            assertThat(other.text("SELECT s.state FROM results.job_state s")).isEqualTo("succeeded");
        }
    }

    private static void process(Sql by, int job, int capture) {
        by.run("INSERT INTO results.job_capture (job_id, capture_id, status) VALUES (" + job + ", " + capture
                + ", 'processed')");
        by.run("SELECT tally.merge('results.job_fact')");
    }

    private long read(String query) {
        sql.run("BEGIN");
        long before = sql.number(READ);
        sql.number(query);
        long read = sql.number(READ) - before;
        sql.run("COMMIT");
        return read;
    }
}
