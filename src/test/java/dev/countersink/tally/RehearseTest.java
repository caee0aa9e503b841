package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.testing.Session;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A rehearsal finds wrong watches, and reports no right one. {@code -Dcountersink.rehearse.seeds=N} tries more seeds. */
class RehearseTest {
    private static final Path FOLDER = Path.of("sql", "tests", "derive");
    private static final int MANY_VIEWS = 70;
    private static final int SOME_VIEWS = 21;
    private static final String MEMBERS = "SELECT m.team_id FROM app.member m JOIN changed c ON m.person_id = c.id";
    private static final String RIGHT = MEMBERS
            + " UNION SELECT m.team_id FROM changed c JOIN app.person p ON p.boss_id = c.id JOIN app.member m ON m.person_id = p.id";
    private static final String CONTENT = """
            SELECT concat((SELECT string_agg(t::text, ',' ORDER BY id) FROM app.team t), (SELECT string_agg(t::text, ',' ORDER BY id) FROM app.person t),
                (SELECT string_agg(t::text, ',' ORDER BY t::text) FROM app.member t), (SELECT string_agg(t::text, ',' ORDER BY id) FROM app.doc t),
                (SELECT string_agg(t::text, ',' ORDER BY t::text) FROM app.doc_delta t))""";

    private final Engine engine = new Engine();

