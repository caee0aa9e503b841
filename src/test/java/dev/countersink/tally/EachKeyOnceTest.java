package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Sql;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A key is evaluated once, however many delta rows name it. The sum of the keys that merges report shows it. */
class EachKeyOnceTest {
    private static final String MERGED = "SELECT keys_merged FROM tally.status WHERE name = 'app.fact'";

    private final Engine engine = new Engine();

    EachKeyOnceTest() {
        engine.run("""
                CREATE TABLE app.item (id int PRIMARY KEY, grp int, v int);
                CREATE TABLE app.part (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item_id int, n int);
                CREATE INDEX ON app.part (item_id);
                CREATE VIEW app.item_def AS SELECT i.id, i.grp, i.v, (SELECT count(*) FROM app.part p WHERE p.item_id = i.id) AS parts FROM app.item i;
                SELECT tally.create_projection('app.fact', 'app.item_def', '{id}');
                SELECT tally.watch('app.fact', 'app.item', '{id}');
                SELECT tally.watch('app.fact', 'app.part', '{item_id}', 'SELECT item_id FROM changed');
                SELECT tally.create_rollup('app.sums', 'app.fact', '{grp}', '{"n":"count(*)","parts":"sum(parts)"}');
                SELECT tally.activate('app.fact');
                """);
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    private void load(int from, int to) {
        engine.run("INSERT INTO app.item SELECT i, i %% 5, i FROM generate_series(%d, %d) i".formatted(from, to));
        engine.run("INSERT INTO app.part (item_id, n) SELECT i, 1 FROM generate_series(%d, %d) i".formatted(from, to));
    }

    @Test
    void whatIsLoadedBeforeTheFirstFillIsEvaluatedByTheFillAlone() {
        load(1, 60);
        load(61, 90);
        engine.liveAgrees("a load before the first fill");
        mergeAll(20);
        assertThat(engine.number(MERGED)).isEqualTo(90);
        engine.storedAgrees("the first fill");
    }

    @Test
    void ofKeysThatAChangeNamesOnlyThoseBehindTheSweepAreEvaluatedAgain() {
        load(1, 90);
        engine.run("SELECT tally.merge('app.fact', 30)");
        long swept = engine.number("SELECT count(*) FROM app.fact");
        assertThat(swept).isBetween(1L, 89L);
        engine.run("UPDATE app.item SET v = v + 1");
        engine.liveAgrees("a change in the middle of a sweep");
        mergeAll(30);
        assertThat(engine.number(MERGED)).isEqualTo(90 + swept);
        engine.storedAgrees("a sweep");
    }

    @Test
    void aTokenIsWaitedForUntilTheSweepHasReadWhatItsTransactionWrote() {
        load(1, 90);
        engine.run("SELECT tally.merge('app.fact', 30)");
        engine.run(
                "CREATE TEMP TABLE mine AS SELECT tally.token() AS token; BEGIN; UPDATE mine SET token = tally.token(); UPDATE app.item SET v = -2 WHERE id = 90; COMMIT");
        engine.run("SELECT tally.merge('app.fact', 4)");
        engine.refused("TL012", "SELECT tally.wait_for('app.fact', token, '50 ms') FROM mine");
        mergeAll(30);
        engine.run("SELECT tally.wait_for('app.fact', token, '50 ms') FROM mine");
    }

    @Test
    void aLoadOfMostKeysIsEvaluatedOnceThoughSeveralTablesNameThem() {
        engine.run("SELECT tally.refresh('app.fact')");
        long before = engine.number(MERGED);
        load(1, 400);
        engine.run("ANALYZE app.item, app.fact");
        engine.liveAgrees("a load");
        mergeAll(20);
        assertThat(engine.number(MERGED) - before).isEqualTo(400);
        engine.storedAgrees("a load");
    }

    @Test
    void writersDuringAFillLoseNothing() throws Exception {
        load(1, 600);
        try (Sql writer = engine.session()) {
            CompletableFuture<Void> writing = CompletableFuture.runAsync(() -> {
                for (int i = 1; i <= 60; i++) {
                    writer.run(
                            "UPDATE app.item SET v = -1 WHERE id %% 60 = %1$d; DELETE FROM app.part WHERE item_id = %1$d; INSERT INTO app.item VALUES (%2$d, 1, 1)"
                                    .formatted(i, 10_000 + i));
                }
            });
            while (!writing.isDone()) {
                engine.run("SELECT tally.merge('app.fact', 50)");
                assertThat(
                                engine.number(
                                        "SELECT count(*) FROM ((TABLE app.fact_live EXCEPT ALL TABLE app.item_def) UNION ALL (TABLE app.item_def EXCEPT ALL TABLE app.fact_live)) d"))
                        .isZero();
            }
            writing.get(60, TimeUnit.SECONDS);
        }
        mergeAll(50);
        assertThat(engine.number(MERGED)).isLessThanOrEqualTo(600 + 60 * (10 + 1 + 1));
        engine.storedAgrees("writers");
    }

    private void mergeAll(int maxKeys) {
        int merges = 0;
        while (engine.text("SELECT outcome FROM tally.merge('app.fact', %d)".formatted(maxKeys))
                .equals("merged")) {
            merges++;
        }
        assertThat(merges).isPositive();
    }
}
