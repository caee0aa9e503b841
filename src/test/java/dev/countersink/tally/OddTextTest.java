package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Differences;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Strings of several lines, and names that look like parts of the templates, in generated code. */
class OddTextTest {
    private final Engine engine = new Engine();

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    private void declareLines() {
        engine.run("""
                CREATE TABLE app.t (id int PRIMARY KEY, x text, g int); INSERT INTO app.t VALUES (1, E'a\\nb', 1), (2, 'b', 1), (3, E'a\\n    b', 2), (4, E'a\\nb', 2);
                CREATE TABLE app.link (id int PRIMARY KEY, x text); CREATE VIEW app.f_def AS SELECT id, x, g FROM app.t; SELECT tally.keep('app.f', 'app.f_def');
                SELECT tally.create_rollup('app.r', 'app.f', '{g}', '{"n":"count(*)"}', filter => E'x = ''a\\nb''');
                CREATE VIEW app.by_hand_def AS SELECT t.id, l.x FROM app.t JOIN app.link l ON l.x = t.x;
                SELECT tally.create_projection('app.by_hand', 'app.by_hand_def', '{id}', '{id}'); SELECT tally.watch('app.by_hand', 'app.t', '{id}');
                SELECT tally.watch('app.by_hand', 'app.link', '{x}', E'SELECT t.id FROM app.t JOIN changed c ON t.x = c.x -- don''t\\nAND t.x IN (''b'', ''a\\nb'', E''a\\\\n    b'')');
                SELECT tally.activate('app.by_hand');
                CREATE VIEW app.arms_def AS SELECT E'k\\nl' AS k, id, x FROM app.t UNION ALL SELECT E'k\\n    l', id, x FROM app.link; SELECT tally.keep('app.arms', 'app.arms_def');
                CREATE VIEW app.split_def AS SELECT g, count(*) FILTER (WHERE x = E'a\\nb') AS n, max(CASE WHEN x = E'a\\nb' THEN E'p\\nq' END) AS p FROM app.t GROUP BY g;
                SELECT tally.keep('app.split', 'app.split_def')""");
    }

    @Test
    void stringsOfSeveralLinesStayAsTheyAre() {
        declareLines();
        assertThat(engine.number("SELECT sum(n) FROM app.r_def")).isEqualTo(2);
        engine.write(
                "SELECT 1",
                "UPDATE app.t SET x = E'a\\nb' WHERE id = 2",
                "INSERT INTO app.link VALUES (1, E'a\\nb'), (2, E'a\\n    b'), (3, 'b')",
                "UPDATE app.link SET x = 'c' WHERE id < 3",
                "UPDATE app.link SET x = E'a\\n    b' WHERE id = 2",
                "DELETE FROM app.t WHERE id = 1");
        assertThat(
                        engine.number(
                                "SELECT count(*) FROM ((TABLE app.split EXCEPT ALL TABLE app.split_def) UNION ALL (TABLE app.split_def EXCEPT ALL TABLE app.split)) x"))
                .isZero();
    }

    /** An older engine put blanks into them, so its keys were others. */
    @Test
    void afterAnUpgradeTheyAreComparedAgain() {
        declareLines();
        engine.write("SELECT 1");
        engine.run("""
                UPDATE app.t SET x = 'z' WHERE id = 4; DELETE FROM app.f_delta; DELETE FROM app.arms_delta; DELETE FROM app.by_hand_delta; SELECT tally.refresh('app.split');
                UPDATE tally.derived_view SET generated_by = 'an older one' WHERE kind = 'projection'; SELECT tally.regenerate()""");
        engine.write("SELECT 1");
    }

