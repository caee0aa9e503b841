package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Sql;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Snapshots while writers write. */
class SnapshotsTest {
    private static final String MERGE = "SELECT outcome FROM tally.merge('app.chart')";

    private Engine engine;

    @BeforeEach
    void declare() {
        engine = new Engine();
        engine.run("""
                CREATE TABLE app.item (id bigint PRIMARY KEY, n int NOT NULL);
                CREATE MATERIALIZED VIEW app.chart AS SELECT n, count(*) AS items FROM app.item GROUP BY n;
                CREATE UNIQUE INDEX ON app.chart (n);
                SELECT tally.create_snapshot('app.chart');
                SELECT tally.activate('app.chart');
                SELECT tally.refresh('app.chart');
                INSERT INTO app.item SELECT i, i % 3 FROM generate_series(1, 10) i;
                """);
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void writersWaitNeitherForOneAnotherNorForARefreshNorItForThem() throws Exception {
        try (Sql one = engine.session();
                Sql two = engine.session();
                Sql three = engine.session()) {
            for (Sql writer : new Sql[] {one, two, three}) {
                writer.run("SET lock_timeout = '5s'; BEGIN");
            }
            one.run("UPDATE app.item SET n = 7 WHERE id = 1");
            two.run("UPDATE app.item SET n = 8 WHERE id = 2; DELETE FROM app.item WHERE id = 3");
            engine.run("SET lock_timeout = '5s'; BEGIN");
            assertThat(engine.text(MERGE)).isEqualTo("merged");
            three.run("UPDATE app.item SET n = 9 WHERE id = 4");
            assertThat(two.number("SELECT count(*) FROM app.chart")).isZero();
            engine.run("COMMIT");
            assertThat(engine.number("SELECT sum(items) FROM app.chart WHERE n < 3"))
                    .isEqualTo(10);

            two.run("COMMIT");
            three.run("ROLLBACK");
            assertThat(engine.text(MERGE)).isEqualTo("merged");
            assertThat(shown()).isEqualTo("0:2 1:4 2:2 8:1");
            assertThat(engine.text(MERGE)).isEqualTo("nothing");
            one.run("COMMIT");
            assertThat(engine.text(MERGE)).isEqualTo("merged");
            assertThat(shown()).isEqualTo("0:2 1:3 2:2 7:1 8:1");
        }
    }

    /** An engine of before 28 November 2026 remembered nothing of its tables, and an upgrade makes no snapshot anew. */
    @Test
    void oneThatAnOlderEngineMadeIsRefreshed() {
        engine.run(
                "DELETE FROM tally.made WHERE view_id = (SELECT id FROM tally.derived_view WHERE relation_name = 'chart')");
        assertThat(engine.text(MERGE)).isEqualTo("merged");
        assertThat(shown()).isEqualTo("0:3 1:4 2:3");
    }

    @Test
    void whatWritersCommitWhileItIsRefreshedIsThereTheNextTime() throws Exception {
        try (Sql writer = engine.session()) {
            engine.run("BEGIN");
            assertThat(engine.text(MERGE)).isEqualTo("merged");
            writer.run("DELETE FROM app.item WHERE n = 1");
            engine.run("COMMIT");
            assertThat(engine.text(MERGE)).isEqualTo("merged");
            assertThat(shown()).isEqualTo("0:3 2:3");
        }
    }

    @Test
    void whatIsRebuiltOrRepairedIsRefreshedTheNextTime() {
        assertThat(engine.text(MERGE)).isEqualTo("merged");
        for (String call : new String[] {"tally.rebuild", "tally.repair"}) {
            assertThat(engine.text(MERGE)).as(call).isEqualTo("nothing");
            engine.run("SELECT %s('app.chart')".formatted(call));
            assertThat(engine.text(MERGE)).as(call).isEqualTo("merged");
        }
    }

    private String shown() {
        return engine.text("SELECT string_agg(n || ':' || items, ' ' ORDER BY n) FROM app.chart");
    }
}
