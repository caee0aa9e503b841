package dev.countersink.refresh;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.ItemView;
import dev.countersink.testing.OtherInstance;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestInstance;
import dev.countersink.testing.TestNats;
import dev.countersink.testing.TestPostgres;
import org.junit.jupiter.api.Test;

class ScheduleTest {
    private static final String STORED = "SELECT count(*) FROM app.item_fact";
    private static final String JOBS = "SELECT count(*) FROM quartz.qrtz_triggers WHERE trigger_group = 'views'"
            + " AND trigger_name = 'app.item_fact'";

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
    void twoInstancesShareOneJobForEachViewAndOneGoesOnAlone() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql sql = new Sql(db);
                TestNats nats = new TestNats();
                TestInstance one = TestInstance.start(db, nats);
                OtherInstance two = OtherInstance.start(db, nats)) {
            ItemView.create(sql);
            Eventually.await("both in the cluster", () -> sql.number(INSTANCES), n -> n == 2);
            Eventually.await("one job", () -> sql.number(JOBS), n -> n == 1);
            one.stop();
            sql.run("INSERT INTO app.item VALUES (1, 1)");
            Eventually.await("the other instance merges", () -> sql.number(STORED), n -> n == 1);
            assertThat(sql.number(JOBS)).isOne();
            assertThat(two).isNotNull();
        }
    }
}
