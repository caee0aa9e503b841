package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class MergeTest {
    private final Engine engine = new Engine();

    MergeTest() {
        engine.run("""
                CREATE TABLE app.item (id int PRIMARY KEY, grp int, v int);
                CREATE TABLE app.grp (id int PRIMARY KEY, factor int);
                CREATE VIEW app.item_def AS SELECT i.id, i.grp, i.v * g.factor AS v, 100 / i.v AS share FROM app.item i JOIN app.grp g ON g.id = i.grp;
                SELECT tally.create_projection('app.fact', 'app.item_def', '{id}');
                SELECT tally.watch('app.fact', 'app.item', '{id}');
                SELECT tally.watch('app.fact', 'app.grp', '{id}', 'SELECT i.id FROM app.item i JOIN changed c ON i.grp = c.id');
                SELECT tally.create_rollup('app.sums', 'app.fact', '{grp}', '{"n":"count(*)","v":"sum(v)","hi":"max(v)"}');
                INSERT INTO app.grp SELECT i, 1 FROM generate_series(1, 4) i;
                INSERT INTO app.item SELECT i, i % 4 + 1, i FROM generate_series(1, 200) i;
                SELECT tally.activate('app.fact');
                """);
        engine.write("SELECT 1");
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void aWideChangeIsMergedInBoundedStepsAndLiveStaysExact() {
        engine.run("UPDATE app.grp SET factor = 3");
        engine.liveAgrees("a wide change");
        int steps = 0;
        do {
            assertThat(engine.number("SELECT keys FROM tally.merge('app.fact', 30)"))
                    .isBetween(0L, 30L);
            engine.liveAgrees("a bounded step");
            engine.run("UPDATE app.item SET v = v + 1 WHERE id = " + ++steps);
        } while (engine.number("SELECT pending FROM tally.status WHERE name = 'app.fact'") > 1 && steps < 100);
        assertThat(steps).isBetween(7, 99);
        engine.write("SELECT 1");
    }

    /** Otherwise the time of a scan is the number of rows times the number of keys, while a wide change waits. */
    @Test
    void aLiveViewDoesNotHoldEveryStoredRowAgainstEveryPendingKey() {
        engine.run("UPDATE app.item SET v = v + 1 WHERE id <= 20");
        for (String view : new String[] {"app.fact_live", "app.sums_live"}) {
            engine.run("""
                    CREATE TEMP TABLE plan (line text);
                    DO $$ DECLARE l text; BEGIN
                        FOR l IN EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT * FROM %s LOOP INSERT INTO plan VALUES (l); END LOOP;
                    END $$""".formatted(view));
            assertThat(engine.text("SELECT string_agg(line, E'\\n') FROM plan"))
                    .as("each part of the plan runs once, so the pending keys are read once for all stored rows")
                    .containsPattern("Scan (using \\S+ )?on (fact|sums) d \\(actual ")
                    .containsPattern("CTE Scan on change c_3 \\(actual rows=\\d+(\\.00)? loops=1\\)")
                    .doesNotContainPattern("loops=(?!1\\))");
            engine.run("DROP TABLE plan");
        }
    }

    @Test
    void keysThatAWriterLogsAsAnArrayAreStoredUncompressed() {
        engine.run("INSERT INTO app.item SELECT i, i % 4 + 1, i FROM generate_series(201, 2200) i");
        engine.run("SELECT tally.refresh('app.fact'); UPDATE app.item SET v = v + 1 WHERE id > 200");
        assertThat(
                        engine.text(
                                "SELECT concat_ws(' ', count(tally_keys_1), sum(cardinality(tally_keys_1)), count(pg_column_compression(tally_keys_1))) FROM app.fact_delta"))
                .isEqualTo("1 2000 0");
        engine.write("SELECT 1");
    }

    @Test
    void aPoisonousKeyIsQuarantinedWhileTheRestStaysFreshAndComesBack() {
        engine.run("UPDATE app.item SET v = 7 WHERE id < 20; UPDATE app.item SET v = 0 WHERE id = 11");
        assertThat(engine.number("SELECT quarantined FROM tally.refresh('app.fact')"))
                .isOne();
        assertThat(engine.number("SELECT count(*) FROM app.fact WHERE id < 20 AND share = 14"))
                .isEqualTo(18);
        assertThat(engine.text("SELECT error FROM tally.status WHERE name = 'app.fact'"))
                .contains("[11]")
                .contains("division by zero");
        engine.write("UPDATE app.item SET v = 5 WHERE id = 11");
        assertThat(engine.number("SELECT count(*) FROM tally.quarantine")).isZero();
    }

    @Test
    void aPausedViewIsNotMergedYetLiveStaysExact() {
        engine.run("SELECT tally.pause('app.sums'); UPDATE app.item SET v = 9 WHERE id < 50");
        assertThat(engine.text("SELECT outcome FROM tally.merge('app.fact')")).isEqualTo("paused");
        engine.refused("TL005", "SELECT tally.refresh('app.fact')");
        engine.liveAgrees("a pause");
        engine.run("SELECT tally.resume('app.fact')");
        engine.write("SELECT 1");
        assertThat(engine.text("SELECT state FROM tally.status WHERE name = 'app.fact'"))
                .isEqualTo("active");
    }

    /** Or it would be shown as being filled until the next change. */
    @Test
    void aPausedViewWithNothingPendingIsActiveAtOnceWhenItGoesOn() {
        engine.run("SELECT tally.pause('app.fact'); SELECT tally.resume('app.fact')");
        assertThat(engine.text("SELECT state FROM tally.status WHERE name = 'app.fact'"))
                .isEqualTo("active");
        engine.run("SELECT tally.rebuild('app.fact'); SELECT tally.pause('app.fact'); SELECT tally.resume('app.fact')");
        assertThat(engine.text("SELECT state FROM tally.status WHERE name = 'app.fact'"))
                .isEqualTo("filling");
        engine.write("SELECT 1");
        assertThat(engine.text("SELECT state FROM tally.status WHERE name = 'app.fact'"))
                .isEqualTo("active");
    }

    @Test
    void aSecondMergerReturnsAtOnceAndWritersDoNotWait() throws Exception {
        try (Sql other = engine.session()) {
            engine.run("UPDATE app.item SET v = 2 WHERE id = 1");
            other.run("BEGIN; SELECT tally.merge('app.fact')");
            assertThat(engine.text("SELECT outcome FROM tally.merge('app.fact')"))
                    .isEqualTo("busy");
            engine.run("SET lock_timeout = '1s'; UPDATE app.item SET v = 3 WHERE id = 1");
            engine.liveAgrees("an open merge");
            other.run("ROLLBACK");
        }
        engine.liveAgrees("a merge rolled back");
        engine.write("SELECT 1");
    }

    @Test
    void aMergeThatIsCancelledLeavesEverythingAsItWas() throws Exception {
        try (Sql other = engine.session()) {
            other.run("BEGIN; LOCK TABLE app.grp");
            engine.run("UPDATE app.item SET v = 2 WHERE id < 9; SET lock_timeout = '50ms'");
            engine.refused("55P03", "SELECT tally.merge('app.fact')");
            engine.run("RESET lock_timeout; SET statement_timeout = '100ms'");
            engine.refused("57014", "SELECT tally.merge('app.fact')");
            engine.run("SET statement_timeout = '30s'");
            other.run("ROLLBACK");
        }
        assertThat(engine.number("SELECT pending FROM tally.status WHERE name = 'app.fact'"))
                .isEqualTo(8);
        assertThat(engine.number("SELECT failures FROM tally.status WHERE name = 'app.fact'"))
                .isZero();
        engine.write("SELECT 1");
    }

    @Test
    void aRowThatCommitsLateIsNotLost() throws Exception {
        try (Sql other = engine.session()) {
            other.run("BEGIN; INSERT INTO app.item VALUES (1000, 1, 5)");
            for (int i = 0; i < 3; i++) {
                engine.write("UPDATE app.item SET v = v + 1 WHERE id = 3");
            }
            other.run("COMMIT");
        }
        engine.write("SELECT 1");
        assertThat(engine.number("SELECT v FROM app.fact WHERE id = 1000")).isEqualTo(5);
    }

    @Test
    void waitForReturnsWhenTheTransactionIsMerged() throws Exception {
        try (Sql other = engine.session()) {
            other.run("BEGIN; UPDATE app.item SET v = 77 WHERE id = 4");
            String token = other.text("SELECT tally.token()");
            other.run("COMMIT");
            CompletableFuture<Void> waiting = CompletableFuture.runAsync(
                    () -> other.run("SELECT tally.wait_for('app.sums', '%s', '20 seconds')".formatted(token)));
            Eventually.await(
                    "the wait",
                    () -> engine.number(
                            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT tally.wait_for(%' AND state = 'active'"),
                    n -> n > 0);
            assertThat(waiting).isNotDone();
            engine.run("SELECT tally.merge('app.fact')");
            waiting.get(10, TimeUnit.SECONDS);
            assertThat(other.number("SELECT hi FROM app.sums WHERE grp = 1")).isEqualTo(200);
            other.run("SELECT tally.wait_for('app.fact', '%s', '0')".formatted(token));
        }
    }

    @Test
    void waitForSaysWhyItCannotOrNoLongerWaits() {
        engine.run("UPDATE app.item SET v = 50 WHERE id = 1");
        String token = engine.text("SELECT max(tally_xid) FROM app.fact_delta");
        engine.refused("TL012", "SELECT tally.wait_for('app.fact', '%s', '50 ms')".formatted(token));
        engine.refused("TL011", "BEGIN; SELECT tally.wait_for('app.fact', tally.token())");
        engine.run("ROLLBACK");
        engine.refused(
                "TL013",
                "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT tally.wait_for('app.fact', '%s')".formatted(token));
        engine.run("ROLLBACK");
    }

    @Test
    void anArgumentLeftNullIsRefusedAndLosesNothing() {
        engine.run("UPDATE app.item SET v = 50 WHERE id < 9");
        engine.refused("TL018", "SELECT tally.merge('app.fact', NULL)");
        engine.refused("TL018", "SELECT tally.wait_for('app.fact', NULL)");
        engine.refused("TL018", "SELECT tally.wait_for('app.fact', '3', NULL)");
        engine.refused("TL018", "SELECT tally.verify('app.fact', NULL)");
        engine.refused("TL001", "SELECT tally.merge(NULL)");
        engine.refused("TL004", "SELECT tally.create_projection('app.x', NULL, '{id}')");
        engine.refused("TL018", "SELECT tally.create_projection('app.x', 'app.item_def', NULL)");
        engine.refused("TL004", "SELECT tally.create_snapshot(NULL)");
        engine.run("SELECT tally.create_projection('app.x', 'app.item_def', '{id}')");
        engine.refused("TL016", "SELECT tally.watch('app.x', NULL, '{id}')");
        engine.refused("TL018", "SELECT tally.create_rollup('app.r', 'app.x', NULL, '{\"n\":\"count(*)\"}')");
        engine.refused("TL009", "SELECT tally.create_rollup('app.r', 'app.x', '{id}', NULL)");
        engine.write("SELECT 1");
    }
}
