package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.IngestSettings;
import dev.countersink.db.Database;
import dev.countersink.testing.Eventually;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.util.unit.DataSize;

/**
 * One message on which the database always fails, and a database that fails on all of them, give the same errors. The first
 * becomes a dead letter and holds up nobody; in the second case no message is lost.
 */
class SetbacksTest {
    private static final int CAPTURES = 60;
    private static final int ODD = 7;
    private static final int ATTEMPTS = 30;
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final IngestSettings ONE_WRITER = IngestSettings.defaults()
            .withBatch(250, DataSize.ofMegabytes(4), Duration.ofMillis(10))
            .withWriters(1);

    @AutoClose
    private final Rig rig = Rig.seeded(20_000);

    @ParameterizedTest
    @ValueSource(
            strings = {
                "PERFORM pg_sleep(60)",
                "RAISE 'a temporary file is too large' USING ERRCODE = '53400'",
                "RAISE 'function check_capture does not exist' USING ERRCODE = '42883'",
                "RAISE 'could not read block 5' USING ERRCODE = 'XX001'",
                "PERFORM pg_terminate_backend(pg_backend_pid())"
            })
    void aMessageOnWhichTheDatabaseAlwaysFailsBecomesADeadLetterAndOthersGoOn(String failure) throws Exception {
        timeout("500ms");
        failing(failure, "NEW.capture_id = " + ODD);
        for (int capture = 1; capture <= CAPTURES; capture++) {
            rig.publish("results." + (1 + capture % 3), Messages.result(capture));
        }
        rig.ingest(ONE_WRITER.withGiveUpAfter(Duration.ZERO));
        Eventually.await("the others are applied", PATIENCE, this::applied, n -> n == CAPTURES - 1);
        // evidence: others are applied between its attempts
        int next = CAPTURES;
        while (rig.number("SELECT count(*) FROM results.dead_letter") == 0) {
            next++;
            int expected = next - 1;
            rig.publish("results.2", Messages.result(next));
            Eventually.await("another one is applied", PATIENCE, this::applied, n -> n == expected);
        }
        rig.awaitFinished();
        assertThat(rig.rows("SELECT reason FROM results.dead_letter"))
                .singleElement()
                .asString()
                .contains("This message failed alone", "while others were applied");
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter l"
                        + " WHERE convert_from(l.payload, 'UTF8') LIKE '%\"id\":\"" + ODD + "\"%'"))
                .isEqualTo(1);
        assertThat(applied()).isEqualTo(next - 1);
    }

    @Test
    void aMessageThatIsTheOnlyOneBecomesADeadLetterToo() throws Exception {
        timeout("300ms");
        failing("PERFORM pg_sleep(60)", "NEW.capture_id = " + ODD);
        rig.publish("results.1", Messages.result(ODD));
        Ingestor ingestor = rig.ingest(ONE_WRITER.withGiveUpAfter(Duration.ofMillis(100)));
        Eventually.await("it is finished", PATIENCE, rig::left, left -> left == 0);
        assertThat(rig.rows("SELECT sqlstate FROM results.dead_letter")).containsExactly(List.of("57014"));
        assertThat(rig.rows("SELECT reason FROM results.dead_letter")
                        .get(0)
                        .get(0)
                        .toString())
                .contains("no other to be applied");
        assertThat(ingestor.metrics().snapshot().blocked()).isNull();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "PERFORM pg_sleep(60)",
                "RAISE 'permission denied for schema checks' USING ERRCODE = '42501'",
                "PERFORM pg_terminate_backend(pg_backend_pid())"
            })
    void whileEveryMessageFailsNoneIsBlamed(String failure) throws Exception {
        timeout("300ms");
        failing("PERFORM nextval('results.attempts'); " + failure, "true");
        for (int capture = 1; capture <= CAPTURES; capture++) {
            rig.publish("results." + (1 + capture % 3), Messages.result(capture));
        }
        Ingestor ingestor = rig.ingest(ONE_WRITER.withGiveUpAfter(Duration.ofSeconds(1)));
        awaitAttempts();
        Eventually.await(
                "the outage is told",
                PATIENCE,
                () -> String.valueOf(ingestor.metrics().snapshot().blocked()),
                why -> !why.equals("null"));
        rig.execute("ALTER TABLE results.job_capture DISABLE TRIGGER failing");
        rig.awaitFinished();
        assertThat(applied()).isEqualTo(CAPTURES);
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
        Eventually.await(
                "the end of the outage is told",
                PATIENCE,
                () -> String.valueOf(ingestor.metrics().snapshot().blocked()),
                "null"::equals);
    }

    @Test
    void aTableThatAMigrationLocksBlamesNoMessage() throws Exception {
        timeout("400ms");
        countAttempts();
        rig.execute("ALTER TABLE results.detection SET (autovacuum_enabled = off)");
        for (int capture = 1; capture <= CAPTURES; capture++) {
            rig.publish("results." + (1 + capture % 3), Messages.result(capture, Messages.detection(capture, 1)));
        }
        try (Connection migration = Database.connect(rig.database());
                Statement statement = migration.createStatement()) {
            migration.setAutoCommit(false);
            statement.execute("LOCK TABLE results.detection IN ACCESS EXCLUSIVE MODE");
            rig.ingest(ONE_WRITER.withGiveUpAfter(Duration.ZERO));
            awaitAttempts();
            migration.rollback();
        }
        rig.awaitFinished();
        assertThat(applied()).isEqualTo(CAPTURES);
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
    }

    @Test
    void aRowThatTheApplicationLocksHoldsUpItsMessageAloneAndLosesNone() throws Exception {
        timeout("400ms");
        countAttempts();
        for (int capture = 1; capture <= CAPTURES; capture++) {
            rig.publish("results." + (1 + capture % 3), Messages.result(capture, Messages.detection(capture, 1)));
        }
        try (Connection application = Database.connect(rig.database());
                Statement statement = application.createStatement()) {
            application.setAutoCommit(false);
            statement.execute("SELECT FROM results.capture WHERE id = " + ODD + " FOR UPDATE");
            rig.ingest(ONE_WRITER.withGiveUpAfter(Duration.ZERO));
            Eventually.await("the others are applied", PATIENCE, this::applied, n -> n == CAPTURES - 1);
            awaitAttempts();
            assertThat(rig.left()).isEqualTo(1);
            application.rollback();
        }
        rig.awaitFinished();
        assertThat(applied()).isEqualTo(CAPTURES);
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
    }

    private long applied() {
        return rig.number("SELECT count(*) FROM results.job_capture");
    }

    private void timeout(String time) {
        String database = rig.rows("SELECT current_database()").get(0).get(0).toString();
        rig.execute("ALTER DATABASE " + database + " SET statement_timeout = '" + time + "'");
    }

    private void failing(String how, String when) {
        rig.execute("""
                CREATE SEQUENCE results.attempts;
                CREATE FUNCTION results.failing() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN %s; RETURN NEW; END $$;
                CREATE TRIGGER failing BEFORE INSERT ON results.job_capture FOR EACH ROW WHEN (%s)
                EXECUTE FUNCTION results.failing()""".formatted(how, when));
    }

    private void countAttempts() {
        rig.execute("""
                CREATE SEQUENCE results.attempts;
                ALTER FUNCTION results.limit_waits() RENAME TO limit_waits_uncounted;
                CREATE FUNCTION results.limit_waits() RETURNS text LANGUAGE plpgsql AS $$
                BEGIN
                    PERFORM nextval('results.attempts');
                    RETURN results.limit_waits_uncounted();
                END $$""");
    }

    private void awaitAttempts() {
        long before = rig.number("SELECT last_value FROM results.attempts");
        Eventually.await(
                "it is tried often",
                PATIENCE,
                () -> rig.number("SELECT last_value FROM results.attempts"),
                n -> n - before >= ATTEMPTS);
    }
}
