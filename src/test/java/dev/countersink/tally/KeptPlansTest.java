package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Sql;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A session keeps the plan by which it evaluates a few keys, but not for tables of another size. */
class KeptPlansTest {
    private static final String READ =
            "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relid = 'app.item'::regclass";
    private static final String MADE_FOR =
            "SELECT current_setting('tally.planned_' || id, true) FROM tally.derived_view WHERE schema_name = 'app' AND relation_name = 'fact'";

    private final Engine engine = new Engine();

    KeptPlansTest() {
        engine.run("""
                CREATE TABLE app.item (id int PRIMARY KEY, owner int, v int) WITH (autovacuum_enabled = off);
                CREATE INDEX ON app.item (owner);
                CREATE TABLE app.owner (id int PRIMARY KEY, name text);
                CREATE VIEW app.owner_def AS SELECT o.id, o.name, (SELECT sum(i.v) FROM app.item i WHERE i.owner = o.id) AS v FROM app.owner o;
                INSERT INTO app.owner SELECT i, 'owner ' || i FROM generate_series(1, 2000) i;
                INSERT INTO app.item SELECT i, i, i FROM generate_series(1, 5) i;
                ANALYZE app.item;
                SELECT tally.create_projection('app.fact', 'app.owner_def', '{id}');
                SELECT tally.watch('app.fact', 'app.owner');
                SELECT tally.watch('app.fact', 'app.item');
                SELECT tally.activate('app.fact');
                SELECT tally.refresh('app.fact');
                """);
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void aPlanForASmallTableIsNotUsedOnceTheTableHasGrown() throws Exception {
        try (Sql merger = engine.session()) {
            for (int i = 0; i < 3; i++) {
                engine.run("UPDATE app.item SET v = v + 1");
                merger.run("SELECT tally.merge('app.fact')");
            }
            String small = merger.text(MADE_FOR);
            engine.run("INSERT INTO app.item SELECT i, i % 2000, i FROM generate_series(6, 100000) i");
            merger.run("SELECT tally.refresh('app.fact')");
            engine.run("UPDATE app.item SET v = v + 1 WHERE id IN (77, 78)");
            merger.run("BEGIN");
            long before = merger.number(READ);
            merger.run("SELECT tally.merge('app.fact')");
            assertThat(merger.number(READ) - before)
                    .as("rows of app.item read for two owners")
                    .isLessThan(1000);
            merger.run("COMMIT");
            assertThat(merger.text(MADE_FOR)).isNotEqualTo(small);
        }
        engine.storedAgrees("merged by a new plan");
    }

    @Test
    void manyKeysArePlannedForAndFewAreNot() throws Exception {
        String mode =
                "SELECT tally.plan_mode(id, %d) FROM tally.derived_view WHERE schema_name = 'app' AND relation_name = 'fact'";
        assertThat(engine.text(mode.formatted(500))).isEqualTo("force_generic_plan");
        assertThat(engine.text(mode.formatted(501))).isEqualTo("force_custom_plan");
    }
}
