package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Sql;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A rollup finds its cells again, even if their rows have been moved. */
class CellsTest {
    private final Engine engine = new Engine();

    CellsTest() {
        engine.run("""
                CREATE TABLE app.item (id int PRIMARY KEY, a int, b text, c date, d int, v int NOT NULL);
                CREATE VIEW app.item_def AS SELECT id, a, b, c, d, v FROM app.item;
                SELECT tally.create_projection('app.fact', 'app.item_def', '{id}');
                SELECT tally.watch('app.fact', 'app.item', '{id}');
                SELECT tally.create_rollup('app.by_a', 'app.fact', '{a}', '{"n":"count(*)","v":"sum(v)","hi":"max(v)"}');
                SELECT tally.create_rollup('app.by_all', 'app.fact', '{a,b,c,d}', '{"n":"count(*)","different":"count(distinct v)"}');
                SELECT tally.create_rollup('app.bare', 'app.by_all', '{b}', '{}');
                INSERT INTO app.item SELECT i, nullif(i % 4, 0), nullif('b' || i % 3, 'b0'), nullif(date '2026-01-01' + i % 2, '2026-01-01'), nullif(i % 5, 0), i
                FROM generate_series(1, 240) i;
                SELECT tally.activate('app.fact');
                """);
        engine.write("SELECT 1");
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void aNullInAnyGroupColumnIsAValueLikeOthers() {
        engine.write(
                "UPDATE app.item SET v = v + 1 WHERE a IS NULL OR d IS NULL",
                "UPDATE app.item SET a = NULL, b = NULL, c = NULL, d = NULL WHERE id < 40",
                "DELETE FROM app.item WHERE b IS NULL AND id > 60",
                "INSERT INTO app.item (id, v) VALUES (1000, 7), (1001, 7)",
                "UPDATE app.item SET d = 9 WHERE d IS NULL");
    }

    @Test
    void cellsAreFoundAfterTheirTablesWereWrittenAnew() {
        engine.write("UPDATE app.item SET v = v + 1");
        for (String table :
                new String[] {"app.by_a", "app.by_a_state", "app.by_all", "app.by_all_by_1_state", "app.bare"}) {
            engine.run("VACUUM FULL " + table);
            engine.write(
                    "UPDATE app.item SET v = v * 2 WHERE id % 2 = 0",
                    "DELETE FROM app.item WHERE id = (SELECT max(id) FROM app.item)",
                    "UPDATE app.item SET a = 5 - a WHERE id % 7 = 0");
        }
    }

    @Test
    void aPublicRowThatAHandMovedOrRemovedIsReplacedByTheNextMergeOfItsCell() {
        engine.write("UPDATE app.item SET v = v + 1");
        engine.run("""
                UPDATE app.by_a SET n = -1;
                DELETE FROM app.by_a WHERE a = 1;
                INSERT INTO app.by_a VALUES (77, 1, 1, 1);
                """);
        engine.run("UPDATE app.item SET v = v + 1; INSERT INTO app.item VALUES (2000, 77, 'b', NULL, NULL, 1)");
        engine.run("SELECT tally.refresh('app.fact')");
        engine.storedAgrees("a merge that touches every cell");
    }

    @Test
    void aMergeReadsNoMoreOfACellThatASnapshotHoldsManyVersionsOf() throws Exception {
        try (Sql reader = new Sql(engine.db())) {
            reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
            String seen = reader.text("SELECT string_agg(r::text, ',' ORDER BY a) FROM app.by_a r");
            for (int merge = 0; merge < 100; merge++) {
                touchOneCell();
            }
            long before = versionsRead();
            for (int merge = 0; merge < 8; merge++) {
                touchOneCell();
            }
            assertThat(versionsRead() - before)
                    .as("versions of the cell that 8 merges met on their way, of more than 100 there are")
                    .isBetween(8L, 64L);
            assertThat(reader.text("SELECT string_agg(r::text, ',' ORDER BY a) FROM app.by_a r"))
                    .isEqualTo(seen);
        }
        engine.storedAgrees("many merges");
    }

    private void touchOneCell() {
        engine.run("UPDATE app.item SET v = v + 1 WHERE id = 1; SELECT tally.merge('app.fact')");
    }

    /** How many index entries of the rollup's public and inner table have been followed to a row so far. */
    private long versionsRead() {
        engine.run("SELECT pg_stat_force_next_flush()");
        return engine.number(
                "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relid IN ('app.by_a'::regclass, 'app.by_a_state'::regclass)");
    }
}
