package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Sql;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A session that planned its merges while the delta table was empty and vacuumed does not read all of a later backlog. */
class DeltaPlansTest {
    private static final String READ =
            "SELECT %s FROM pg_stat_xact_user_tables WHERE schemaname = 'app' AND relname = 'fact_delta'";

    private final Engine engine = new Engine();

    DeltaPlansTest() {
        engine.run("""
                CREATE TABLE app.item (id int PRIMARY KEY, grp int, v int);
                INSERT INTO app.item SELECT i, i % 5, i FROM generate_series(1, 4000) i;
                CREATE VIEW app.item_def AS SELECT i.id, i.grp, i.v FROM app.item i;
                SELECT tally.create_projection('app.fact', 'app.item_def', '{id}');
                SELECT tally.watch('app.fact', 'app.item', '{id}');
                SELECT tally.create_rollup('app.sums', 'app.fact', '{grp}', '{"n":"count(*)","v":"sum(v)"}');
                SELECT tally.activate('app.fact');
                SELECT tally.refresh('app.fact');
                CREATE PROCEDURE app.change_one_by_one(n int) LANGUAGE plpgsql AS $$
                BEGIN
                    FOR i IN 1..n LOOP
                        UPDATE app.item SET v = v + 1 WHERE id = i;
                    END LOOP;
                END $$;
                """);
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void aBacklogIsReadByIndexWhateverTheTableWasWhenThePlanWasMade() throws Exception {
        try (Sql merger = engine.session()) {
            for (int i = 0; i < 8; i++) {
                engine.run("UPDATE app.item SET v = v + 1 WHERE id < " + (i % 2 == 0 ? 2 : 400));
                merger.run("SELECT tally.merge('app.fact', 20)");
                merger.run("SELECT tally.refresh('app.fact')");
                merger.run("VACUUM ANALYZE app.fact_delta");
            }
            engine.run("CALL app.change_one_by_one(1900)");
            bounded(merger, "a backlog of single changes");
            engine.run("UPDATE app.item SET v = v + 1 WHERE id <= 1900");
            bounded(merger, "and a wide change");
            engine.liveAgrees("half merged");
            merger.run("SELECT tally.refresh('app.fact')");
        }
        engine.storedAgrees("merged");
    }

    private static void bounded(Sql merger, String when) {
        for (int i = 0; i < 3; i++) {
            merger.run("BEGIN");
            long scansBefore = merger.number(READ.formatted("seq_scan"));
            long fetchedBefore = merger.number(READ.formatted("idx_tup_fetch"));
            merger.run("SELECT tally.merge('app.fact', 20)");
            assertThat(merger.number(READ.formatted("seq_scan")) - scansBefore)
                    .as("sequential scans: " + when)
                    .isZero();
            assertThat(merger.number(READ.formatted("idx_tup_fetch")) - fetchedBefore)
                    .as("rows fetched: " + when)
                    .isLessThan(1000);
            merger.run("COMMIT");
        }
    }
}
