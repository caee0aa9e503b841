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
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Runs that somebody requested: who carries them out, and how they end. */
class RunsTest {
    private static final String VIEW = "/api/views/" + ItemView.NAME;
    private static final String RUNNING = "SELECT count(*) FROM control.run WHERE state = 'running'";
    private static final String INSTANCE = "SELECT instance FROM control.run";
    /** The instance that takes the run up has yet to start, in a process of its own. */
    private static final Duration START = Duration.ofMinutes(3);

    @Test
    void aRunWhoseInstanceIsKilledIsTakenUpByAnother() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql sql = new Sql(db);
                TestNats nats = new TestNats();
                OtherInstance first = OtherInstance.start(db, nats);
                Connection holder = Database.connect(db)) {
            ItemView.create(sql);
            hold(holder);
            long run = sql.number("SELECT control.request_run('app.item_fact', 'verify')");
            Eventually.await("taken up", START, () -> sql.number(RUNNING), n -> n == 1);
            String killed = sql.text(INSTANCE);
            try (TestInstance second = TestInstance.start(db, nats)) {
                first.kill();
                Eventually.await("taken up by the other", () -> sql.text(INSTANCE), name -> !name.equals(killed));
                holder.rollback();
                assertThat(finished(second, run).path("state").asString()).isEqualTo("done");
            }
        }
    }

    /** No signal comes from a machine that has lost its power, so the server has to ask. */
    @Test
    void theSessionThatHoldsARunAsksWhetherItsClientIsThere() throws Exception {
        try (Sql sql = new Sql(TestPostgres.migrated())) {
            ItemView.create(sql);
            sql.number("SELECT control.request_run('app.item_fact', 'verify')");
            String asks =
                    "SELECT concat_ws(' ', current_setting('tcp_keepalives_idle'), current_setting('tcp_keepalives_interval'),"
                            + " current_setting('tcp_keepalives_count'))";
            String before = sql.text(asks);
            assertThat(sql.number("SELECT count(*) FROM control.take_run('nobody', -1)"))
                    .isZero();
            assertThat(sql.text(asks)).isEqualTo(before);
            assertThat(sql.number("SELECT count(*) FROM control.take_run('here')"))
                    .isOne();
            assertThat(sql.text(asks)).isEqualTo("10 5 3");
        }
    }

    @Test
    void aRunAtWorkIsCancelledWithItsStatement() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql sql = new Sql(db);
                TestNats nats = new TestNats();
                TestInstance instance = TestInstance.start(db, nats);
                Connection holder = Database.connect(db)) {
            ItemView.create(sql);
            hold(holder);
            long run = instance.post(VIEW + "/verify").json().path("run").asLong();
            Eventually.await("taken up", () -> sql.number(RUNNING), n -> n == 1);
            assertThat(instance.delete("/api/runs/" + run).status()).isEqualTo(202);
            JsonNode ended = finished(instance, run);
            assertThat(ended.path("state").asString()).isEqualTo("failed");
            assertThat(ended.path("code").asString()).isEqualTo("57014");
            holder.rollback();
            TestInstance.Answer again = instance.delete("/api/runs/" + run);
            assertThat(again.status()).isEqualTo(409);
            assertThat(again.json().path("detail").asString())
                    .isEqualTo("Run %d cannot be cancelled: it is failed.".formatted(run));
            assertThat(instance.delete("/api/runs/987654").status()).isEqualTo(404);
        }
    }

    @Test
    void aRunAtWorkWhenItsInstanceStopsIsLeftForTheNext() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql sql = new Sql(db);
                TestNats nats = new TestNats();
                Connection holder = Database.connect(db)) {
            ItemView.create(sql);
            hold(holder);
            long run;
            try (TestInstance instance = TestInstance.start(db, nats)) {
                run = instance.post(VIEW + "/verify").json().path("run").asLong();
                Eventually.await("taken up", () -> sql.number(RUNNING), n -> n == 1);
            }
            assertThat(sql.text("SELECT state FROM control.run")).isEqualTo("queued");
            holder.rollback();
            try (TestInstance instance = TestInstance.start(db, nats)) {
                assertThat(finished(instance, run).path("state").asString()).isEqualTo("done");
            }
        }
    }

    @Test
    void theSameRequestTwiceIsOneRunUntilItHasBegun() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql sql = new Sql(db)) {
            ItemView.create(sql);
            long first = sql.number("SELECT control.request_run('app.item_fact', 'refresh')");
            assertThat(sql.number("SELECT control.request_run('app.item_fact', 'refresh')"))
                    .isEqualTo(first);
            assertThat(sql.number("SELECT control.request_run('app.item_fact', 'verify', 0.5)"))
                    .isNotEqualTo(first);
            assertThat(sql.number("SELECT id FROM control.take_run('me')")).isEqualTo(first);
            assertThat(sql.number("SELECT control.request_run('app.item_fact', 'refresh')"))
                    .isGreaterThan(first);
            assertThat(sql.number("SELECT count(*) FROM control.run")).isEqualTo(3);
        }
    }

    /** Keeps everybody from the table of the view, until it rolls back. */
    private static void hold(Connection holder) throws Exception {
        holder.setAutoCommit(false);
        try (Statement statement = holder.createStatement()) {
            statement.execute("LOCK TABLE app.item_fact IN ACCESS EXCLUSIVE MODE");
        }
    }

    private static JsonNode finished(TestInstance instance, long run) {
        return Eventually.await(
                "run finished",
                () -> instance.get("/api/runs/" + run).json(),
                r -> !r.path("finished_at").isNull());
    }
}
