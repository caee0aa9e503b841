package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.DbSettings;
import dev.countersink.db.Database;
import dev.countersink.embedded.EmbeddedPostgres;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** An autovacuum of a large table takes hours. It stops neither the declaration of a view nor what a merge has to do first. */
class AutovacuumTest {
    private static final String VACUUMED = """
            WITH (autovacuum_vacuum_threshold = 100, autovacuum_vacuum_scale_factor = 0, autovacuum_analyze_scale_factor = 100,
                  autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)""";
    private static final String ROWS = """
            INSERT INTO app.%1$s SELECT g, g %% 10, repeat('x', 500) FROM generate_series(1, 20000) g;
            DELETE FROM app.%1$s WHERE id %% 2 = 0""";

    @TempDir
    static Path dir;

    private static EmbeddedPostgres server;

    private final Engine engine = new Engine(database());

    @BeforeAll
    static void start() {
        server = TestPostgres.another(dir.resolve("server"), Map.of("autovacuum_naptime", "1s"));
        execute("CREATE DATABASE migrated");
        Database.open(server.settings("migrated")).close();
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    private static DbSettings database() {
        execute("CREATE DATABASE app TEMPLATE migrated");
        return server.settings("app");
    }

    private static void execute(String statement) {
        try (Sql sql = new Sql(server.settings("postgres"))) {
            sql.run(statement);
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    AutovacuumTest() {
        engine.run("CREATE TABLE app.big (id int PRIMARY KEY, a int, pad text) " + VACUUMED + ";"
                + ROWS.formatted("big") + "; CREATE VIEW app.kept_def AS SELECT id, a FROM app.big");
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
        execute("DROP DATABASE app WITH (FORCE)"); // and the autovacuum in it, of which there are three at most
    }

    @Test
    void aViewOverItIsKeptAndDropped() {
        vacuumed("app.big");
        engine.run("SELECT tally.keep('app.kept', 'app.kept_def')");
        engine.write("UPDATE app.big SET a = 5 WHERE id = 7");
        vacuumed("app.big");
        engine.run("SELECT tally.drop('app.kept')");
    }

    @Test
    void aRenamedColumnIsFollowed() {
        engine.run("SELECT tally.keep('app.kept', 'app.kept_def'); SELECT tally.refresh('app.kept')");
        engine.run("ALTER TABLE app.big RENAME a TO b");
        vacuumed("app.big");
        engine.write("UPDATE app.big SET b = 5 WHERE id = 7");
    }

    @Test
    void aReplacementTakesItsPlace() {
        engine.run("SELECT tally.keep('app.kept', 'app.kept_def'); SELECT tally.refresh('app.kept')");
        engine.run(
                "CREATE VIEW app.other_def AS SELECT id, a, a + 1 AS more FROM app.big; SELECT tally.redefine('app.kept', 'app.other_def')");
        vacuumed("app.big");
        Eventually.await(
                "the replacement's columns",
                () -> {
                    engine.run("SELECT tally.refresh('app.kept')");
                    return engine.number(
                            "SELECT count(*) FROM pg_attribute WHERE attrelid = 'app.kept'::regclass AND attname = 'more'");
                },
                columns -> columns == 1);
        assertThat(engine.number("SELECT count(*) FROM tally.verify('app.kept')"))
                .isZero();
    }

    @Test
    void aNewPartitionIsFollowed() {
        engine.run("""
                CREATE TABLE app.parted (id int, a int, pad text) PARTITION BY LIST (a);
                CREATE TABLE app.first PARTITION OF app.parted FOR VALUES IN (100);
                CREATE VIEW app.parts_def AS SELECT id, count(*) AS n FROM app.parted GROUP BY id;
                SELECT tally.keep('app.parts', 'app.parts_def', '{id}'); SELECT tally.refresh('app.parts');
                CREATE TABLE app.other (id int, a int, pad text)""" + VACUUMED + ";" + ROWS.formatted("other"));
        vacuumed("app.other");
        engine.run("ALTER TABLE app.parted ATTACH PARTITION app.other FOR VALUES IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)");
        vacuumed("app.other");
        engine.run("SELECT tally.refresh('app.parts')");
        engine.storedAgrees("ATTACH");
        engine.write("UPDATE app.parted SET a = a WHERE id = 7", "DELETE FROM app.parted WHERE id < 100");
        assertThat(engine.text("SELECT concat(string_agg(problem, '; ')) FROM tally.health WHERE NOT ok"))
                .isEmpty();
    }

    @Test
    void writersDoNotWaitForWhatInterruptsIt() throws Exception {
        vacuumed("app.big");
        try (Sql other = new Sql(engine.db())) {
            engine.run("BEGIN; SELECT tally.interrupt_autovacuum('{app.big}')");
            assertThat(
                            engine.text(
                                    "SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'app.big'::regclass"))
                    .isEqualTo("ShareUpdateExclusiveLock");
            other.run(
                    "SET lock_timeout = '1ms'; UPDATE app.big SET a = 6 WHERE id = 7; DELETE FROM app.big WHERE id = 9; SELECT FROM app.big WHERE id = 11 FOR UPDATE");
            engine.run("ROLLBACK");
        }
    }

    @Test
    void whatHoldsATableIsNamed() throws Exception {
        try (Sql other = new Sql(engine.db())) {
            engine.run("CREATE TABLE app.small AS SELECT 1 AS id; CREATE VIEW app.few_def AS SELECT id FROM app.small");
            long pid = other.number("SELECT pg_backend_pid()");
            other.run("BEGIN; LOCK TABLE app.small IN SHARE UPDATE EXCLUSIVE MODE");
            engine.run("SET lock_timeout = '10ms'");
            assertThat(engine.refused("TL015", "SELECT tally.keep('app.few', 'app.few_def', '{id}')"))
                    .isEqualTo(
                            "app.small could not be locked within 10 ms: process %d holds app.small for maintenance (VACUUM, ANALYZE, CREATE INDEX CONCURRENTLY)."
                                    .formatted(pid));
            other.run("ROLLBACK; BEGIN; DELETE FROM app.small");
            assertThat(engine.refused("TL015", "SELECT tally.keep('app.few', 'app.few_def', '{id}')"))
                    .isEqualTo(
                            "app.small could not be locked within 10 ms: process %d holds app.small.".formatted(pid));
        }
    }

    /** Waits until an autovacuum is at work on a table. */
    private void vacuumed(String table) {
        Eventually.await(
                "an autovacuum of " + table,
                () -> engine.number(
                        "SELECT count(*) FROM pg_stat_progress_vacuum WHERE relid = '%s'::regclass".formatted(table)),
                workers -> workers == 1);
    }
}
