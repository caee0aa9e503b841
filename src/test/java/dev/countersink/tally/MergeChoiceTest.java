package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Session;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Many changed keys are merged one by one or by a sweep, whichever was measured to be cheaper. {@code -Dcountersink.seed=N} repeats the writes. */
class MergeChoiceTest {
    private static final String CHOICE = "SELECT coalesce(choice, '') FROM tally.status WHERE name = 'app.fact'";
    private static final String BY_KEY_IS_DEAR = "UPDATE tally.merge_choice SET us = us * 1e6, keys_us = keys_us * 1e6";
    private static final String A_SWEEP_IS_DEAR = "UPDATE tally.merge_choice SET us_per_swept = us_per_swept * 1e6";

    private final long seed = Long.getLong("countersink.seed", System.nanoTime() & 0xffffff);
    private final Random random = new Random(seed);
    private final Engine engine = new Engine();

    MergeChoiceTest() {
        System.out.printf("countersink.seed=%d%n", seed);
        engine.run("""
                CREATE TABLE app.grp (id int PRIMARY KEY, name text);
                CREATE TABLE app.item (id int PRIMARY KEY, grp int, v int);
                CREATE INDEX ON app.item (grp);
                INSERT INTO app.grp SELECT i, 'g' || i %% 4 FROM generate_series(0, 19) i;
                INSERT INTO app.item SELECT i, i %% 20, i FROM generate_series(1, 2000) i;
                CREATE VIEW app.item_def AS SELECT i.id, g.name, 100 / nullif(i.v, -1) AS v FROM app.item i JOIN app.grp g ON g.id = i.grp;
                SELECT tally.keep('app.fact', 'app.item_def');
                SELECT tally.create_rollup('app.sums', 'app.fact', '{name}', '{"n":"count(*)","v":"sum(v)"}');
                SELECT tally.refresh('app.fact')""".replace("%%", "%"));
        // a merge by key whose cost is measured
        engine.run("UPDATE app.item SET v = v + 1 WHERE id <= 1500; SELECT tally.refresh('app.fact')");
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void bothAreMeasured() {
        assertThat(
                        engine.number(
                                "SELECT count(*) FROM tally.merge_choice WHERE merges > 0 AND us_per_swept > 0 AND swept_keys = 2000 AND from_fill"))
                .isOne();
        engine.run("SELECT tally.rebuild('app.fact'); SELECT tally.refresh('app.fact')");
        assertThat(engine.number("SELECT count(*) FROM tally.merge_choice WHERE NOT from_fill"))
                .isOne();
    }

    @Test
    void theCheaperIsChosenAndStatusSaysWhy() {
        engine.run(A_SWEEP_IS_DEAR);
        engine.run("UPDATE app.item SET v = v + 1");
        assertThat(engine.number("SELECT keys FROM tally.merge('app.fact', 5000)"))
                .isEqualTo(2000);
        assertThat(engine.text(CHOICE)).startsWith("by key: 2000 of about 2000 keys changed");
        engine.storedAgrees("by key");

        engine.run("UPDATE tally.merge_choice SET us_per_swept = us_per_swept / 1e6");
        engine.run(BY_KEY_IS_DEAR);
        engine.run("UPDATE app.item SET v = v + 1 WHERE id %% 4 = 0".replace("%%", "%"));
        engine.run("SELECT tally.merge('app.fact', 300)");
        assertThat(engine.text(CHOICE)).startsWith("sweep: 500 of about 2000 keys changed");
        assertThat(engine.number("SELECT count(*) FROM tally.status WHERE name = 'app.fact' AND progress > 0"))
                .isOne();
        engine.liveAgrees("in the middle of the sweep");
        engine.run("SELECT tally.refresh('app.fact')");
        engine.storedAgrees("the sweep");
    }

    @Test
    void aMergeItselfSaysWhichWayAndWhy() throws Exception {
        engine.run("UPDATE app.item SET v = v + 1");
        assertThat(String.join("\n", Session.jdbc(engine.db(), "SELECT tally.merge('app.fact', 5000)")))
                .containsPattern(
                        "app.fact is merged by (key|a sweep): 2000 of about 2000 keys changed, which take \\d+ ms by key");
    }

    @Test
    void aSweepThatIsDearIsNotBegunForALongBacklogEither() {
        engine.run(A_SWEEP_IS_DEAR);
        for (int n = 0; n < 2; n++) {
            engine.run(
                    "DO $$ BEGIN FOR i IN 1 .. 1500 LOOP UPDATE app.item SET v = v + 1 WHERE id = i; END LOOP; END $$");
        }
        engine.run("SELECT tally.merge('app.fact', 100)");
        assertThat(engine.number("SELECT count(*) FROM tally.status WHERE name = 'app.fact' AND progress IS NOT NULL"))
                .isZero();
        engine.liveAgrees("a long backlog");
        engine.run("SELECT tally.refresh('app.fact')");
        engine.storedAgrees("a long backlog, merged by key");
    }

    @Test
    void randomWritesAreFollowedWhicheverIsChosen() {
        engine.run(BY_KEY_IS_DEAR);
        for (int step = 0; step < 40; step++) {
            engine.run(write());
            int most = 1 + random.nextInt(900);
            engine.run("SELECT tally.merge('app.fact', %d)".formatted(most));
            engine.liveAgrees("step " + step);
            if (random.nextInt(4) == 0) {
                engine.run("SELECT tally.refresh('app.fact')");
                engine.storedAgrees("step " + step);
            }
        }
        assertThat(engine.text(CHOICE)).startsWith("sweep: ");
    }

    private String write() {
        int id = 1 + random.nextInt(2000);
        return switch (random.nextInt(7)) {
            case 0 ->
                "UPDATE app.item SET v = v + 1 WHERE id BETWEEN %d AND %d".formatted(id, id + random.nextInt(1500));
            case 1 -> "UPDATE app.grp SET name = 'h' || (id + %d) %% 3 WHERE id %% 3 = 0".formatted(random.nextInt(9));
            case 2 -> "DELETE FROM app.item WHERE id BETWEEN %d AND %d".formatted(id, id + 20);
            case 3 ->
                "INSERT INTO app.item SELECT i, i %% 20, 5 FROM generate_series(%d, %d) i ON CONFLICT DO NOTHING"
                        .formatted(id, id + 90);
            case 4 ->
                "UPDATE app.item SET v = v + 1 WHERE id = %d; UPDATE app.item SET grp = 3 WHERE id = %d"
                        .formatted(id, 2001 - id);
            case 5 -> "UPDATE app.item SET id = -id WHERE id = %d".formatted(id);
            default -> "UPDATE app.item SET v = v + 1 WHERE id %% 3 = 1".formatted();
        };
    }
}