    @Test
    void namesMayLookLikePartsOfATemplate() {
        engine.run("""
                CREATE SCHEMA "50% {live}"; SET search_path = "50% {live}", public;
                CREATE TABLE "t$body$" ("{d_columns}" int PRIMARY KEY, "%1$s" int, "$body$" text, "a""b'c\\d" int, "{" int, "$1" int, new_rows int, d int, pending int, "
                nl" int, "$function$" int);
                INSERT INTO "t$body$" SELECT i, i % 3, 'x' || i % 2, i, i, i % 2, i, i, i, i, i FROM generate_series(1, 20) i;
                CREATE VIEW "v%I_def" AS SELECT * FROM "t$body$"; SELECT tally.keep('"50% {live}"."v%I"', '"v%I_def"');
                SELECT tally.create_rollup('"50% {live}"."r{"', '"50% {live}"."v%I"', '{"$body$","%1$s"}',
                    '{"n{live}":"count(*)","$m$":"sum(\\"{\\")","%s":"max(\\"$1\\")","cd":"count(distinct \\"$body$\\")","pending":"min(pending)"}', filter => '"{d_columns}" > 2 AND "$body$" <> ''$body$''');
                CREATE VIEW "g%s_def" AS SELECT "%1$s", "$body$", count(*) AS "%s", sum("{") AS "{sum}", avg("{") AS "$$" FROM "t$body$" GROUP BY 1, 2;
                SELECT tally.keep('"50% {live}"."g%s"', '"g%s_def"')""");
        write(
                "SELECT 1",
                "UPDATE \"t$body$\" SET \"%1$s\" = 7, \"$body$\" = '$body$' WHERE \"{d_columns}\" < 6",
                "DELETE FROM \"t$body$\" WHERE \"{\" = 9");
        assertThat(
                        engine.number(
                                "SELECT count(*) FROM ((TABLE \"g%s\" EXCEPT ALL TABLE \"g%s_def\") UNION ALL (TABLE \"g%s_def\" EXCEPT ALL TABLE \"g%s\")) x"))
                .isZero();
        engine.run("ALTER TABLE \"t$body$\" RENAME \"$body$\" TO \"$x${live}\"");
        write("SELECT 1", "UPDATE \"t$body$\" SET \"$x${live}\" = '{live}'");
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
    }

    /** The values of a column are compared as text there, and moved rows are looked up. */
    @Test
    void columnsOfAPartitionedTableMayHavePercentSigns() {
        engine.run("""
                CREATE SCHEMA "50% {live}"; SET search_path = "50% {live}", public;
                CREATE TABLE "p%" ("i%d" int, "k%s" int, "v%" text, "x%1$s" int, PRIMARY KEY ("i%d", "k%s")) PARTITION BY LIST ("k%s");
                CREATE TABLE "p%1" PARTITION OF "p%" FOR VALUES IN (1); CREATE TABLE "p%I" PARTITION OF "p%" DEFAULT; INSERT INTO "p%" SELECT i, 1, 'v', i FROM generate_series(1, 9) i;
                CREATE VIEW "v%I_def" AS SELECT * FROM "p%"; SELECT tally.keep('"50% {live}"."v%I"', '"v%I_def"');
                SELECT tally.create_rollup('"50% {live}"."r{"', '"50% {live}"."v%I"', '{v%}', '{"n%s":"count(*)","d%":"count(distinct \\"x%1$s\\")"}', filter => '"v%" LIKE ''%s%'' OR "x%1$s" > 0')""");
        write(
                "SELECT 1",
                "INSERT INTO \"p%\" VALUES (20, 1, 'x', 1), (1, 1, 'x', 1) ON CONFLICT (\"i%d\", \"k%s\") DO UPDATE SET \"v%\" = 'a%sb'",
                "UPDATE \"p%\" SET \"k%s\" = 2 WHERE \"i%d\" < 3",
                "MERGE INTO \"p%\" t USING (SELECT 6 AS i UNION ALL SELECT 30) s ON t.\"i%d\" = s.i WHEN MATCHED THEN UPDATE SET \"k%s\" = 2 WHEN NOT MATCHED THEN INSERT VALUES (s.i, 1, 'm', 0)",
                "MERGE INTO \"p%\" t USING (SELECT 7 AS i UNION ALL SELECT 31) s ON t.\"i%d\" = s.i WHEN MATCHED THEN UPDATE SET \"i%d\" = 70 WHEN NOT MATCHED THEN INSERT VALUES (s.i, 1, 'm', 0)",
                "TRUNCATE \"p%I\"");
    }

    private void write(String... statements) {
        for (String statement : statements) {
            engine.run(statement);
            for (String view : new String[] {"v%I", "r{"}) {
                assertThat(engine.text(Differences.sql("to_jsonb(x)", "\"" + view + "_live\"", "\"" + view + "_def\"")))
                        .as("%s_live after %s", view, statement)
                        .isEmpty();
            }
            engine.run(
                    "SELECT tally.refresh(name) FROM tally.due() WHERE action = 'merge' AND name NOT LIKE 'results.%'");
            engine.storedAgrees(statement);
        }
    }
}
