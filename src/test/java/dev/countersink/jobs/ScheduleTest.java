package dev.countersink.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.DbSettings;
import dev.countersink.db.Database;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.ItemView;
import dev.countersink.testing.OtherInstance;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestInstance;
import dev.countersink.testing.TestNats;
import dev.countersink.testing.TestPostgres;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ScheduleTest {
    private static final String STORED = "SELECT count(*) FROM app.item_fact";
    private static final String JOBS =
            "SELECT count(*) FROM quartz.qrtz_triggers WHERE trigger_name IN ('a.chart', 'app.item_fact')";

    private static final String REFRESHED = "SELECT last_merge_at::text FROM tally.status WHERE name = 'app.chart'";
    private static final String FIRED =
            "SELECT prev_fire_time FROM quartz.qrtz_triggers WHERE trigger_name = 'app.chart'";
    private static final String INSTANCES = "SELECT count(*) FROM quartz.qrtz_scheduler_state";

    @Test
    void whatAnApplicationWritesIsMergedByTheSchedule() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql sql = new Sql(db);
                TestNats nats = new TestNats();
                TestInstance instance = TestInstance.start(db, nats)) {
            ItemView.create(sql);
            sql.run("INSERT INTO app.item SELECT i, 10 FROM generate_series(1, 1000) i");
            Eventually.await("all rows stored", () -> sql.number(STORED), n -> n == 1000);
            sql.run("DELETE FROM app.item WHERE id > 10");
            Eventually.await("the deleted gone", () -> sql.number(STORED), n -> n == 10);
            assertThat(instance.get("/actuator/prometheus").response().body())
                    .contains("countersink_merge_changed_total{view=\"app.item_fact\"}");
        }
    }

    @Test
    void anInstanceGoesOnWhenAnotherIsKilled() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql sql = new Sql(db);
                TestNats nats = new TestNats();
                TestInstance one = TestInstance.start(db, nats);
                OtherInstance two = OtherInstance.start(db, nats)) {
            ItemView.create(sql);
            Eventually.await("both in the cluster", Duration.ofMinutes(3), () -> sql.number(INSTANCES), n -> n == 2);
            two.kill();
            sql.run("INSERT INTO app.item VALUES (1, 1)");
            Eventually.await("the other instance merges", () -> sql.number(STORED), n -> n == 1);
            // It did not wait until the cluster knew that one is dead.
            assertThat(sql.number(INSTANCES)).isEqualTo(2);
            assertThat(one).isNotNull();
        }
    }

    /** Its session goes on until PostgreSQL notices, or its statement ends; the other instance takes the next step. */
    @Test
    void anInstanceGoesOnWhenTheOneThatHoldsAMergeIsKilled() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql sql = new Sql(db);
                TestNats nats = new TestNats();
                OtherInstance first = OtherInstance.start(db, nats);
                Connection holder = Database.connect(db);
                Statement hold = holder.createStatement()) {
            ItemView.create(sql);
            Eventually.await("it lives", Duration.ofMinutes(3), () -> sql.number(INSTANCES), n -> n == 1);
            holder.setAutoCommit(false);
            hold.execute("LOCK TABLE app.item_fact IN SHARE ROW EXCLUSIVE MODE");
            sql.run("INSERT INTO app.item VALUES (1, 1)");
            Eventually.await(
                    "its merge waits",
                    () -> sql.number("SELECT count(*) FROM control.merging() WHERE waits IS NOT NULL"),
                    n -> n == 1);
            try (TestInstance second = TestInstance.start(db, nats)) {
                Eventually.await("both in the cluster", () -> sql.number(INSTANCES), n -> n == 2);
                first.kill();
                sql.run("INSERT INTO app.item VALUES (2, 1)");
                holder.rollback();
                Eventually.await("the other goes on", () -> sql.number(STORED), n -> n == 2);
                // It did not wait until the cluster knew that one is dead, which takes longer than it may.
                assertThat(sql.number(INSTANCES)).isEqualTo(2);
                assertThat(second).isNotNull();
            }
        }
    }

    /** The thread that asks sleeps while its only view is merged, and must ask for that view again when its next turn comes. */
    @Test
    void aViewIsMergedAgainAndAgainThoughItIsTheOnlyOne() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql sql = new Sql(db)) {
            sql.run("SELECT tally.pause(name) FROM tally.due()");
            ItemView.create(sql);
            try (TestNats nats = new TestNats();
                    TestInstance instance = TestInstance.start(db, nats, Map.of("countersink.refresh.follow", "1h"))) {
                for (int i = 1; i <= 5; i++) {
                    int n = i;
                    sql.run("INSERT INTO app.item VALUES (%d, 1)".formatted(n));
                    Eventually.await("row %d stored".formatted(n), () -> sql.number(STORED), rows -> rows == n);
                }
                assertThat(instance).isNotNull();
            }
        }
    }

    @Test
    void aViewAtWhichNothingHappensIsNotMerged() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql admin = new Sql(db)) {
            admin.run(
                    "ALTER DATABASE %s SET track_functions = 'all'".formatted(admin.text("SELECT current_database()")));
        }
        try (Sql sql = new Sql(db);
                TestNats nats = new TestNats();
                TestInstance instance = TestInstance.start(db, nats)) {
            ItemView.create(sql);
            sql.run("INSERT INTO app.item VALUES (1, 1)");
            Eventually.await("merged", () -> sql.number(STORED), n -> n == 1);
            askedOn(sql); // the catalog has just changed, so definitions are looked at once more
            double merges = merges(instance);
            askedOn(sql);
            assertThat(merges(instance)).isEqualTo(merges);
            sql.run("INSERT INTO app.item VALUES (2, 1)");
            Eventually.await("merged", () -> sql.number(STORED), n -> n == 2);
            sql.run("CREATE OR REPLACE VIEW app.item_fact_def AS SELECT id, 200 / n AS share FROM app.item");
            Eventually.await(
                    "another definition is followed",
                    () -> sql.number("SELECT count(*) FROM app.item_fact WHERE share = 200"),
                    n -> n == 2);
        }
    }

    /** Until the service has asked many times which views have something to do. */
    private static void askedOn(Sql sql) {
        long asked = asked(sql);
        Eventually.await("asked on and on", () -> asked(sql), n -> n >= asked + 30);
    }

    private static long asked(Sql sql) {
        return sql.number(
                "SELECT coalesce(sum(calls), 0) FROM pg_stat_user_functions WHERE schemaname = 'tally' AND funcname = 'ready'");
    }

    private static double merges(TestInstance instance) {
        String name = "countersink_merge_seconds_count{view=\"app.item_fact\"} ";
        return instance.get("/actuator/prometheus")
                .response()
                .body()
                .lines()
                .filter(line -> line.startsWith(name))
                .mapToDouble(line -> Double.parseDouble(line.substring(name.length())))
                .sum();
    }

    @Test
    void aTriggerInErrorAndAJobOfAnotherReleaseAreSetRight() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql sql = new Sql(db);
                TestNats nats = new TestNats();
                TestInstance instance = TestInstance.start(db, nats)) {
            sql.run("""
                    CREATE SCHEMA a;
                    CREATE TABLE a.item (n int PRIMARY KEY);
                    CREATE MATERIALIZED VIEW a.chart AS SELECT n FROM a.item;
                    CREATE UNIQUE INDEX ON a.chart (n);
                    SELECT tally.create_snapshot('a.chart');
                    SELECT tally.schedule('a.chart', '{"cron":"* * * * * ?"}');
                    SELECT tally.activate('a.chart');
                    """);
            Eventually.await("one job", () -> sql.number(JOBS), n -> n == 1);
            sql.run("""
                    UPDATE quartz.qrtz_job_details SET job_class_name = 'dev.countersink.gone.Job' WHERE job_name = 'a.chart';
                    UPDATE quartz.qrtz_triggers SET trigger_state = 'ERROR' WHERE trigger_name IN ('a.chart', 'maintenance');
                    """);
            Eventually.await(
                    "none in error",
                    () -> sql.number("SELECT count(*) FROM quartz.qrtz_triggers WHERE trigger_state = 'ERROR'"),
                    n -> n == 0);
            sql.run("INSERT INTO a.item VALUES (1)");
            Eventually.await("refreshed", () -> sql.number("SELECT count(*) FROM a.chart"), n -> n == 1);
            assertThat(instance).isNotNull();
        }
    }

    @Test
    void aSnapshotIsRefreshedByItsCronOnlyWhenASourceHasChanged() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql sql = new Sql(db);
                TestNats nats = new TestNats();
                TestInstance instance = TestInstance.start(db, nats, Map.of("countersink.refresh.interval", "1h"))) {
            ItemView.create(sql);
            sql.run("""
                    CREATE MATERIALIZED VIEW app.chart AS SELECT n, count(*) AS items FROM app.item GROUP BY n;
                    CREATE UNIQUE INDEX ON app.chart (n);
                    SELECT tally.create_snapshot('app.chart');
                    SELECT tally.schedule('app.chart', '{"cron":"* * * * * ?"}');
                    SELECT tally.activate('app.chart');
                    INSERT INTO app.item VALUES (1, 7), (2, 7);
                    """);
            Eventually.await(
                    "the chart shows both",
                    () -> sql.number("SELECT coalesce(sum(items), 0) FROM app.chart"),
                    n -> n == 2);
            String refreshed = sql.text(REFRESHED);
            long fired = sql.number(FIRED);
            Eventually.await("two more firings", () -> sql.number(FIRED), at -> at >= fired + 2000);
            assertThat(sql.text(REFRESHED)).isEqualTo(refreshed);
            assertThat(sql.text("SELECT time_zone_id FROM quartz.qrtz_cron_triggers WHERE trigger_name = 'app.chart'"))
                    .isEqualTo("UTC");
            assertThat(instance.get("/api/views/app.chart").json().path("cron").asString())
                    .isEqualTo("* * * * * ?");
        }
    }

    @Test
    void aChangedScheduleIsFollowedAtOnce() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql sql = new Sql(db);
                TestNats nats = new TestNats();
                TestInstance instance = TestInstance.start(
                        db, nats, Map.of("countersink.refresh.interval", "1h", "countersink.refresh.follow", "1h"))) {
            ItemView.create(sql);
            sql.run("INSERT INTO app.item VALUES (1, 1)");
            String path = "/api/views/" + ItemView.NAME;
            assertThat(instance.patch(path + "/schedule", "*", "{\"interval\":\"100ms\",\"priority\":3}")
                            .status())
                    .isEqualTo(200);
            // The next synchronization is an hour away.
            Eventually.await("merged", () -> sql.number(STORED), n -> n == 1);
            assertThat(instance.get(path).json().path("priority").asInt()).isEqualTo(3);
            assertThat(sql.number(JOBS)).isZero();
        }
    }

    @Test
    void aCronThatCannotBeReadHoldsUpNoOtherView() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql sql = new Sql(db);
                TestNats nats = new TestNats();
                TestInstance instance = TestInstance.start(db, nats)) {
            sql.run("""
                    CREATE SCHEMA a;
                    CREATE TABLE a.item (n int PRIMARY KEY);
                    CREATE MATERIALIZED VIEW a.chart AS SELECT n FROM a.item;
                    CREATE UNIQUE INDEX ON a.chart (n);
                    SELECT tally.create_snapshot('a.chart');
                    SELECT tally.schedule('a.chart', '{"cron":"60 60 24 * * *","priority":100}');
                    SELECT tally.activate('a.chart');
                    """);
            ItemView.create(sql);
            sql.run("INSERT INTO app.item VALUES (1, 1)");
            Eventually.await("merged", () -> sql.number(STORED), n -> n == 1);
            assertThat(sql.number("SELECT count(*) FROM quartz.qrtz_triggers WHERE trigger_name = 'a.chart'"))
                    .isZero();
            sql.run("SELECT tally.schedule('a.chart', '{\"cron\":\"* * * * * ?\"}'); INSERT INTO a.item VALUES (1)");
            Eventually.await("refreshed", () -> sql.number("SELECT count(*) FROM a.chart"), n -> n == 1);
            assertThat(instance).isNotNull();
        }
    }
}
