package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Somebody drops a part of a derived view: other views go on, the loss is named, and tally.drop removes the rest. */
class LostViewsTest {
    private final Engine engine = new Engine();

    @BeforeEach
    void declare() {
        for (String schema : new String[] {"app", "lost"}) {
            engine.run("""
                    CREATE SCHEMA IF NOT EXISTS %1$s; CREATE TABLE %1$s.t (id int PRIMARY KEY, v int); INSERT INTO %1$s.t VALUES (1, 1);
                    CREATE VIEW %1$s.f_def AS SELECT id, v FROM %1$s.t;
                    SELECT tally.create_projection('%1$s.f', '%1$s.f_def', '{id}'); SELECT tally.watch('%1$s.f', '%1$s.t', '{id}');
                    SELECT tally.create_rollup('%1$s.r', '%1$s.f', '{v}', '{"n":"count(*)","d":"count(distinct id)"}');
                    SELECT tally.activate('%1$s.f'); SELECT tally.refresh('%1$s.f');
                    CREATE MATERIALIZED VIEW %1$s.m AS SELECT count(*) AS n FROM %1$s.t; CREATE UNIQUE INDEX ON %1$s.m (n);
                    SELECT tally.create_snapshot('%1$s.m'); SELECT tally.activate('%1$s.m')""".formatted(schema));
        }
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            DROP SCHEMA lost CASCADE                   | lost.f | lost.m
            DROP TABLE lost.t CASCADE                  | lost.f | lost.m
            DROP TABLE lost.f CASCADE                  | lost.f |
            DROP TABLE lost.r CASCADE                  | lost.r |
            DROP TABLE lost.r_state CASCADE            | lost.r |
            DROP VIEW lost.r_live CASCADE              | lost.r |
            DROP VIEW lost.f_def CASCADE               | lost.f |
            DROP MATERIALIZED VIEW lost.m CASCADE      | lost.m |
            """)
    void theOthersGoOnTheLostOneIsNamedAndDropRemovesTheRest(String loss, String named, String alsoNamed) {
        engine.run("SET client_min_messages = error; " + loss);
        assertThat(
                        engine.text(
                                "SELECT string_agg(name, ' ' ORDER BY name) FROM tally.status WHERE name LIKE 'app.%' AND error IS NULL"))
                .isEqualTo("app.f app.m app.r");
        assertThat(engine.text("SELECT string_agg(name, ' ' ORDER BY name) FROM tally.due() WHERE name LIKE 'app.%'"))
                .isEqualTo("app.f app.m");
        assertThat(engine.text("SELECT string_agg(problem, ' ') FROM tally.health WHERE NOT ok"))
                .contains("SELECT tally.drop('" + named + "')");
        assertThat(engine.number(
                        "SELECT count(*) FROM tally.status WHERE name LIKE 'lost.%' AND error_sqlstate = 'TL022'"))
                .isPositive();
        String root = named.equals("lost.m") ? "lost.m" : "lost.f";
        assertThat(engine.number("SELECT count(*) FROM tally.due() WHERE name = '%s'".formatted(root)))
                .isZero();
        for (String verb : new String[] {"refresh", "rebuild", "repair", "verify", "heal"}) {
            engine.refused("TL022", "SELECT tally.%s('%s')".formatted(verb, root));
        }
        engine.run("UPDATE app.t SET v = 5; SELECT tally.refresh('app.f')");
        engine.run("SELECT tally.drop('%s')".formatted(named));
        if (alsoNamed != null) {
            engine.run("SELECT tally.drop('%s')".formatted(alsoNamed));
        }
        assertThat(engine.text("SELECT coalesce(string_agg(problem, ' '), 'well') FROM tally.health WHERE NOT ok"))
                .isEqualTo("well");
        if (named.equals("lost.r")) {
            engine.run("INSERT INTO lost.t VALUES (2, 2); SELECT tally.resume('lost.f')");
        }
        engine.write("INSERT INTO app.t VALUES (2, 2)");
    }

    @Test
    void theNameIsFreeAgain() {
        engine.run(
                "SET client_min_messages = error; DROP SCHEMA lost CASCADE; SELECT tally.drop('lost.f'); SELECT tally.drop('lost.m')");
        engine.run("""
                CREATE SCHEMA lost; CREATE TABLE lost.t (id int PRIMARY KEY, v int); CREATE VIEW lost.f_def AS SELECT id, v FROM lost.t; INSERT INTO lost.t VALUES (2, 2);
                SELECT tally.create_projection('lost.f', 'lost.f_def', '{id}'); SELECT tally.watch('lost.f', 'lost.t', '{id}'); SELECT tally.activate('lost.f')""");
        engine.write("INSERT INTO lost.t VALUES (3, 3)");
    }

    @Test
    void aLostNameIsNotDeclaredAgainBeforeItsRestIsRemoved() {
        engine.run("SET client_min_messages = error; DROP SCHEMA lost CASCADE");
        engine.run(
                "CREATE SCHEMA lost; CREATE TABLE lost.t (id int PRIMARY KEY, v int); INSERT INTO lost.t VALUES (1, 1); CREATE VIEW lost.f_def AS SELECT id, v FROM lost.t");
        assertThat(engine.refused("TL002", "SELECT tally.keep('lost.f', 'lost.f_def')"))
                .contains("lost.f is declared already");
        engine.run(
                "SELECT tally.drop('lost.f'); SELECT tally.keep('lost.f', 'lost.f_def'); SELECT tally.refresh('lost.f')");
        assertThat(engine.number("SELECT count(*) FROM lost.f")).isEqualTo(1);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            v, count(*) AS n             | DROP SCHEMA lost CASCADE
            v, sum(id) / count(*) AS n   | DROP SCHEMA lost CASCADE
            v, count(*) AS n             | DROP VIEW lost.g_rows_def CASCADE
            v, sum(id) / count(*) AS n   | DROP VIEW lost.g_rows_def CASCADE
            """)
    void whatALostViewThatGroupsWasSplitIntoIsRemoved(String columns, String loss) {
        String declare =
                "CREATE VIEW lost.g_def AS SELECT %s FROM lost.t GROUP BY v; SELECT tally.keep('lost.g', 'lost.g_def'); SELECT tally.refresh('lost.g')"
                        .formatted(columns);
        engine.run(declare);
        engine.run("SET client_min_messages = error; " + loss);
        engine.run("SELECT tally.drop('lost.g')");
        assertThat(engine.number("SELECT count(*) FROM tally.status WHERE name LIKE 'lost.g%'"))
                .isZero();
        engine.run("CREATE SCHEMA IF NOT EXISTS lost; CREATE TABLE IF NOT EXISTS lost.t (id int PRIMARY KEY, v int);"
                + "DROP VIEW IF EXISTS lost.g_def; INSERT INTO lost.t VALUES (7, 7); " + declare);
        assertThat(engine.number("SELECT n FROM lost.g WHERE v = 7")).isPositive();
    }
}
