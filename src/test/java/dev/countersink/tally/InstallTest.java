package dev.countersink.tally;

import static java.util.stream.Collectors.joining;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.config.DbSettings;
import dev.countersink.db.Database;
import dev.countersink.db.EngineScript;
import dev.countersink.testing.Session;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InstallTest {
    private static final String SESSION = """
            CREATE TABLE club (id bigint PRIMARY KEY, name text);
            CREATE TABLE member (id bigint PRIMARY KEY, club_id bigint REFERENCES club ON DELETE CASCADE, age int);
            CREATE VIEW club_def AS SELECT c.id, c.name, count(m.id) AS members, avg(m.age) AS age
                FROM club c LEFT JOIN member m ON m.club_id = c.id GROUP BY c.id;
            SELECT tally.create_projection('public.club_fact', 'club_def', key => '{id}');
            SELECT tally.watch('public.club_fact', 'club', '{id}');
            SELECT tally.watch('public.club_fact', 'member', '{club_id}');
            SELECT tally.create_rollup('public.sizes', 'public.club_fact', '{members}', '{"clubs":"count(*)"}');
            SELECT tally.activate('public.club_fact');
            INSERT INTO club VALUES (1, 'Chess'), (2, 'Go'), (3, 'Bridge');
            INSERT INTO member SELECT n, n % 2 + 1, n FROM generate_series(1, 10) n;
            """;

    @Test
    void psqlAloneInstallsTheEngineAndASessionOfItWorks() throws Exception {
        assumeTrue(Session.hasPsql(), "psql is not installed");
        DbSettings db = TestPostgres.empty();
        Session.psql(db, Path.of("sql", "tally", "install.sql"));
        try (Sql sql = new Sql(db)) {
            sql.run(SESSION);
            assertThat(sql.text(
                            "SELECT string_agg(concat(members, ' ', clubs), ', ' ORDER BY members) FROM sizes_live"))
                    .isEqualTo("0 1, 5 2");
            assertThat(sql.number("SELECT count(*) FROM sizes")).isZero();
            sql.run("SELECT tally.refresh('sizes')");
            assertThat(sql.text("SELECT string_agg(concat(members, ' ', clubs), ', ' ORDER BY members) FROM sizes"))
                    .isEqualTo("0 1, 5 2");
            assertThat(sql.number("SELECT count(*) FROM tally.verify('sizes')")).isZero();
        }
    }

    /** Settings under which PL/pgSQL refuses what it takes otherwise. */
    @Test
    void itInstallsAndWorksUnderEveryExtraCheckOfPlpgsql() throws Exception {
        DbSettings db = TestPostgres.empty();
        String name = db.url().replaceFirst(".*/", "");
        TestPostgres.execute("ALTER DATABASE %s SET plpgsql.extra_errors = 'all'".formatted(name));
        Database.open(db).close();
        try (Sql sql = new Sql(db)) {
            assertThat(sql.text("SHOW plpgsql.extra_errors")).isEqualTo("all");
            sql.run(
                    SESSION
                            + "SELECT tally.refresh('sizes'); UPDATE member SET club_id = 3 WHERE id < 4; DELETE FROM member WHERE id = 9");
            assertThat(sql.text(
                            "SELECT string_agg(concat(members, ' ', clubs), ', ' ORDER BY members) FROM sizes_live"))
                    .isEqualTo("2 1, 3 1, 4 1");
            sql.run(
                    "SELECT tally.refresh('sizes'); CREATE VIEW ages_def AS SELECT club_id, count(*) AS n, round(avg(age), 1) AS age FROM member GROUP BY club_id; SELECT tally.keep('public.ages', 'ages_def'); SELECT tally.refresh('public.ages_rows'); SELECT tally.heal('sizes'); SELECT count(*) FROM tally.ready('{public.club_fact,public.ages_rows}'); SELECT tally.refresh('sizes')");
            assertThat(sql.number("SELECT count(*) FROM tally.rehearse('public.ages_rows', 3) WHERE missed > 0"))
                    .isZero();
            assertThat(sql.number("SELECT count(*) FROM unnest('{sizes,public.ages_rows}'::text[]) v, tally.verify(v)"))
                    .isZero();
        }
    }

    @Test
    void anyClientInstallsAndUpgradesTheEngineFromOneFile() throws Exception {
        DbSettings db = TestPostgres.empty();
        try (Sql sql = new Sql(db)) {
            sql.run(EngineScript.install());
            sql.run(SESSION);
            sql.run("SELECT tally.refresh('sizes')");
            sql.run(EngineScript.upgrade());
            sql.run("DELETE FROM member WHERE id = 1; SELECT tally.refresh('sizes')");
            assertThat(sql.text("SELECT string_agg(concat(members, ' ', clubs), ', ' ORDER BY members) FROM sizes"))
                    .isEqualTo("0 1, 4 1, 5 1");
            try (Engine engine = new Engine()) {
                assertThat(sql.text("SELECT tally.generator()")).isEqualTo(engine.text("SELECT tally.generator()"));
            }
        }
    }

    @Test
    void theBuildWritesTheOneFileWithItsChecksum() throws Exception {
        for (String name : List.of("tally.sql", "tally-upgrade.sql")) {
            Path file = Path.of("target", name);
            assertThat(Files.readString(file))
                    .isEqualTo(name.equals("tally.sql") ? EngineScript.install() : EngineScript.upgrade());
            String digest = HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file)));
            assertThat(Path.of("target", name + ".sha256")).hasContent(digest + "  " + name);
        }
    }

    @Test
    void noTableHoldsATypeThatPgUpgradeRefuses() throws Exception {
        try (Engine engine = new Engine()) {
            engine.run(SESSION.replaceAll("public\\.", "app."));
            assertThat(engine.number("""
                    SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
                    WHERE c.relkind IN ('r', 'm') AND c.oid >= 16384 AND coalesce(nullif(t.typelem, 0), t.oid) = ANY (
                        '{regcollation,regconfig,regdictionary,regnamespace,regoper,regoperator,regproc,regprocedure}'::regtype[]::oid[])""")).isZero();
        }
    }

    @Test
    void anUpgradeMakesWhatAnOlderEngineGeneratedAnewAndLosesNothing() throws Exception {
        assumeTrue(Session.hasPsql(), "psql is not installed");
        DbSettings db = TestPostgres.empty();
        Session.psql(db, Path.of("sql", "tally", "install.sql"));
        try (Sql sql = new Sql(db)) {
            sql.run(SESSION);
            sql.run("SELECT tally.refresh('sizes')");
            sql.run("INSERT INTO member SELECT n, 3, n FROM generate_series(11, 14) n");
            // an engine that generated something else, and had other functions
            sql.run(
                    "DROP VIEW sizes_live; CREATE VIEW sizes_live AS SELECT NULL::bigint AS members, 0::bigint AS clubs");
            sql.run(
                    "DROP FUNCTION club_fact_consume(integer); CREATE FUNCTION club_fact_consume() RETURNS text LANGUAGE sql AS 'SELECT 1'");
            sql.run(
                    "DROP FUNCTION tally.resume(text); CREATE FUNCTION tally.older() RETURNS int LANGUAGE sql AS 'SELECT 1'");
            sql.run("UPDATE tally.derived_view SET generated_by = 'older'");
            assertThat(Session.psql(db, Path.of("sql", "tally", "upgrade.sql"))).containsExactly("public.club_fact");
            String live = "SELECT string_agg(concat(members, ' ', clubs), ', ' ORDER BY members) FROM sizes_live";
            assertThat(sql.text(live)).isEqualTo("4 1, 5 2");
            sql.run("SELECT tally.refresh('sizes')");
            assertThat(sql.text(live.replace("_live", ""))).isEqualTo("4 1, 5 2");
            assertThat(Session.psql(db, Path.of("sql", "tally", "upgrade.sql"))).isEmpty();
        }
    }

    @Test
    void anUninstallLeavesTheDatabaseAsItWas() throws Exception {
        assumeTrue(Session.hasPsql(), "psql is not installed");
        String catalog = """
                SELECT coalesce(string_agg(what, E'\\n' ORDER BY what), '-') FROM (
                    SELECT 'relation ' || oid::regclass::text AS what FROM pg_class WHERE relnamespace = 'public'::regnamespace
                    UNION ALL SELECT 'function ' || oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
                    UNION ALL SELECT 'type ' || oid::regtype::text FROM pg_type WHERE typnamespace = 'public'::regnamespace
                    UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal
                    UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname !~ '^pg_(temp|toast)'
                    UNION ALL SELECT 'event ' || evtname FROM pg_event_trigger
                    UNION ALL SELECT format('%s may %s %s', a.grantee::regrole, a.privilege_type, c.name) FROM (
                        SELECT oid::regclass::text AS name, relacl AS acl FROM pg_class UNION ALL SELECT nspname, nspacl FROM pg_namespace
                        UNION ALL SELECT oid::regprocedure::text, proacl FROM pg_proc) c, aclexplode(c.acl) a
                    WHERE a.grantee::regrole::text LIKE 'countersink%') x""";
        DbSettings db = TestPostgres.empty();
        try (Sql sql = new Sql(db)) {
            sql.run(SESSION.lines()
                    .filter(line -> line.matches("(CREATE|    ).*"))
                    .collect(joining("\n")));
            String before = sql.text(catalog);
            Session.psql(db, Path.of("sql", "tally", "install.sql"));
            sql.run(SESSION.lines()
                    .filter(line -> !line.matches("(CREATE|    ).*"))
                    .collect(joining("\n")));
            sql.run(
                    "SELECT tally.refresh('sizes'); CREATE VIEW club_def2 AS SELECT id, name, members, age + 1 AS age FROM club_def");
            sql.run("SELECT tally.redefine('club_fact', 'club_def2')");
            assertThat(sql.text(catalog)).isNotEqualTo(before);
            Session.psql(db, Path.of("sql", "tally", "uninstall.sql"));
            sql.run("DROP VIEW club_def2");
            assertThat(sql.text(catalog)).isEqualTo(before);
        }
    }

    @Test
    void aRestoredDumpGoesOnMerging(@TempDir Path folder) throws Exception {
        DbSettings restored = restored(folder, """
                SELECT tally.refresh('sizes');
                INSERT INTO member SELECT n, 3, n FROM generate_series(11, 14) n""");
        try (Sql sql = new Sql(restored)) {
            sql.run("SELECT tally.refresh('sizes')");
            assertThat(sql.text("SELECT string_agg(concat(members, ' ', clubs), ', ' ORDER BY members) FROM sizes"))
                    .isEqualTo("4 1, 5 2");
            sql.run(
                    "UPDATE club SET name = 'Chess club' WHERE id = 1; DELETE FROM member WHERE club_id = 3; SELECT tally.refresh('sizes')");
            assertThat(sql.text("SELECT string_agg(concat(members, ' ', clubs), ', ' ORDER BY members) FROM sizes"))
                    .isEqualTo("0 1, 5 2");
            assertThat(sql.number("SELECT count(*) FROM tally.verify('sizes')")).isZero();
            assertThat(sql.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                    .isZero();
        }
    }

    /** pg_dump creates a materialized view that groups by a primary key after the rows of tables. */
    @Test
    void aRestoredDumpKeepsMaterializedViewsThatGroupByAPrimaryKey(@TempDir Path folder) throws Exception {
        DbSettings restored = restored(folder, """
                    CREATE MATERIALIZED VIEW late AS SELECT c.id, c.name, count(m.id) AS members FROM club c LEFT JOIN member m ON m.club_id = c.id GROUP BY c.id;
                    CREATE UNIQUE INDEX ON late (id); SELECT tally.create_snapshot('late'); SELECT tally.activate('late');
                    CREATE MATERIALIZED VIEW late_static AS SELECT c.id, c.name FROM club c GROUP BY c.id;
                    CREATE VIEW over_def AS SELECT m.id, m.age, s.name FROM member m JOIN late_static s ON s.id = m.club_id;
                    SELECT tally.create_projection('public.over', 'over_def', '{id}'); SELECT tally.watch('public.over', 'member', '{id}');
                    SELECT tally.assume_static('public.over', 'late_static'); SELECT tally.activate('public.over');
                    SELECT count(*) FROM tally.due() d, tally.refresh(d.name)""");
        try (Sql sql = new Sql(restored)) {
            assertThat(sql.text("SELECT string_agg(name, ' ' ORDER BY name) FROM tally.due()"))
                    .isEqualTo("public.club_fact public.late public.over");
            sql.run("DELETE FROM member WHERE club_id = 2; SELECT count(*) FROM tally.due() d, tally.refresh(d.name)");
            assertThat(sql.text("SELECT string_agg(concat(id, ' ', members), ', ' ORDER BY id) FROM late"))
                    .isEqualTo("1 5, 2 0, 3 0");
            assertThat(sql.number("SELECT count(*) FROM tally.due() d, tally.verify(d.name)"))
                    .isZero();
            sql.run(
                    "ALTER MATERIALIZED VIEW late RENAME TO sooner; ALTER MATERIALIZED VIEW late_static RENAME TO fixed");
            sql.run("SELECT count(*) FROM tally.due() d, tally.merge(d.name); INSERT INTO club VALUES (4, 'Whist')");
            sql.run("SELECT count(*) FROM tally.due() d, tally.refresh(d.name)");
            assertThat(sql.number("SELECT count(*) FROM sooner")).isEqualTo(4);
            assertThat(sql.text("SELECT coalesce(string_agg(problem, ' '), 'well') FROM tally.health WHERE NOT ok"))
                    .isEqualTo("well");
        }
    }

    /** A database restored from a dump of another one, in which the engine, the session and these statements were run. */
    private static DbSettings restored(Path folder, String statements) throws Exception {
        assumeTrue(Session.dumps(TestPostgres.version()), "pg_dump of the server's version is not installed");
        DbSettings db = TestPostgres.empty();
        Session.psql(db, Path.of("sql", "tally", "install.sql"));
        try (Sql sql = new Sql(db)) {
            sql.run(SESSION);
            sql.run(statements);
        }
        DbSettings restored = TestPostgres.empty();
        Session.psql(restored, Files.writeString(folder.resolve("dump.sql"), Session.dump(db)));
        return restored;
    }
}
