package dev.countersink.monitor;

import static org.assertj.core.api.Assertions.assertThat;

import com.zaxxer.hikari.HikariDataSource;
import dev.countersink.config.DbSettings;
import dev.countersink.config.WatchdogSettings;
import dev.countersink.db.Database;
import dev.countersink.db.GuardDb;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.postgresql.PGConnection;
import org.postgresql.replication.LogSequenceNumber;
import org.postgresql.replication.PGReplicationStream;
import tools.jackson.databind.json.JsonMapper;

/** What is stored of alerts, and what the watchdog cancels, on a real server. */
class AlertsTest {
    private static final String LATE =
            "{\"rule\":\"ViewLate\",\"subject\":\"a.v\",\"level\":\"bad\",\"sentence\":\"s\",\"remedy\":\"r\",\"hold\":%s}";

    private DbSettings db;
    private HikariDataSource pool;
    private Sql sql;
    private GuardDb guard;

    @BeforeEach
    void open() {
        db = TestPostgres.migrated();
        pool = Database.pool(db);
        sql = new Sql(db);
        guard = new GuardDb(pool);
    }

    @AfterEach
    void close() throws Exception {
        sql.close();
        pool.close();
    }

    @Test
    void whatDoesNotLastFiresNotAndLeavesNothing() {
        guard.noteAlerts("", "[" + LATE.formatted(60) + "]");
        guard.noteAlerts("", "[" + LATE.formatted(60) + "]");
        assertThat(guard.alerts(null, 10, null)).isEmpty();
        assertThat(guard.takeNotice()).isEmpty();
        guard.noteAlerts("", "[]");
        assertThat(sql.number("SELECT count(*) FROM control.alert")).isZero();
    }

    @Test
    void whatLastsFiresOnceAndIsOverOnce() {
        guard.noteAlerts("", "[" + LATE.formatted(60) + "]");
        sql.run("UPDATE control.alert SET since = since - interval '61 s'");
        guard.noteAlerts("", "[" + LATE.formatted(60) + "]");
        guard.noteAlerts("", "[" + LATE.formatted(60) + "]");
        assertThat(guard.alerts(null, 10, "firing")).hasSize(1);
        guard.noteAlerts("", "[]");
        assertThat(guard.alerts(null, 10, "firing")).isEmpty();
        assertThat(guard.alerts(null, 10, "resolved")).hasSize(1);
        guard.noteAlerts("", "[" + LATE.formatted(0) + "]");
        assertThat(guard.alerts(null, 10, null)).hasSize(2);
        assertThat(guard.alerts(null, 1, null).get(0)).contains("\"state\": \"firing\"");
        assertThat(guard.forgetAlerts(Duration.ZERO)).isOne();
    }

    @Test
    void nothingIsWrittenWhileNothingChanges() {
        guard.noteAlerts("", "[" + LATE.formatted(0) + "]");
        String before = sql.text("SELECT xmin::text FROM control.alert");
        guard.noteAlerts("", "[" + LATE.formatted(0) + "]");
        assertThat(sql.text("SELECT xmin::text FROM control.alert")).isEqualTo(before);
    }

    @Test
    void anInstanceTellsOnlyOfItselfAndIsForgottenWhenItIsGone() {
        sql.run(
                "INSERT INTO quartz.qrtz_scheduler_state VALUES ('countersink', 'one', extract(epoch FROM now()) * 1000, 10000),"
                        + " ('countersink', 'two', extract(epoch FROM now()) * 1000, 10000)");
        assertThat(guard.leads("one")).isTrue();
        assertThat(guard.leads("two")).isFalse();
        guard.noteAlerts("two", "[" + LATE.formatted(0) + "]");
        guard.noteAlerts("one", "[]");
        guard.noteAlerts("", "[]");
        assertThat(guard.alerts(null, 10, "firing")).hasSize(1);
        sql.run("DELETE FROM quartz.qrtz_scheduler_state WHERE instance_name = 'two'");
        guard.noteAlerts("one", "[]");
        assertThat(guard.alerts(null, 10, "firing")).isEmpty();
        sql.run(
                "UPDATE quartz.qrtz_scheduler_state SET last_checkin_time = 0; INSERT INTO quartz.qrtz_scheduler_state VALUES ('countersink', 'two', extract(epoch FROM now()) * 1000, 10000)");
        assertThat(guard.leads("two")).isTrue();
    }

