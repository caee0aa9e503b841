package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.DbSettings;
import dev.countersink.db.Database;
import dev.countersink.embedded.EmbeddedPostgres;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.net.URI;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A database that a subscription writes. Publisher and subscriber are databases of one server. */
class SubscriptionTest {
    private static final String ROWS =
            "SELECT coalesce(string_agg(concat_ws(':', id, v), ' ' ORDER BY id), '') FROM app.t";

    @Test
    void whatASubscriptionWritesIsToldAndComparedOnceItIsGone(@TempDir Path dir) throws Exception {
        try (EmbeddedPostgres server = TestPostgres.another(dir.resolve("server"), Map.of("wal_level", "logical"))) {
            DbSettings publisher = server.settings();
            try (Sql setup = new Sql(publisher)) {
                setup.run("CREATE DATABASE subscriber");
            }
            DbSettings subscriber = server.settings("subscriber");
            Database.open(subscriber).close();
            try (Sql source = new Sql(publisher);
                    Engine engine = new Engine(subscriber)) {
                source.run(
                        "CREATE SCHEMA app; CREATE TABLE app.t (id int PRIMARY KEY, v int); INSERT INTO app.t VALUES (1, 1), (2, 2); CREATE PUBLICATION p FOR TABLE app.t");
                source.run("SELECT pg_create_logical_replication_slot('s', 'pgoutput')");
                engine.run("""
                        CREATE TABLE app.t (id int PRIMARY KEY, v int); CREATE VIEW app.f_def AS SELECT id, v FROM app.t;
                        SELECT tally.keep('app.f', 'app.f_def'); SELECT tally.create_rollup('app.r', 'app.f', '{v}', '{"n":"count(*)"}')""");
                engine.write("SELECT 1");
                engine.run(
                        "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=%d user=postgres dbname=postgres' PUBLICATION p WITH (create_slot = false, slot_name = 's')"
                                .formatted(URI.create(publisher.url().substring("jdbc:".length()))
                                        .getPort()));
                // the first copy is a COPY, which fires statement triggers that are ENABLE ALWAYS
                Eventually.await("the first copy", () -> engine.text(ROWS), "1:1 2:2"::equals);
                assertThat(engine.text("SELECT string_agg(problem, ' ') FROM tally.health WHERE NOT ok"))
                        .contains("is written by the subscription s");
                engine.write("SELECT 1");
                source.run(
                        "UPDATE app.t SET v = 7 WHERE id = 1; DELETE FROM app.t WHERE id = 2; INSERT INTO app.t VALUES (3, 3)");
                Eventually.await("what is applied", () -> engine.text(ROWS), "1:7 3:3"::equals);
                engine.run("SELECT tally.refresh('app.f')");
                assertThat(engine.text("SELECT string_agg(problem, ' ') FROM tally.health WHERE NOT ok"))
                        .as("told as long as it writes")
                        .contains("is written by the subscription s");
                assertThat(engine.number("SELECT count(*) FROM tally.verify('app.f')"))
                        .as("apply fires no statement trigger")
                        .isPositive();
                engine.run(
                        "ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s");
                assertThat(engine.text("SELECT name FROM tally.ready('{app.f}') name"))
                        .isEqualTo("app.f");
                engine.run("SELECT tally.refresh('app.f')");
                engine.write("SELECT 1");
                assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                        .isZero();
            }
        }
    }
}
