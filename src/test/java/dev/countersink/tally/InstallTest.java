package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.Session;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

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
}
