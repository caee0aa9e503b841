package dev.countersink.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.ItemView;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestInstance;
import dev.countersink.testing.TestNats;
import dev.countersink.testing.TestPostgres;
import java.util.Map;
import org.junit.jupiter.api.Test;

class MaintenanceTest {
    private static final String JOBS = "SELECT count(*) FROM quartz.qrtz_triggers WHERE trigger_name = 'maintenance'";

    @Test
    void everyViewIsVerifiedByASampleAndOldRunsAreForgotten() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql sql = new Sql(db);
                TestNats nats = new TestNats()) {
            ItemView.create(sql);
            sql.run("""
                    INSERT INTO app.item SELECT i, 10 FROM generate_series(1, 1000) i;
                    SELECT tally.refresh('app.item_fact');
                    UPDATE app.item_fact SET share = 99;
                    INSERT INTO control.run (view, action, requested_at) VALUES ('app.old', 'refresh', now() - interval '25 hours'),
                        ('app.new', 'refresh', now() - interval '23 hours');
                    """);
            Map<String, Object> eachSecond = Map.of(
                    "countersink.maintenance.cron", "* * * * * ?",
                    "countersink.maintenance.verify-sample", "0.1",
                    "countersink.maintenance.keep-runs", "24h");
            try (TestInstance instance = TestInstance.start(db, nats, eachSecond)) {
                Eventually.await(
                        "all verified",
                        () -> sql.number(
                                "SELECT count(*) FROM tally.due() d WHERE NOT EXISTS (SELECT FROM control.run r"
                                        + " WHERE r.view = d.name AND r.action = 'verify' AND r.sample = 0.1 AND r.state = 'done')"),
                        left -> left == 0);
                assertThat(sql.number("SELECT count(*) FROM control.run WHERE view = 'app.old'"))
                        .isZero();
                assertThat(sql.number("SELECT count(*) FROM control.run WHERE view = 'app.new'"))
                        .isOne();
                // Each differing key counts twice, as stored and as it should be: of 2,000 keys about 200.
                assertThat(
                                sql.number(
                                        "SELECT max((result ->> 'differences')::int) FROM control.run WHERE view = 'app.item_fact'"))
                        .isBetween(40L, 1000L);
                assertThat(
                                sql.number(
                                        "SELECT count(*) FROM control.run WHERE view <> 'app.item_fact' AND result ->> 'agrees' = 'false'"))
                        .isZero();
                assertThat(instance.get("/api/runs?limit=1")
                                .json()
                                .path("items")
                                .size())
                        .isOne();
            }
        }
    }

    @Test
    void offMeansNone() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql sql = new Sql(db);
                TestNats nats = new TestNats()) {
            TestInstance.start(db, nats).close();
            assertThat(sql.number(JOBS)).isOne();
            TestInstance.start(db, nats, Map.of("countersink.maintenance.cron", "off"))
                    .close();
            assertThat(sql.number(JOBS)).isZero();
        }
    }
}
