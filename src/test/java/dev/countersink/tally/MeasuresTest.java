package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class MeasuresTest {
    private final Engine engine = new Engine();

    MeasuresTest() {
        engine.run("""
                CREATE TABLE app.item (id bigint PRIMARY KEY, grp text, sub int, v int, n numeric, f float8, b boolean, at timestamptz, took interval);
                CREATE VIEW app.item_def AS SELECT * FROM app.item;
                SELECT tally.create_projection('app.fact', 'app.item_def', '{id}');
                SELECT tally.watch('app.fact', 'app.item', '{id}');
                """);
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    private static final String[] WRITES = {
        """
        INSERT INTO app.item SELECT i, CASE i % 4 WHEN 0 THEN NULL ELSE 'g' || i % 4 END, nullif(i % 3, 0), nullif(i % 5, 0), i / 10.0,
            i / 10.0, i % 2 = 0, '2026-01-01 00:00Z'::timestamptz + i % 7 * interval '1 day', i % 6 * interval '1 minute' FROM generate_series(1, 60) i""",
        "UPDATE app.item SET v = NULL, n = NULL, f = NULL, b = NULL, at = NULL, took = NULL WHERE id % 4 = 1",
        "UPDATE app.item SET v = 1000 WHERE id = 9",
        "UPDATE app.item SET v = -1000, at = '2030-01-01' WHERE id IN (9, 10, 12)",
        "UPDATE app.item SET v = 3 WHERE id IN (9, 10, 12)",
        "DELETE FROM app.item WHERE v = (SELECT max(v) FROM app.item)",
        "UPDATE app.item SET grp = NULL, sub = NULL WHERE id < 20",
        "UPDATE app.item SET grp = 'g2' WHERE grp IS NULL",
        "UPDATE app.item SET sub = id % 2",
        "UPDATE app.item SET n = 1e30 WHERE id = 40",
        "UPDATE app.item SET n = 0.1, f = 1e16 WHERE id = 40",
        "UPDATE app.item SET f = 0.3 WHERE id = 40",
        "UPDATE app.item SET b = false",
        "UPDATE app.item SET b = true WHERE id % 7 = 0",
        "DELETE FROM app.item WHERE grp = 'g2'",
        "DELETE FROM app.item",
        "INSERT INTO app.item (id, grp, v) VALUES (1, 'g1', 5), (2, NULL, NULL)",
    };

    @Test
    void everyMeasureIsKeptByDifferencesWithNullsInGroupsAndValues() {
        engine.run("""
                SELECT tally.create_rollup('app.all_of_them', 'app.fact', '{grp,sub}', '{
                    "c":"count(*)", "cv":"count(v)", "sv":"sum(v)", "sn":"sum(n)", "sf":"sum(f)", "st":"sum(took)", "av":"avg(v)", "an":"avg(n)", "af":"avg(f)",
                    "lo":"min(v)", "hi":"max(v)", "first":"min(at)", "last":"max(at)", "word":"max(grp)", "d":"count(distinct v)", "dt":"COUNT( DISTINCT at )",
                    "any":"bool_or(b)", "every":"bool_and(b)"}');
                SELECT tally.create_rollup('app.filtered', 'app.fact', '{grp}', '{"c":"count(*)", "hi":"max(v)", "d":"count(distinct sub)"}', filter => 'v > 2 OR b');
                SELECT tally.create_rollup('app.bare', 'app.fact', '{sub}', '{}');
                SELECT tally.activate('app.fact');
                """);
        engine.write(WRITES);
        assertThat(engine.number("SELECT count(*) FROM app.all_of_them")).isEqualTo(2);
    }

    @Test
    void rollupsOverRollupsToAnyDepth() {
        engine.run("""
                SELECT tally.create_rollup('app.fine', 'app.fact', '{grp,sub,b}', '{"c":"count(*)", "s":"sum(v)", "hi":"max(v)", "lo":"min(v)"}');
                SELECT tally.create_rollup('app.middle', 'app.fine', '{grp,sub}', '{"cells":"count(*)", "c":"sum(c)", "s":"sum(s)", "hi":"max(hi)", "lo":"min(lo)", "kinds":"count(distinct b)"}');
                SELECT tally.create_rollup('app.coarse', 'app.middle', '{grp}', '{"subs":"count(*)", "c":"sum(c)", "hi":"max(hi)", "lo":"min(lo)", "k":"sum(kinds)", "a":"avg(s)"}', filter => 'c > 1');
                SELECT tally.create_rollup('app.top', 'app.coarse', '{subs}', '{"groups":"count(*)", "c":"sum(c)", "hi":"max(hi)", "any":"count(distinct grp)"}');
                SELECT tally.activate('app.top');
                """);
        engine.write(WRITES);
    }

    @Test
    void aRollupDeclaredLaterIsFilledAtOnce() {
        engine.run("SELECT tally.activate('app.fact')");
        engine.write(WRITES[0]);
        engine.run("UPDATE app.item SET v = 77 WHERE id = 5");
        engine.run("""
                SELECT tally.create_rollup('app.late', 'app.fact', '{grp}', '{"c":"count(*)", "hi":"max(v)", "d":"count(distinct v)"}');
                SELECT tally.create_rollup('app.later', 'app.late', '{d}', '{"c":"sum(c)"}');
                """);
        engine.liveAgrees("declaring a rollup");
        engine.write(WRITES[1], WRITES[2], WRITES[5]);
    }

    @Test
    void aMeasureMayBeNamedRowsAndCountedAbove() {
        engine.run("""
                SELECT tally.create_rollup('app.lines', 'app.fact', '{grp}', '{"rows":"count(*)", "hi":"max(v)"}');
                SELECT tally.create_rollup('app.sizes', 'app.lines', '{rows}', '{"n":"count(*)"}');
                SELECT tally.activate('app.fact');
                """);
        engine.write(WRITES);
    }

    @Test
    void aDistinctCountOfAColumnThatIsGroupedBy() {
        engine.run("""
                SELECT tally.create_rollup('app.odd', 'app.fact', '{grp,sub}', '{"d":"count(distinct grp)", "e":"count(distinct sub)", "f":"count(distinct v)"}');
                SELECT tally.activate('app.fact');
                """);
        engine.write(WRITES);
    }

    @Test
    void aDistinctCountByAColumnNamedNIsFilledLater() {
        engine.run("SELECT tally.activate('app.fact')");
        engine.write(WRITES[0]);
        engine.run("SELECT tally.create_rollup('app.by_n', 'app.fact', '{n}', '{\"d\":\"count(distinct v)\"}')");
        engine.storedAgrees("filling it");
        engine.write(WRITES[1], WRITES[9], WRITES[14]);
    }

    @Test
    void groupsThatEmptyDisappear() {
        engine.run("""
                SELECT tally.create_rollup('app.counts', 'app.fact', '{grp}', '{"c":"count(*)", "d":"count(distinct v)"}');
                SELECT tally.activate('app.fact');
                """);
        engine.write(WRITES[0], "DELETE FROM app.item WHERE grp IS NULL", "UPDATE app.item SET grp = 'g2'");
        assertThat(engine.text("SELECT string_agg(grp, ',') FROM app.counts")).isEqualTo("g2");
        assertThat(engine.number("SELECT count(*) FROM app.counts_state")).isOne();
    }

    @Test
    void whatCannotBeKeptByDifferencesIsRefused() {
        for (String measure : new String[] {
            "array_agg(v)", "sum(v + 1)", "sum(*)", "sum(distinct v)", "stddev(v)", "count(v) filter", ""
        }) {
            engine.refused(
                    "TL009",
                    "SELECT tally.create_rollup('app.r', 'app.fact', '{grp}', '{\"m\":\"%s\"}')".formatted(measure));
        }
        engine.refused("TL009", "SELECT tally.create_rollup('app.r', 'app.fact', '{grp}', '{\"m\":\"sum(b)\"}')");
        engine.refused("TL006", "SELECT tally.create_rollup('app.r', 'app.fact', '{grp}', '{\"m\":\"sum(x)\"}')");
        engine.refused("TL006", "SELECT tally.create_rollup('app.r', 'app.fact', '{x}', '{\"m\":\"count(*)\"}')");
        engine.refused("TL018", "SELECT tally.create_rollup('app.r', 'app.fact', '{}', '{}')");
        engine.refused("TL018", "SELECT tally.create_rollup('app.r', 'app.fact', NULL, '{\"m\":\"count(*)\"}')");
        engine.refused("TL018", "SELECT tally.create_rollup('app.r', 'app.fact', '{grp,grp}', '{\"m\":\"count(*)\"}')");
        engine.refused(
                "TL008",
                "SELECT tally.create_rollup('app.r', 'app.fact', '{grp}', '{\"m\":\"count(*)\"}', filter => 'at < now()')");
        assertThat(engine.number("SELECT count(*) FROM tally.derived_view WHERE schema_name = 'app'"))
                .isOne();
    }
}
