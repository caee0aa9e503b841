package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Sql;
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

    @Test
    void valuesThatAreNotFiniteLeaveNothingBehind() {
        engine.run("""
                SELECT tally.create_rollup('app.sums', 'app.fact', '{grp}', '{"sn":"sum(n)", "an":"avg(n)", "sf":"sum(f)", "af":"avg(f)"}');
                SELECT tally.create_rollup('app.all_of_it', 'app.sums', '{}', '{"s":"sum(sn)", "f":"avg(sf)", "groups":"count(*)"}');
                SELECT tally.activate('app.fact');
                """);
        engine.write(
                "INSERT INTO app.item (id, grp, n, f) VALUES (1, 'a', 5, 0.5), (2, 'a', 'Infinity', 'Infinity'), (3, 'a', '-Infinity', '-Infinity'), (4, 'b', 'NaN', 'NaN'), (5, 'b', 2, 2)",
                "DELETE FROM app.item WHERE id = 3",
                "UPDATE app.item SET grp = 'b' WHERE id = 2",
                "UPDATE app.item SET n = 7, f = 7 WHERE id = 4",
                "DELETE FROM app.item WHERE id = 2");
        assertThat(engine.text("SELECT string_agg(concat_ws(' ', grp, sn, sf), ', ' ORDER BY grp) FROM app.sums"))
                .isEqualTo("a 5 0.5, b 9 9");
    }

    @Test
    void aSumLooksAsIfWhatLeftHadNeverBeenThere() {
        engine.run("""
                SELECT tally.create_rollup('app.sums', 'app.fact', '{grp}', '{"sn":"sum(n)", "an":"avg(n)", "sf":"sum(f)", "af":"avg(f)", "st":"sum(took)", "at":"avg(took)"}');
                SELECT tally.create_rollup('app.above', 'app.sums', '{}', '{"s":"sum(sn)", "a":"avg(an)", "t":"sum(st)", "kinds":"count(distinct sn)"}');
                SELECT tally.activate('app.fact');
                """);
        engine.write(
                "INSERT INTO app.item (id, grp, n, f, took) SELECT i, 'a', i % 2, i % 2, '1 day' FROM generate_series(1, 3) i",
                "INSERT INTO app.item (id, grp, n, f, took) VALUES (4, 'a', 1e-23, 1e-23, '30 days'), (5, 'a', ('1e-1400')::numeric, 1e-300, '1 mon')",
                "DELETE FROM app.item WHERE id = 5",
                "DELETE FROM app.item WHERE id = 4",
                "UPDATE app.item SET n = 1.00 WHERE id = 1",
                "UPDATE app.item SET n = 1, took = '24:00:00' WHERE id = 1",
                "UPDATE app.item SET took = '1 mon' WHERE id = 2",
                "UPDATE app.item SET took = '30 days' WHERE id = 2");
        assertThat(engine.text("SELECT concat_ws(' ', sn, an, st) FROM app.sums"))
                .isEqualTo("2 0.66666666666666666667 31 days 24:00:00");
    }

    @Test
    void theSumOfOneFloatIsThatFloat() {
        engine.run("""
                CREATE TABLE app.float (id int PRIMARY KEY, r real, d double precision);
                CREATE VIEW app.float_def AS SELECT * FROM app.float;
                SELECT tally.create_projection('app.floats', 'app.float_def', '{id}');
                SELECT tally.watch('app.floats', 'app.float', '{id}');
                SELECT tally.create_rollup('app.by_id', 'app.floats', '{id}', '{"r":"sum(r)", "d":"sum(d)", "ar":"avg(r)", "ad":"avg(d)"}');
                SELECT tally.activate('app.floats');
                SET extra_float_digits = -5;
                """);
        engine.write(
                "INSERT INTO app.float VALUES (1, 1234567, 0.1), (2, 0.1, 12345678901234567), (3, 16777216, 3.3333333333333335), (4, 1e-40, 5e-324), (5, 3.4e38, 1.7976931348623157e308), (6, 3.4028235e38, -1.7976931348623157e308), (7, -3.4028235e38, 2.2250738585072014e-308), (8, 1.4e-45, 1.797693134862315e308), (9, 1.1754944e-38, '-Infinity')",
                "UPDATE app.float SET r = r / 3, d = d / 3 WHERE id < 4");
        engine.run("RESET extra_float_digits");
        assertThat(
                        engine.number(
                                "SELECT count(*) FROM app.by_id JOIN app.float f USING (id) WHERE by_id.r::real = f.r AND ar::real = f.r AND by_id.d = f.d AND ad = f.d"))
                .isEqualTo(9);
    }

    @Test
    void floatsInADocumentAreTheSameInEverySession() {
        engine.run("""
                CREATE TABLE app.float (id int PRIMARY KEY, g int, r real, d double precision, many float8[]);
                CREATE VIEW app.float_def AS SELECT g, jsonb_agg(to_jsonb(f) ORDER BY id) AS doc, jsonb_build_object('d', max(d), 'r', min(r)) AS ends FROM app.float f GROUP BY g;
                SELECT tally.keep('app.docs', 'app.float_def', '{g}');
                SELECT tally.create_rollup('app.ends', 'app.docs', '{ends}', '{"n":"count(*)"}')""");
        engine.write(
                "INSERT INTO app.float VALUES (1, 1, 1.0 / 3, 0.1::float8 + 0.2, '{0.1,1e-320}'), (2, 1, 1e-40, 1e300, '{NaN}'), (3, 2, 16777217, '-Infinity', NULL)");
        engine.run(
                "SET extra_float_digits = -5; UPDATE app.float SET d = d / 3 + 0.1, r = r * 3;"
                        + " CREATE TABLE app.seen AS SELECT doc, ends FROM app.docs_live; CREATE TABLE app.seen_ends AS SELECT ends FROM app.ends_live");
        engine.run("RESET extra_float_digits");
        assertThat(
                        engine.number(
                                "SELECT count(*) FROM ((SELECT doc, ends FROM app.float_def EXCEPT TABLE app.seen) UNION ALL SELECT NULL, ends FROM (SELECT ends FROM app.ends_def EXCEPT TABLE app.seen_ends) e) d"))
                .isZero();
        engine.run("SET extra_float_digits = 0; SELECT tally.refresh('app.docs')");
        assertThat(engine.number("SELECT count(*) FROM tally.verify('app.docs')"))
                .isZero();
        engine.run("RESET extra_float_digits");
        engine.storedAgrees("a merge of a session with fewer digits");
    }

    @Test
    void aRollupGroupedByNothingIsOneRowAlways() {
        engine.run("""
                SELECT tally.create_rollup('app.total', 'app.fact', '{}', '{"n":"count(*)", "s":"sum(v)", "hi":"max(v)", "d":"count(distinct grp)", "any":"bool_or(b)"}', filter => 'sub IS NOT NULL');
                SELECT tally.create_rollup('app.totals', 'app.total', '{}', '{"rows":"count(*)", "n":"sum(n)"}');
                SELECT tally.create_rollup('app.of_size', 'app.total', '{n}', '{"rows":"count(*)"}');
                """);
        assertThat(engine.text("SELECT t::text FROM app.total t")).isEqualTo("(0,0,,,)");
        engine.run("SELECT tally.activate('app.fact')");
        engine.liveAgrees("activation");
        engine.write(WRITES);
        engine.write("TRUNCATE app.item");
        assertThat(engine.text("SELECT concat_ws(' ', rows, n) FROM app.totals"))
                .isEqualTo("1 0");
        engine.run("SELECT tally.create_rollup('app.later', 'app.fact', '{}', '{\"n\":\"count(*)\"}')");
        assertThat(engine.number("SELECT n FROM app.later_live")).isZero();
        engine.run("DELETE FROM app.total; SELECT tally.repair('app.total')");
        engine.storedAgrees("a repair");
    }

    @Test
    void valuesAreCountedAsPostgresCountsThem() {
        engine.run("""
                CREATE TYPE app.cash AS (amount numeric, unit text);
                CREATE TABLE app.page (id int PRIMARY KEY, g int, price app.cash, body text, tags int[], bytes bytea, plain text COLLATE "C");
                CREATE VIEW app.page_def AS SELECT * FROM app.page;
                SELECT tally.create_projection('app.pages', 'app.page_def', '{id}');
                SELECT tally.watch('app.pages', 'app.page', '{id}');
                SELECT tally.create_rollup('app.kinds', 'app.pages', '{g}', '{"c":"count(price)", "p":"count(distinct price)", "b":"count(distinct body)", "t":"count(distinct tags)",
                    "y":"count(distinct bytes)", "lo":"min(body)", "hi":"max(body)", "first":"min(plain)", "last":"max(plain)"}');
                SELECT tally.activate('app.pages');
                """);
        engine.write(
                "INSERT INTO app.page VALUES (1, 1, '(5,EUR)', 'b', '{1,2}', '\\x00', 'Mint'), (2, 1, '(7,)', 'b', '{}', '\\x00', 'Zinc'), (3, 2, '(,)', NULL, NULL, NULL, NULL), (4, 1, NULL, 'c', '{NULL}', '\\x01', 'bark')",
                "INSERT INTO app.page (id, g, body, price) SELECT n, n % 2, string_agg(md5((i * (n % 3))::text), '' ORDER BY i), '(7,)' FROM generate_series(1, 400) i, generate_series(10, 15) n GROUP BY n",
                "UPDATE app.page SET body = 'zz' || body WHERE id = 10",
                "DELETE FROM app.page WHERE id IN (2, 11)",
                "UPDATE app.page SET body = 'a' WHERE id = 10",
                "DELETE FROM app.page WHERE g = 1");
        assertThat(engine.number("SELECT count(*) FROM tally.quarantine")).isZero();
    }

    @Test
    void whatHasNoOrderOrNoSumIsRefusedByName() {
        engine.run("""
                CREATE TYPE app.pair AS (a int, b text);
                CREATE TABLE app.odd (id int PRIMARY KEY, doc json, at point, many json[], word text, pair app.pair, written xid);
                CREATE VIEW app.odd_def AS SELECT * FROM app.odd;
                SELECT tally.create_projection('app.odds', 'app.odd_def', '{id}');
                """);
        for (String measure : new String[] {"min(doc)", "count(distinct doc)", "max(at)", "count(distinct many)"}) {
            assertThat(engine.refused(
                            "TL024",
                            "SELECT tally.create_rollup('app.r', 'app.odds', '{word}', '{\"m\":\"%s\"}')"
                                    .formatted(measure)))
                    .contains("app.odds");
        }
        engine.refused("TL024", "SELECT tally.create_rollup('app.r', 'app.odds', '{doc}', '{}')");
        engine.run("CREATE VIEW app.by_written AS SELECT written, count(*) AS n FROM app.odd GROUP BY written");
        assertThat(engine.refused("TL024", "SELECT tally.keep('app.written', 'app.by_written')"))
                .contains("\"written\"");
        for (String measure : new String[] {
            "sum(word)", "avg(word)", "bool_or(word)", "sum(word::int)", "max(lower(word))", "min(pair)"
        }) {
            assertThat(engine.refused(
                            "TL009",
                            "SELECT tally.create_rollup('app.r', 'app.odds', '{id}', '{\"m\":\"%s\"}')"
                                    .formatted(measure)))
                    .contains("\"m\"");
        }
        assertThat(engine.refused(
                        "TL009", "SELECT tally.create_rollup('app.r', 'app.odds', '{id}', '{\"m\":\"min(pair)\"}')"))
                .contains("record, which no table can keep");
    }

    @Test
    void textReadAsAnArrayAndNamesInQuotesAreTheSameWhateverTheSession() throws Exception {
        String seen = "SELECT string_agg(x::text, ' ' ORDER BY id) FROM %s x";
        engine.run("""
                CREATE TABLE app.worded (id int PRIMARY KEY, x text); INSERT INTO app.worded VALUES (1, '{a,NULL}'), (2, '{NULL}'), (3, '{b}');
                CREATE VIEW app.words_def AS SELECT id, x::text[] AS a, cardinality(array_remove(x::text[], NULL)) AS n, quote_ident(translate(x, '{}', '')) AS q, format('%I', id || 'b') AS f FROM app.worded;
                SELECT tally.keep('app.words', 'app.words_def'); SELECT tally.create_rollup('app.by_word', 'app.words', '{q}', '{"n":"count(*)","s":"sum(n)"}'); SELECT tally.refresh('app.words')""");
        engine.run(
                "SET array_nulls = off; SET quote_all_identifiers = on; UPDATE app.worded SET x = '{b,NULL}' WHERE id < 3");
        try (Sql usual = engine.session()) {
            String right = usual.text(seen.formatted("app.words_def"));
            assertThat(engine.text(seen.formatted("app.words_def"))).isNotEqualTo(right);
            assertThat(engine.text(seen.formatted("app.words_live"))).isEqualTo(right);
            assertThat(
                            engine.text(
                                    "SELECT string_agg(x::text, ' ' ORDER BY i) FROM generate_series(1, 3) i, app.words_live_at(i) x"))
                    .isEqualTo(right);
            engine.run("SELECT tally.refresh('app.words')");
            assertThat(engine.text(seen.formatted("app.words"))).isEqualTo(right);
            assertThat(engine.number("SELECT count(*) FROM tally.verify('app.words')"))
                    .isZero();
        }
        engine.run("RESET array_nulls; RESET quote_all_identifiers");
        engine.liveAgrees("usual settings");
        engine.storedAgrees("usual settings");
    }
}