    @Test
    void theWatchdogCancelsOnlyLongStatementsOfTheRolesNamed() throws Exception {
        String database = sql.text("SELECT current_database()::text");
        for (String role : new String[] {"slow_reporter", "slow_other"}) {
            sql.run(
                    "DO $$ BEGIN CREATE ROLE %1$s LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$; GRANT CONNECT ON DATABASE \"%2$s\" TO %1$s"
                            .formatted(role, database));
        }
        SimpleMeterRegistry meters = new SimpleMeterRegistry();
        Watchdog watchdog = new Watchdog(
                new WatchdogSettings(List.of("slow_reporter"), Duration.ofSeconds(1)),
                guard,
                meters,
                JsonMapper.shared());
        try (Connection named = connect("slow_reporter");
                Connection other = connect("slow_other");
                Statement othersStatement = other.createStatement()) {
            CompletableFuture<String> cancelled = CompletableFuture.supplyAsync(() -> state(named));
            CompletableFuture<String> spared = CompletableFuture.supplyAsync(() -> state(othersStatement));
            watchdog.start();
            assertThat(cancelled.get()).isEqualTo("57014");
            Eventually.await(
                    "it is counted",
                    () -> meters.get("countersink.watchdog.cancelled")
                            .tag("role", "slow_reporter")
                            .counter()
                            .count(),
                    count -> count == 1);
            assertThat(spared).isNotDone();
            othersStatement.cancel();
            assertThat(spared.get()).isEqualTo("57014");
            assertThat(named.isValid(5)).isTrue();
        } finally {
            watchdog.stop();
        }
    }

