package dev.countersink.db;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.zaxxer.hikari.HikariDataSource;
import dev.countersink.config.DbSettings;
import dev.countersink.config.StartupException;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

class MigrationTest {
    @Test
    void twoInstancesThatStartAtOnceMigrateOnce() throws Exception {
        DbSettings settings = TestPostgres.empty();
        CountDownLatch both = new CountDownLatch(2);
        ExecutorService threads = Executors.newFixedThreadPool(2);
        try {
            Future<?> one = threads.submit(() -> startWith(settings, both));
            Future<?> two = threads.submit(() -> startWith(settings, both));
            one.get();
            two.get();
        } finally {
            threads.shutdownNow();
        }
        assertThat(number(settings, "SELECT count(*) - count(DISTINCT id) FROM countersink_changelog"))
                .isZero();
        assertThat(number(settings, "SELECT count(*) FROM control.runs(NULL, 1)"))
                .isZero();
    }

    @Test
    void aLockLeftByACrashedInstanceIsReleased() throws Exception {
        DbSettings settings = TestPostgres.migrated();
        execute(
                settings,
                "UPDATE countersink_changelog_lock SET locked = true, lockgranted = now(), lockedby = 'gone'");
        execute(settings, "DELETE FROM countersink_changelog WHERE id = 'release 0.1.0'");
        Database.open(settings).close();
        assertThat(number(settings, "SELECT count(*) FROM countersink_changelog WHERE id = 'release 0.1.0'"))
                .isOne();
    }

    @Test
    void whatIsToBeDoneIsToldBeforeItIsDone() throws Exception {
        DbSettings settings = TestPostgres.migrated();
        execute(settings, "DELETE FROM countersink_changelog WHERE id = 'release 0.1.0'");
        ListAppender<ILoggingEvent> lines = new ListAppender<>();
        lines.start();
        Logger logger = (Logger) LoggerFactory.getLogger(Migration.class);
        Level usual = logger.getLevel();
        logger.addAppender(lines);
        logger.setLevel(Level.INFO);
        try {
            Database.open(settings).close();
        } finally {
            logger.setLevel(usual);
            logger.detachAppender(lines);
        }
        assertThat(List.copyOf(lines.list))
                .extracting(ILoggingEvent::getFormattedMessage)
                .containsSubsequence(
                        "Bringing the schema up to date; new or changed files: 1", "The schema is up to date");
    }