    RehearseTest() {
        engine.run("""
                CREATE TABLE app.team (id int PRIMARY KEY, name text);
                CREATE TABLE app.person (id int PRIMARY KEY, name text, boss_id int);
                CREATE TABLE app.member (team_id int REFERENCES app.team, person_id int REFERENCES app.person DEFERRABLE INITIALLY DEFERRED, PRIMARY KEY (team_id, person_id));
                CREATE INDEX ON app.member (person_id);
                INSERT INTO app.team SELECT g, 't' || g FROM generate_series(1, 8) g;
                INSERT INTO app.person SELECT g, 'p' || g, 1 + g % 4 FROM generate_series(1, 16) g;
                INSERT INTO app.member SELECT 1 + g % 8, g FROM generate_series(1, 16) g;
                CREATE VIEW app.doc_def AS SELECT t.id, t.name,
                    (SELECT jsonb_agg(p.name ORDER BY p.id) FROM app.member m JOIN app.person p ON p.id = m.person_id WHERE m.team_id = t.id) AS people,
                    (SELECT jsonb_agg(b.name ORDER BY b.id) FROM app.member m JOIN app.person p ON p.id = m.person_id JOIN app.person b ON b.id = p.boss_id WHERE m.team_id = t.id) AS bosses
                FROM app.team t;
                """);
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void everyWrongExpandIsFoundAndNoRowChanges() {
        String link = "SELECT m.team_id FROM app.member m JOIN changed c ON m.person_id = c.person_id";
        found(true, "{team_id}", null, MEMBERS);
        found(true, "{team_id}", null, "SELECT m.team_id FROM app.member m JOIN changed c ON m.team_id = c.id");
        found(true, "{team_id}", null, "SELECT m.person_id FROM app.member m JOIN changed c ON m.person_id = c.id");
        found(true, "{team_id}", null, "SELECT 1 FROM changed");
        found(true, "{team_id}", null, "SELECT id FROM changed WHERE false");
        found(true, "{team_id}", null, "SELECT NULL::int FROM changed");
        found(true, "{person_id}", null, RIGHT);
        found(true, "{person_id}", link, RIGHT);
        found(false, "{team_id}", null, RIGHT);
        found(false, "{team_id}", null, "SELECT id FROM app.team");
    }

    @Test
    void aWayThatFewRowsTakeIsTriedToo() {
        engine.run("""
                SELECT tally.create_projection('app.doc', 'app.doc_def', '{id}');
                SELECT tally.watch('app.doc', 'app.team', '{id}');
                SELECT tally.watch('app.doc', 'app.member', '{team_id}');
                SELECT tally.watch('app.doc', 'app.person', '{id}', '%s');
                SELECT tally.activate('app.doc'); SELECT tally.refresh('app.doc');
                """.formatted(MEMBERS));
        for (int seed = 1; seed <= 10; seed++) {
            assertThat(engine.number(
                            "SELECT sum(missed) FROM tally.rehearse('app.doc', 2, %s)".formatted(seed / 100.0)))
                    .as("two of 16 persons, seed %s", seed)
                    .isPositive();
        }
    }

    @Test
    void noDerivedWatchRaisesAFalseAlarm() throws Exception {
        assumeTrue(Session.hasPsql(), "psql is not installed");
        Session.psql(engine.db(), FOLDER.resolve("fuzz.sql"));
        engine.run("SELECT fuzz.setup(false)");
        Session.psql(engine.db(), FOLDER.resolve("rehearse.sql"));
        engine.run("SET statement_timeout = '900s'");
        int views = TestPostgres.version() < 18 ? SOME_VIEWS : MANY_VIEWS;
        engine.run("CREATE TABLE app.result AS SELECT * FROM fuzz.rehearse(1, 0.3, %d)".formatted(views));
        assertThat(engine.text("SELECT coalesce(string_agg(view, ', '), '') FROM app.result WHERE missed > 0"))
                .isEmpty();
        assertThat(engine.number("SELECT count(*) FROM app.result WHERE missed = 0 AND changed > 0"))
                .isGreaterThanOrEqualTo(views * 5L / 7);
    }

    @Test
    void aColumnThatIsEqualToOneOfTheChangedRowNeedNotBeRead() {
        engine.run("""
                CREATE TABLE app.a (id int PRIMARY KEY, v int); CREATE TABLE app.b (id int PRIMARY KEY, of_a int, w int); CREATE TABLE app.c (id int PRIMARY KEY, of_a int);
                CREATE VIEW app.good_def AS SELECT t.id, EXISTS (SELECT FROM app.b JOIN app.a u ON b.of_a = u.id WHERE b.of_a = t.id AND u.v > 1) AS x FROM app.a t;
                CREATE VIEW app.bad_def AS SELECT a.id, (SELECT sum(w) FROM app.b JOIN app.c ON c.id = b.of_a WHERE c.of_a = a.id) AS x FROM app.a""");
        for (String name : new String[] {"good", "bad"}) {
            engine.run("""
                    SELECT tally.create_projection('app.%1$s', 'app.%1$s_def', '{id}'); SELECT tally.watch('app.%1$s', 'app.b', '{of_a}', 'SELECT of_a FROM changed');
                    SELECT tally.watch('app.%1$s', t) FROM unnest('{app.a,app.c}'::regclass[]) t WHERE t IN (SELECT tally.tables_read('app.%1$s_def'));
                    SELECT tally.activate('app.%1$s')""".formatted(name));
        }
        assertThat(engine.text("SELECT string_agg(view || ': ' || problem, '; ') FROM tally.health WHERE NOT ok"))
                .startsWith(
                        "app.bad: what is watched of app.b cannot reach every key: it does not look at app.c.of_a, which")
                .doesNotContain("app.good");
    }

    @Test
    void oneStatementShowsWhatItWouldEnqueueAndChange() {
        engine.run("SELECT tally.keep('app.doc', 'app.doc_def'); SELECT tally.refresh('app.doc')");
        String before = engine.text(CONTENT);
        engine.run(
                "CREATE TABLE app.report AS SELECT * FROM tally.rehearse('app.doc', 'UPDATE app.person SET name = ''x'' WHERE id = 7')");
        assertThat(engine.text(
                        "SELECT string_agg(what || '=' || count, ' ' ORDER BY what) FROM app.report WHERE key IS NULL"))
                .isEqualTo("delta rows=1 keys changed=1 keys missed=0 keys named=1");
        assertThat(
                        engine.text(
                                "SELECT concat(key ->> 'id', before -> 0 -> 'people', after -> 0 -> 'people') FROM app.report WHERE what = 'changed'"))
                .isEqualTo("8[\"p7\", \"p15\"][\"x\", \"p15\"]");
        assertThat(engine.text(CONTENT)).isEqualTo(before);
        engine.refused("TL018", "SELECT tally.rehearse('app.doc', '')");
        engine.refused("TL018", "SELECT tally.rehearse('app.doc', 0)");
    }

    @Test
    void whatIsNotTriedSaysSo() {
        engine.run("""
                CREATE TABLE app.thing (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a + 1) STORED);
                CREATE TABLE app.nobody (id int PRIMARY KEY);
                CREATE TABLE app.fixed (id int PRIMARY KEY);
                INSERT INTO app.thing (a) VALUES (1), (2);
                CREATE VIEW app.thing_def AS SELECT t.id, t.b, EXISTS (SELECT FROM app.nobody n WHERE n.id = t.a) AS n, EXISTS (SELECT FROM app.fixed f WHERE f.id = t.a) AS f FROM app.thing t;
                SELECT tally.create_projection('app.things', 'app.thing_def', '{id}');
                SELECT tally.watch('app.things', 'app.thing'); SELECT tally.watch('app.things', 'app.nobody'); SELECT tally.assume_static('app.things', 'app.fixed');
                SELECT tally.activate('app.things'); SELECT tally.refresh('app.things');
                """);
        assertThat(
                        engine.text(
                                "SELECT string_agg(source || ' ' || change, E'\\n' ORDER BY source::text, change) FROM tally.rehearse('app.things') WHERE tried = 0"))
                .isEqualTo("""
                        app.fixed not tried: it is assumed static
                        app.nobody not tried: it has no row
                        app.thing UPDATE of b: not tried, its values are generated
                        app.thing UPDATE of id: not tried, its values are generated""");
        assertThat(
                        engine.text(
                                "SELECT string_agg(change, ' ') FROM tally.rehearse('app.things', max_time => '0 s') WHERE change LIKE '%out of time'"))
                .contains("DELETE: 2 of 2 not tried");
    }

    private void found(boolean wrong, String memberColumns, String memberExpand, String personExpand) {
        engine.run(
                """
                SELECT tally.create_projection('app.doc', 'app.doc_def', '{id}');
                SELECT tally.watch('app.doc', 'app.team', '{id}');
                SELECT tally.watch('app.doc', 'app.member', '%s', %s);
                SELECT tally.watch('app.doc', 'app.person', '{id}', '%s');
                SELECT tally.activate('app.doc'); SELECT tally.refresh('app.doc');
                """.formatted(memberColumns, memberExpand == null ? "NULL" : "'" + memberExpand + "'", personExpand));
        int seeds = Integer.getInteger("countersink.rehearse.seeds", 1);
        String content = engine.text(CONTENT);
        for (int seed = 1; seed <= seeds; seed++) {
            assertThat(engine.number(
                            "SELECT sum(missed) FROM tally.rehearse('app.doc', 16, %s)".formatted(seed / 100.0)))
                    .as("%s %s %s, seed %s", memberColumns, memberExpand, personExpand, seed)
                    .matches(missed -> wrong == missed > 0);
        }
        assertThat(engine.text(CONTENT)).isEqualTo(content);
        engine.run("SELECT tally.drop('app.doc')");
    }

    @Test
    void columnsMayBeNamedLikeTheAliasesOfARehearsal() {
        engine.run("""
                CREATE TABLE app.odd (d int, t int, g int, c int, m text, image int, PRIMARY KEY (d, t, g));
                INSERT INTO app.odd SELECT x, x % 3, x % 4, x, 'm' || x, x FROM generate_series(1, 9) x;
                CREATE VIEW app.odd_def AS SELECT d, t, g, c, m, image, c AS seen, d AS key FROM app.odd; SELECT tally.keep('app.odds', 'app.odd_def'); SELECT tally.refresh('app.odds');
                """);
        engine.run("CREATE TABLE app.tries AS SELECT * FROM tally.rehearse('app.odds', 5)");
        assertThat(engine.number("SELECT count(*) FROM app.tries WHERE tried = refused OR missed > 0"))
                .isZero();
        assertThat(engine.number("SELECT sum(changed) FROM app.tries")).isPositive();
        assertThat(
                        engine.text(
                                "SELECT concat(key, before -> 0 -> 'c', after -> 0 -> 'c') FROM tally.rehearse('app.odds', 'UPDATE app.odd SET c = 70 WHERE d = 5') WHERE what = 'changed'"))
                .isEqualTo("{\"d\": 5, \"g\": 1, \"t\": 2}570");
    }

    @Test
    void aStatementThatDoesMoreThanWriteRowsIsRefused() {
        engine.run("SELECT tally.keep('app.doc', 'app.doc_def'); SELECT tally.refresh('app.doc')");
        String before = engine.text(CONTENT);
        for (String statement : new String[] {
            "DROP TABLE app.member CASCADE",
            "ALTER TABLE app.member DISABLE TRIGGER ALL",
            "SELECT tally.drop(''app.doc'')",
            "ALTER TABLE app.person ADD COLUMN z int",
            "CREATE OR REPLACE VIEW app.doc_def AS SELECT t.id, t.name, NULL::jsonb AS people, NULL::jsonb AS bosses FROM app.team t"
        }) {
            assertThat(engine.refused("TL018", "SELECT tally.rehearse('app.doc', '%s')".formatted(statement)))
                    .as(statement)
                    .contains("not only rows");
        }
        for (String statement : new String[] {
            "COMMIT",
            "COPY app.team FROM STDIN",
            "VACUUM app.team",
            "DELETE FROM app.team WHERE id = $1",
            "DO $$BEGIN DELETE FROM app.member; COMMIT; END$$"
        }) {
            assertThat(engine.refused("TL018", "SELECT tally.rehearse('app.doc', '%s')".formatted(statement)))
                    .as(statement)
                    .contains(statement);
        }
        assertThat(
                        engine.text(
                                "SELECT string_agg(what || '=' || count, ' ' ORDER BY what) FROM tally.rehearse('app.doc', 'TRUNCATE app.member') WHERE key IS NULL"))
                .isEqualTo("delta rows=1 keys changed=8 keys missed=0 keys named=8");
        assertThat(engine.text(CONTENT)).isEqualTo(before);
    }

    @Test
    void aRunningMergeIsNotWaitedForLongerThanASecond() throws Exception {
        engine.run("SELECT tally.keep('app.doc', 'app.doc_def'); SELECT tally.refresh('app.doc')");
        try (Sql merging = new Sql(engine.db())) {
            merging.run("BEGIN; UPDATE app.person SET name = 'y' WHERE id = 1; SELECT tally.merge('app.doc')");
            engine.run("SET statement_timeout = '20s'");
            assertThat(engine.refused("TL015", "SELECT tally.rehearse('app.doc', 3)"))
                    .contains("is being merged");
            assertThat(engine.refused("TL015", "SELECT tally.rehearse('app.doc', 'TRUNCATE app.member')"))
                    .contains("is being merged");
            merging.run("ROLLBACK");
        }
    }
}