    @Test
    void theWatchdogLeavesReplicationAlone() throws Exception {
        sql.run(
                "DO $$ BEGIN CREATE ROLE slow_streamer LOGIN REPLICATION; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
        DbSettings streamer = DbSettings.of(
                db.url() + "?replication=database&preferQueryMode=simple&assumeMinServerVersion=15",
                "slow_streamer",
                db.password());
        try (Connection connection = Database.connect(streamer);
                PGReplicationStream stream = connection
                        .unwrap(PGConnection.class)
                        .getReplicationAPI()
                        .replicationStream()
                        .physical()
                        .withStartPosition(
                                LogSequenceNumber.valueOf(sql.text("SELECT pg_current_wal_flush_lsn()::text")))
                        .start()) {
            assertThat(
                            sql.text(
                                    "SELECT backend_type || ' ' || state FROM pg_stat_activity WHERE usename = 'slow_streamer'"))
                    .isEqualTo("walsender active");
            sql.run("SELECT pg_sleep(0.01)"); // longer than the limit below
            assertThat(guard.cancelLongStatements(List.of("slow_streamer"), Duration.ofMillis(1)))
                    .isEmpty();
            assertThat(stream.isClosed()).isFalse();
        }
    }

    @Test
    void theWatchdogLeavesItsOwnProgramAloneWhateverThatIsCalled() throws Exception {
        for (String name : new String[] {"countersink", "orders", "countersink - 127.0.0.1:4711"}) {
            DbSettings named =
                    DbSettings.of(db.url() + "?ApplicationName=" + name.replace(" ", "%20"), db.user(), db.password());
            try (HikariDataSource own = Database.pool(named);
                    Connection merging = own.getConnection();
                    Statement statement = merging.createStatement();
                    Connection stranger = connect(db.user())) {
                CompletableFuture<String> merge = CompletableFuture.supplyAsync(() -> state(statement));
                CompletableFuture<String> other = CompletableFuture.supplyAsync(() -> state(stranger));
                GuardDb watchdog = new GuardDb(own);
                Eventually.await(
                        "that of somebody else is cancelled",
                        () -> {
                            watchdog.cancelLongStatements(List.of(db.user()), Duration.ofMillis(1));
                            return other.isDone();
                        },
                        done -> done);
                assertThat(other.get()).isEqualTo("57014");
                assertThat(
                                sql.number(
                                        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(60)'"))
                        .as(name)
                        .isOne();
                statement.cancel();
                assertThat(merge.get()).isEqualTo("57014");
            }
        }
    }

    @Test
    void aCancelledStatementIsToldInOneLineWhateverIsInIt() throws Exception {
        sql.run(
                "DO $$ BEGIN CREATE ROLE odd_reporter LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$; GRANT CONNECT ON DATABASE \"%s\" TO odd_reporter"
                        .formatted(sql.text("SELECT current_database()::text")));
        try (Connection odd = connect("odd_reporter");
                Statement statement = odd.createStatement()) {
            CompletableFuture<String> state = CompletableFuture.supplyAsync(
                    () -> state(statement, "/* \u001b[2J\u202e\r\n\n10:00:00.000 WARN forged */ SELECT pg_sleep(60)"));
            String told = Eventually.await(
                    "it is cancelled",
                    () -> String.join("", guard.cancelLongStatements(List.of("odd_reporter"), Duration.ofMillis(1))),
                    text -> !text.isEmpty());
            assertThat(state.get()).isEqualTo("57014");
            String shown = JsonMapper.shared().readTree(told).path("statement").asString();
            assertThat(shown)
                    .contains(" 10:00:00.000 WARN forged */ SELECT pg_sleep(60)")
                    .doesNotContainPattern("\\p{Cntrl}|\u202e");
        }
    }

    @Test
    void theWatchdogTellsWhichRolesItCannotWatch() throws Exception {
        sql.run(
                "DO $$ BEGIN CREATE ROLE watch_super SUPERUSER; CREATE ROLE \"watch, 'odd'\"; CREATE ROLE watch_member; CREATE ROLE watch_itself LOGIN;"
                        + " GRANT watch_member TO watch_itself; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
                        + " GRANT USAGE ON SCHEMA control TO watch_itself; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA control TO watch_itself");
        try (HikariDataSource own = Database.pool(DbSettings.of(db.url(), "watch_itself", db.password()))) {
            assertThat(new GuardDb(own)
                            .watchdogLacks(List.of(
                                    "watch_super", "watch, 'odd'", "watch_member", "watch_itself", "watch_none")))
                    .containsExactlyInAnyOrder(
                            "the role watch_super is a superuser, and watch_itself is not",
                            "it may not cancel statements of \"watch, 'odd'\": GRANT pg_signal_backend TO watch_itself",
                            "there is no role watch_none");
        }
        assertThat(guard.watchdogLacks(List.of("watch_super", "watch_itself"))).isEmpty();
    }

    private Connection connect(String role) throws SQLException {
        Connection connection = Database.connect(DbSettings.of(db.url(), role, db.password()));
        try (Statement statement = connection.createStatement()) {
            statement.execute("SET application_name = 'reports'");
        }
        return connection;
    }

    private static String state(Connection connection) {
        try (Statement statement = connection.createStatement()) {
            return state(statement);
        } catch (SQLException e) {
            return e.getSQLState();
        }
    }

    private static String state(Statement statement) {
        return state(statement, "SELECT pg_sleep(60)");
    }

    private static String state(Statement statement, String query) {
        try {
            statement.execute(query);
            return "finished";
        } catch (SQLException e) {
            return e.getSQLState();
        }
    }
}
