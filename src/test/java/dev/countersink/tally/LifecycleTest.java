package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.db.Database;
import dev.countersink.embedded.EmbeddedPostgres;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A derived view is activated, filled, paused, rebuilt and dropped while its sources are written, and these calls are interrupted. */
class LifecycleTest {
    private static final String DECLARED = """
            CREATE TABLE app.item (id int PRIMARY KEY, grp int, v int);
            INSERT INTO app.item SELECT i, i % 50, i % 7 FROM generate_series(1, 3000) i;
            ANALYZE app.item;
            CREATE VIEW app.item_def AS SELECT id, grp, v, md5(v::text) AS digest FROM app.item;
            SELECT tally.create_projection('app.fact', 'app.item_def', '{id}');
            SELECT tally.watch('app.fact', 'app.item', '{id}');
            SELECT tally.create_rollup('app.sums', 'app.fact', '{grp}', '{"n":"count(*)","v":"sum(v)","d":"count(distinct v)"}')""";
    private static final String MADE = """
            SELECT string_agg(what, E'\n' ORDER BY what) FROM (
                SELECT 'relation ' || oid::regclass::text AS what FROM pg_class WHERE relnamespace = 'app'::regnamespace
                UNION ALL SELECT 'function ' || oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'app'::regnamespace
                UNION ALL SELECT 'type ' || oid::regtype::text FROM pg_type WHERE typnamespace = 'app'::regnamespace
                UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger
                UNION ALL SELECT 'view ' || relation_name FROM tally.derived_view
                UNION ALL SELECT 'source ' || projection_id FROM tally.source
                UNION ALL SELECT 'state ' || view_id FROM tally.merge_state) x""";

    @Test
    void activationWaitsForWritersInFlightAndGivesUpInTime() throws Exception {
        try (Engine engine = new Engine();
                Sql writer = engine.session()) {
            engine.run(DECLARED);
            writer.run("BEGIN; UPDATE app.item SET v = 99 WHERE id = 1");
            String before = engine.text(MADE);
            engine.run("SET lock_timeout = '50ms'");
            engine.refused("TL015", "SELECT tally.activate('app.fact')");
            assertThat(engine.text(MADE)).isEqualTo(before);
            engine.run("SET lock_timeout = '20s'");
            CompletableFuture<Void> activation =
                    CompletableFuture.runAsync(() -> engine.run("SELECT tally.activate('app.fact')"));
            try (Sql watcher = engine.session()) {
                Eventually.await(
                        "the wait for the writer",
                        () -> watcher.number(
                                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'app.item'::regclass"),
                        n -> n > 0);
            }
            writer.run("COMMIT");
            activation.get();
            engine.liveAgrees("activation");
            engine.write("UPDATE app.item SET v = 98 WHERE id = 2");
            assertThat(engine.number("SELECT v FROM app.fact WHERE id = 1")).isEqualTo(99);
        }
    }

    @Test
    void theFirstFillGoesByBoundedStepsAndShowsItsProgressWhileWritersWrite() throws Exception {
        try (Engine engine = new Engine()) {
            engine.run(DECLARED + "; SELECT tally.activate('app.fact')");
            double progress = -1;
            int steps = 0;
            while (engine.text("SELECT state FROM tally.status WHERE name = 'app.fact'")
                    .equals("filling")) {
                assertThat(engine.number("SELECT keys FROM tally.merge('app.fact', 400)"))
                        .isLessThanOrEqualTo(400);
                double now = Double.parseDouble(
                        engine.text("SELECT coalesce(progress, 1)::text FROM tally.status WHERE name = 'app.fact'"));
                assertThat(now).isGreaterThanOrEqualTo(progress);
                progress = now;
                engine.run("UPDATE app.item SET v = v + 1, grp = grp + 1 WHERE id % 100 = " + steps
                        + "; DELETE FROM app.item WHERE id = 3000 - " + steps + "; INSERT INTO app.item VALUES (-"
                        + steps + ", 1, 1)");
                engine.liveAgrees("step " + steps);
                assertThat(steps++).isLessThan(40);
            }
            assertThat(steps).isGreaterThan(6);
            assertThat(progress).isEqualTo(1);
            engine.write("SELECT 1");
        }
    }

    @Test
    void everyVerbMayBeInterruptedAnywhereAndCalledAgain() throws Exception {
        try (Engine engine = new Engine()) {
            String before = engine.text(MADE);
            engine.run(DECLARED);
            String declared = engine.text(MADE);
            int interrupted = interrupt(engine, "SELECT tally.activate('app.fact')", declared);
            engine.liveAgrees("activation");
            interrupted += interrupt(engine, "SELECT tally.merge('app.fact')", null);
            engine.write("SELECT 1");
            engine.run("UPDATE app.fact SET v = -1; DELETE FROM app.sums");
            interrupted += interrupt(engine, "SELECT tally.rebuild('app.fact')", null);
            interrupted += interrupt(engine, "SELECT tally.merge('app.fact')", null);
            engine.write("UPDATE app.item SET v = 5 WHERE id < 50");
            for (String verb : new String[] {"pause", "resume", "heal", "repair", "refresh", "verify"}) {
                interrupted += interrupt(engine, "SELECT tally.%s('app.fact')".formatted(verb), engine.text(MADE));
                engine.liveAgrees(verb);
            }
            engine.write("UPDATE app.item SET v = 6 WHERE id < 40");
            interrupted += interrupt(engine, "SELECT tally.drop('app.fact')", engine.text(MADE));
            engine.run("DROP VIEW app.item_def; DROP TABLE app.item");
            assertThat(engine.text(MADE)).isEqualTo(before);
            assertThat(interrupted).isGreaterThan(10);
        }
    }

    /** Calls it with longer and longer timeouts until it succeeds. A call that timed out must have changed nothing. Returns the number of timeouts. */
    private static int interrupt(Engine engine, String call, String catalog) {
        int patience = 1;
        for (int times = 0; ; times++) {
            patience += 1 + patience / 5;
            try {
                engine.run("SET statement_timeout = %d; %s".formatted(patience, call));
                return times;
            } catch (IllegalStateException e) {
                assertThat(e).rootCause().hasMessageContaining("canceling statement due to statement timeout");
            } finally {
                engine.run("SET statement_timeout = '30s'");
            }
            if (catalog != null) {
                assertThat(engine.text(MADE)).as("interrupted: " + call).isEqualTo(catalog);
            }
        }
    }

    @Test
    void aFillGoesOnAfterTheServerCrashed(@TempDir Path dir) throws Exception {
        try (EmbeddedPostgres server = TestPostgres.another(dir)) {
            Database.open(server.settings()).close();
            try (Engine engine = new Engine(server.settings())) {
                engine.run(DECLARED + "; SELECT tally.activate('app.fact')");
                engine.run("SELECT tally.merge('app.fact', 700)");
                engine.run("SELECT tally.merge('app.fact', 700)");
                engine.run("UPDATE app.item SET v = 70 WHERE id IN (5, 2500)");
                long stored = engine.number("SELECT count(*) FROM app.fact");
                engine.run("BEGIN; SELECT tally.merge('app.fact', 700)");
                engine.crash();
                assertThat(engine.number("SELECT count(*) FROM app.fact"))
                        .isEqualTo(stored)
                        .isBetween(1L, 2999L);
                engine.liveAgrees("the crash");
                engine.write("SELECT 1", "UPDATE app.item SET v = v + 1");
                assertThat(engine.text("SELECT state FROM tally.status WHERE name = 'app.fact'"))
                        .isEqualTo("active");
            }
        }
    }
}
