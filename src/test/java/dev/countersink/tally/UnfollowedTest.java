package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.countersink.db.Database;
import dev.countersink.testing.Sql;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The engine itself reports what the next merge has yet to follow, and effects of sessions, crashes and publications; PostgreSQL's own errors do not show. */
class UnfollowedTest {
    private final Engine engine = new Engine();

    @BeforeEach
    void declare() {
        engine.run("""
                CREATE TABLE app.t (id int PRIMARY KEY, g int); INSERT INTO app.t SELECT n, n % 3 FROM generate_series(1, 9) n;
                CREATE VIEW app.f_def AS SELECT id, g FROM app.t;
                SELECT tally.create_projection('app.f', 'app.f_def', '{id}'); SELECT tally.watch('app.f', 'app.t', '{id}');
                SELECT tally.create_rollup('app.r', 'app.f', '{g}', '{"n":"count(*)"}');
                SELECT tally.activate('app.f'); SELECT tally.refresh('app.f');
                CREATE MATERIALIZED VIEW app.m AS SELECT g, count(*) AS n FROM app.t GROUP BY g; CREATE UNIQUE INDEX ON app.m (g);
                SELECT tally.create_snapshot('app.m'); SELECT tally.activate('app.m'); SELECT tally.refresh('app.m')""");
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            ALTER VIEW app.f_def RENAME TO other_def     | app
            ALTER VIEW app.f_def SET SCHEMA elsewhere    | app
            ALTER TABLE app.f_delta RENAME TO other      | app
            ALTER SCHEMA app RENAME TO moved             | moved
            """)
    void aReaderBeforeTheNextMergeIsToldWhatWasRenamed(String migration, String schema) {
        engine.run("CREATE SCHEMA elsewhere; UPDATE app.t SET g = 7 WHERE id = 1; " + migration);
        for (String read : new String[] {
            "SELECT * FROM %s.f_live",
            "SELECT * FROM %s.r_live",
            "SELECT * FROM %s.f_live_at(1)",
            "SELECT * FROM %s.r_live_at(1)",
            "SELECT * FROM tally.verify('%s.f')",
            "SELECT tally.repair('%s.f')"
        }) {
            assertThat(engine.refused("TL023", read.formatted(schema))).contains("has yet to follow a migration");
        }
        engine.run("SELECT tally.refresh('%s.f')".formatted(schema));
        assertThat(engine.text(
                        "SELECT string_agg(concat(g, ' ', n), ', ' ORDER BY g) FROM %s.r_live".formatted(schema)))
                .isEqualTo("0 3, 1 2, 2 3, 7 1");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "ALTER TYPE app.mood RENAME TO feeling",
                "ALTER TYPE app.mood SET SCHEMA elsewhere",
                "ALTER DOMAIN app.small RENAME TO little",
                "ALTER SCHEMA kinds RENAME TO sorts"
            })
    void aReaderBeforeTheNextMergeIsToldThatATypeOfTheKeyWasRenamed(String migration) throws Exception {
        engine.run("""
                CREATE SCHEMA elsewhere; CREATE SCHEMA kinds; CREATE TYPE app.mood AS ENUM ('a', 'b'); CREATE DOMAIN app.small AS int; CREATE TYPE kinds.kind AS ENUM ('x', 'y');
                CREATE TABLE app.k (m app.mood, s app.small, k kinds.kind, v int, PRIMARY KEY (m, s, k)); INSERT INTO app.k SELECT 'a', n, 'x', n FROM generate_series(1, 9) n;
                CREATE VIEW app.k_def AS SELECT m, s, k, v FROM app.k; SELECT tally.keep('app.p', 'app.k_def', '{m,s,k}');
                SELECT tally.create_rollup('app.q', 'app.p', '{m}', '{"n":"count(*)", "kinds":"count(distinct k)", "low":"min(s)"}'); SELECT tally.refresh('app.p')""");
        engine.run("UPDATE app.k SET v = 0 WHERE s = 3; " + migration);
        try (Sql session = engine.session()) { // one that has compiled nothing yet
            for (String read : new String[] {
                "SELECT * FROM app.p_live",
                "SELECT * FROM app.q_live",
                "SELECT * FROM app.p_live_at('a', 3, 'x')",
                "SELECT * FROM app.q_live_at('a')",
                "SELECT * FROM app.p_pending()",
                "SELECT * FROM tally.verify('app.p')"
            }) {
                Throwable refused = catchThrowable(() -> session.run(read));
                if (migration.contains("DOMAIN") && read.contains("_live")) { // what the engine keeps has no domains
                    assertThat(refused).as(read).isNull();
                } else {
                    assertThat(refused)
                            .as(read)
                            .rootCause()
                            .hasMessageContaining("app.p has yet to follow a migration");
                }
            }
        }
        engine.run("UPDATE app.k SET v = v + 1, m = 'b' WHERE s < 5; SELECT tally.refresh('app.p')");
        engine.write("UPDATE app.k SET v = v + 1 WHERE s < 7", "DELETE FROM app.k WHERE s = 9");
    }

    @Test
    void aRenamedColumnOfTheDefinitionIsNamedToReaders() {
        engine.run("UPDATE app.t SET g = 7 WHERE id = 1; ALTER VIEW app.f_def RENAME COLUMN g TO k");
        assertThat(engine.refused("TL023", "SELECT * FROM app.f_live"))
                .contains("app.f_def has the columns (id, k) now");
    }

    @Test
    void anErrorOfTheDefinitionItselfStaysAsItIs() {
        engine.run("""
                CREATE FUNCTION app.lost(v int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN (SELECT missing FROM app.nowhere); END';
                CREATE VIEW app.l_def AS SELECT id, CASE WHEN g = 9 THEN app.lost(g) ELSE g END AS g FROM app.t;
                SELECT tally.create_projection('app.l', 'app.l_def', '{id}'); SELECT tally.watch('app.l', 'app.t', '{id}');
                SELECT tally.activate('app.l'); SELECT tally.refresh('app.l'); UPDATE app.t SET g = 9 WHERE id = 1""");
        assertThat(engine.refused("42P01", "SELECT * FROM app.l_live")).contains("app.nowhere");
    }

    @ParameterizedTest
    @ValueSource(strings = {"SET quote_all_identifiers = on", """
                CREATE TEMP TABLE pg_class (x int); CREATE TEMP TABLE pg_namespace (x int); CREATE TEMP TABLE pg_trigger (x int);
                CREATE TEMP TABLE pg_attribute (x int); CREATE TEMP TABLE pg_inherits (x int); CREATE TEMP TABLE pg_proc (x int)""", """
                CREATE SCHEMA before; CREATE TABLE before.pg_class (x int); CREATE TABLE before.pg_inherits (x int); CREATE TABLE before.pg_trigger (x int);
                SET search_path = before, pg_catalog"""})
    void whatOperatorsCallAnswersWhateverTheSessionHas(String session) {
        engine.run(session);
        assertThat(engine.text("SELECT string_agg(name, ' ' ORDER BY name) FROM tally.status WHERE name ~ '^app'"))
                .isEqualTo("app.f app.m app.r");
        assertThat(engine.text("SELECT string_agg(name, ' ' ORDER BY name) FROM tally.views() WHERE name ~ '^app'"))
                .isEqualTo("app.f app.m app.r");
        assertThat(engine.text("SELECT string_agg(name, ' ' ORDER BY name) FROM tally.due() WHERE name ~ '^app'"))
                .isEqualTo("app.f app.m");
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE relation = 'app.t'"))
                .isEqualTo(8);
        engine.run(
                "UPDATE app.t SET g = 2 WHERE id = 1; SELECT tally.merge('app.f'); SELECT tally.refresh('app.m'); SELECT tally.heal('app.f'); SELECT tally.refresh('app.f')");
        assertThat(engine.number("SELECT count(*) FROM tally.verify('app.f')")).isZero();
        engine.run(
                "SELECT tally.rebuild('app.f'); SELECT tally.repair('app.f'); SELECT tally.drop('app.m'); SELECT tally.drop('app.f')");
        assertThat(engine.number("SELECT count(*) FROM tally.status WHERE name ~ '^app'"))
                .isZero();
    }

    @Test
    void unloggedTablesAreNamedAndFilledAgainAfterACrash() {
        engine.run(
                "ALTER TABLE app.f SET UNLOGGED; ALTER TABLE app.r_state SET UNLOGGED; ALTER TABLE app.f_delta SET UNLOGGED; ALTER TABLE app.m_delta SET UNLOGGED");
        assertThat(
                        engine.text(
                                "SELECT string_agg(relation, ' ' ORDER BY relation) FROM tally.health WHERE NOT ok AND problem ~ 'unlogged'"))
                .isEqualTo("app.f app.f_delta app.m_delta app.r_state");
        engine.run("SELECT tally.refresh('app.f'); SELECT tally.refresh('app.m'); UPDATE app.t SET g = 8 WHERE id = 1");
        engine.run("CHECKPOINT"); // the commit is on disk, whatever synchronous_commit is
        engine.crash();
        assertThat(engine.number("SELECT count(*) FROM app.f")).isZero();
        engine.run("SELECT tally.refresh('app.f'); SELECT tally.refresh('app.m')");
        engine.storedAgrees("a crash");
        assertThat(engine.number("SELECT count(*) FROM app.m WHERE g = 8")).isOne();
        engine.run(
                "ALTER TABLE app.f SET LOGGED; ALTER TABLE app.r_state SET LOGGED; ALTER TABLE app.f_delta SET LOGGED; ALTER TABLE app.m_delta SET LOGGED");
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok AND problem ~ 'unlogged'"))
                .isZero();
    }

    @Test
    void aSourceThatBecomesUnloggedIsNamedAndSweptAfterACrash() {
        engine.run("ALTER TABLE app.t SET UNLOGGED");
        assertThat(
                        engine.text(
                                "SELECT string_agg(view, ' ' ORDER BY view) FROM tally.health WHERE NOT ok AND problem ~ 'app.t is unlogged'"))
                .isEqualTo("app.f app.m");
        engine.run("SELECT tally.refresh('app.f')");
        engine.crash();
        assertThat(engine.number("SELECT count(*) FROM app.t")).isZero();
        engine.run("SELECT tally.refresh('app.f'); SELECT tally.refresh('app.m')");
        engine.storedAgrees("a crash");
        assertThat(engine.number("SELECT count(*) FROM app.m")).isZero();
    }

    @Test
    void everythingGoesOnUnderAPublicationForAllTables() throws Exception {
        engine.run(
                "UPDATE countersink_changelog SET md5sum = '9:0' WHERE id = 'sql/tally/api/token.sql'; CREATE PUBLICATION everything FOR ALL TABLES");
        Database.open(engine.db()).close(); // runs that file again, which Liquibase notes by an UPDATE
        engine.write("UPDATE app.t SET g = 4 WHERE id = 2", "DELETE FROM app.t WHERE id = 3");
        engine.run(
                "SELECT tally.refresh('app.m'); CREATE VIEW app.f_def2 AS SELECT id, g + 1 AS g FROM app.t; SELECT tally.redefine('app.f', 'app.f_def2')");
        engine.run("SELECT tally.refresh('app.f'); SELECT tally.refresh('app.f')");
        engine.write("UPDATE app.t SET g = 5 WHERE id = 2");
        assertThat(engine.text("""
                SELECT coalesce(string_agg(c.oid::regclass::text, ' '), 'none') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname !~ '^(pg_|information_schema)' AND c.relreplident = 'd'
                AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)""")).isEqualTo("none");
        engine.run("SELECT tally.drop('app.f'); SELECT tally.drop('app.m')");
    }
}
