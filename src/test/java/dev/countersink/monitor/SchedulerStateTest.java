package dev.countersink.monitor;

import static org.assertj.core.api.Assertions.assertThat;

import com.zaxxer.hikari.HikariDataSource;
import dev.countersink.db.ControlDb;
import dev.countersink.db.Database;
import dev.countersink.testing.ItemView;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What the database tells of the scheduler, its instances and requested runs. */
class SchedulerStateTest {
    private static HikariDataSource pool;
    private static Sql sql;
    private static ControlDb control;

    @BeforeAll
    static void open() {
        var db = TestPostgres.migrated();
        pool = Database.pool(db);
        sql = new Sql(db);
        control = new ControlDb(pool);
        ItemView.create(sql);
        sql.run("""
                INSERT INTO quartz.qrtz_job_details (sched_name, job_name, job_group, job_class_name, is_durable, is_nonconcurrent, is_update_data, requests_recovery)
                VALUES ('countersink', 'a.chart', 'views', 'X', true, true, false, false), ('countersink', 'b.chart', 'views', 'X', true, true, false, false),
                       ('countersink', 'maintenance', 'control', 'X', true, true, false, false);
                INSERT INTO quartz.qrtz_triggers (sched_name, trigger_name, trigger_group, job_name, job_group, next_fire_time, prev_fire_time, trigger_state, trigger_type, start_time)
                SELECT 'countersink', name, grp, name, grp, extract(epoch FROM now() + after) * 1000, -1, state, 'CRON', 0
                FROM (VALUES ('a.chart', 'views', interval '-60 s', 'WAITING'), ('b.chart', 'views', interval '-60 s', 'ERROR'),
                             ('maintenance', 'control', interval '1 h', 'WAITING')) t(name, grp, after, state);
                INSERT INTO quartz.qrtz_scheduler_state
                SELECT 'countersink', name, extract(epoch FROM now() - ago) * 1000, 10000 FROM (VALUES ('one', interval '1 s'), ('two', interval '30 s')) i(name, ago);
                SELECT control.request_run('app.item_fact', 'refresh'), control.request_run('app.item_fact', 'verify');
                UPDATE control.run SET state = 'running', started_at = now() - interval '5 s', instance = 'two' WHERE action = 'verify';
                """);
    }

    @AfterAll
    static void close() throws Exception {
        sql.close();
        pool.close();
    }

    @Test
    void aTriggerIsLateOnlyWhileItWaits() {
        List<JsonNode> triggers = json(control.triggers());
        assertThat(triggers)
                .extracting(t -> t.path("name").asString())
                .containsExactly("maintenance", "a.chart", "b.chart");
        assertThat(triggers.get(0).path("view").isNull()).isTrue();
        assertThat(triggers.get(0).path("late").asDouble()).isZero();
        assertThat(triggers.get(0).path("previous_fire_at").isNull()).isTrue();
        assertThat(triggers.get(1).path("view").asString()).isEqualTo("a.chart");
        assertThat(triggers.get(1).path("late").asDouble()).isBetween(60d, 300d);
        assertThat(triggers.get(2).path("state").asString()).isEqualTo("error");
        assertThat(triggers.get(2).path("late").asDouble()).isZero();
    }

    @Test
    void anInstanceThatIsSilentTooLongIsOverdue() {
        List<JsonNode> instances = json(control.instances());
        assertThat(instances).extracting(i -> i.path("name").asString()).containsExactly("one", "two");
        assertThat(instances).extracting(i -> i.path("overdue").asBoolean()).containsExactly(false, true);
        assertThat(instances).extracting(i -> i.path("runs").asInt()).containsExactly(0, 1);
    }

    @Test
    void whatIsUnfinishedIsCountedByState() {
        List<JsonNode> runs = json(control.unfinishedRuns());
        assertThat(runs).extracting(r -> r.path("state").asString()).containsExactly("queued", "running");
        assertThat(runs).extracting(r -> r.path("runs").asInt()).containsExactly(1, 1);
        assertThat(runs.get(1).path("oldest").asDouble()).isBetween(5d, 300d);
    }

    @Test
    void itIsMeasuredUntilTheDatabaseCannotBeAsked() {
        SimpleMeterRegistry registry = new SimpleMeterRegistry();
        SchedulerMetrics metrics = new SchedulerMetrics(registry);
        metrics.read(json(control.triggers()), json(control.instances()), json(control.unfinishedRuns()));
        assertThat(registry.get("countersink.scheduler.triggers").gauge().value())
                .isEqualTo(3);
        assertThat(registry.get("countersink.scheduler.triggers.late").gauge().value())
                .isEqualTo(1);
        assertThat(registry.get("countersink.scheduler.triggers.error").gauge().value())
                .isEqualTo(1);
        assertThat(registry.get("countersink.scheduler.checkin.age")
                        .tag("name", "two")
                        .gauge()
                        .value())
                .isGreaterThan(29);
        assertThat(registry.get("countersink.runs")
                        .tag("state", "queued")
                        .gauge()
                        .value())
                .isEqualTo(1);
        metrics.unknown();
        assertThat(registry.get("countersink.scheduler.triggers").gauge().value())
                .isNaN();
        assertThat(registry.find("countersink.runs").gauges()).isEmpty();
    }

    private static List<JsonNode> json(List<String> rows) {
        return rows.stream().map(JsonMapper.shared()::readTree).toList();
    }
}