    @Test
    void aSchemaFromBeforeACommentWasCorrectedIsTaken() throws Exception {
        DbSettings settings = TestPostgres.migrated();
        execute(
                settings,
                "UPDATE countersink_changelog SET md5sum = '9:3ee3810dcbcc95ffe9076e8c37d11f8b' WHERE id = 'liquibase/migrations/010-tally.sql'");
        Database.open(settings).close();
        assertThat(number(settings, "SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
    }

    @Test
    void aSecondStartChangesNothing() throws Exception {
        DbSettings settings = TestPostgres.migrated();
        long before = number(settings, "SELECT max(orderexecuted) FROM countersink_changelog");
        Database.open(settings).close();
        assertThat(number(settings, "SELECT max(orderexecuted) FROM countersink_changelog"))
                .isEqualTo(before);
    }

    @Test
    void aSchemaNewerThanThisProgramIsRefused() throws Exception {
        DbSettings settings = TestPostgres.migrated();
        execute(
                settings,
                "INSERT INTO countersink_changelog (id, author, filename, dateexecuted, orderexecuted, exectype)"
                        + " VALUES ('release 9.0.0', 'countersink', 'liquibase/changelog.xml', now(), 9999, 'EXECUTED')");
        assertThatThrownBy(() -> Database.open(settings))
                .isInstanceOf(StartupException.class)
                .hasMessage("The database's schema is newer than this program: it has 'release 9.0.0',"
                        + " which this program lacks.");
    }

    @Test
    void whatAnotherVersionOfTheEngineGeneratedIsMadeAnew() throws Exception {
        DbSettings settings = TestPostgres.migrated();
        execute(settings, "UPDATE tally.derived_view SET generated_by = 'another' WHERE relation_name = 'fact'");
        execute(
                settings,
                "CREATE OR REPLACE FUNCTION results.fact_consume(tally_max_keys integer) RETURNS tally.merge_result LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RAISE division_by_zero; END'");
        assertThat(number(settings, "SELECT count(*) FROM tally.health WHERE view = 'results.fact' AND NOT ok"))
                .isOne();
        Database.open(settings).close();
        execute(settings, "SELECT tally.refresh('results.fact')");
        assertThat(number(settings, "SELECT pending FROM tally.status WHERE name = 'results.fact'"))
                .isZero();
        assertThat(number(settings, "SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
    }

    @Test
    void writersGoOnWhileAMigrationWaitsForTheirTable() throws Exception {
        DbSettings settings = TestPostgres.migrated();
        execute(settings, "DELETE FROM countersink_changelog WHERE id = 'sql/results/determine.sql'");
        goesOnWhile(settings, "LOCK TABLE results.identification IN ROW EXCLUSIVE MODE", "results.identification");
        assertThat(number(
                        settings, "SELECT count(*) FROM countersink_changelog WHERE id = 'sql/results/determine.sql'"))
                .isOne();
    }

    @Test
    void readersGoOnWhileALiveViewCannotBeMadeAnew() throws Exception {
        DbSettings settings = TestPostgres.migrated();
        execute(settings, "UPDATE tally.derived_view SET generated_by = 'another'");
        goesOnWhile(settings, "LOCK TABLE results.event_counts_live IN ACCESS SHARE MODE", "results.event_counts_live");
        assertThat(number(settings, "SELECT count(*) FROM tally.outdated(true)"))
                .isZero();
    }

    /** A lock is held while an instance starts: others who want the same are served, and the instance starts once it is released. */
    private static void goesOnWhile(DbSettings settings, String lock, String relation) throws Exception {
        String waiting =
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '%s'::regclass".formatted(relation);
        ExecutorService threads = Executors.newSingleThreadExecutor();
        try (Sql holder = new Sql(settings);
                Sql other = new Sql(settings)) {
            holder.run("BEGIN; " + lock);
            Future<?> start = threads.submit(() -> startWith(settings, new CountDownLatch(0)));
            for (int attempt = 0; attempt < 2; attempt++) {
                Eventually.await("an attempt", () -> other.number(waiting), count -> count > 0);
                other.run("SET statement_timeout = '20s'; BEGIN; " + lock + "; ROLLBACK");
            }
            assertThat(start.isDone()).isFalse();
            holder.run("ROLLBACK");
            start.get();
        } finally {
            threads.shutdownNow();
        }
    }

    @Test
    void aFailureNamesTheFileAndWhatTheServerSaid() {
        Exception failure = new IllegalStateException(
                "Migration failed for changeset liquibase/changelog.xml::sql/tally/merge.sql::countersink: Reason: …",
                new SQLException("ERROR: function tally.nothing() does not exist\n  Hint: none\n  Position: 7"));
        assertThat(Migration.reason(failure))
                .isEqualTo(
                        "sql/tally/merge.sql: ERROR: function tally.nothing() does not exist; Hint: none; Position: 7");
    }

    @Test
    void theServerIsOfTheVersionUnderTest() throws Exception {
        assertThat(number(TestPostgres.empty(), "SELECT current_setting('server_version_num')::int / 10000"))
                .isEqualTo(TestPostgres.version());
    }

    private static void startWith(DbSettings settings, CountDownLatch both) {
        both.countDown();
        try {
            both.await();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        try (HikariDataSource pool = Database.open(settings)) {
            assertThat(pool.isRunning()).isTrue();
        }
    }

    private static long number(DbSettings settings, String sql) throws SQLException {
        try (Connection connection = Database.connect(settings);
                Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery(sql)) {
            row.next();
            return row.getLong(1);
        }
    }

    private static void execute(DbSettings settings, String sql) throws SQLException {
        try (Connection connection = Database.connect(settings);
                Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }
}
