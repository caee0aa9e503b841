package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.db.Database;
import dev.countersink.embedded.EmbeddedPostgres;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Readers on a physical replica that tells the primary of its snapshots. */
class ReplicaTest {
    private static final String READ = "SELECT concat_ws(' ', count(*), sum(v)) FROM %s";

    @Test
    void aRedefinitionWaitsForASnapshotOnAReplica(@TempDir Path dir) throws Exception {
        try (EmbeddedPostgres primary = TestPostgres.another(dir.resolve("primary"))) {
            Database.open(primary.settings()).close();
            try (Engine engine = new Engine(primary.settings())) {
                engine.run("""
                        CREATE TABLE app.t (id int PRIMARY KEY, v int); INSERT INTO app.t VALUES (1, 1), (2, 2);
                        CREATE VIEW app.f_def AS SELECT id, v FROM app.t; CREATE VIEW app.g_def AS SELECT id, v * 10 AS v FROM app.t;
                        SELECT tally.keep('app.f', 'app.f_def'); SELECT tally.refresh('app.f')""");
                copy(
                        engine,
                        dir.resolve("primary/data"),
                        dir.resolve("replica/data"),
                        primary.settings().url());
                try (EmbeddedPostgres replica = TestPostgres.another(dir.resolve("replica"));
                        Sql reader = new Sql(replica.settings())) {
                    reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
                    assertThat(reader.number("SELECT count(*) FROM pg_database"))
                            .isPositive();
                    Eventually.await(
                            "what the replica tells",
                            () -> engine.number(
                                    "SELECT count(*) FROM pg_stat_activity WHERE datid IS NULL AND backend_xmin IS NOT NULL"),
                            n -> n > 0);
                    engine.run("SELECT tally.redefine('app.f', 'app.g_def')");
                    Eventually.await(
                            "a swap that waits",
                            () -> {
                                merge(engine);
                                return engine.text(
                                        "SELECT coalesce(max(error), '') FROM tally.status WHERE name = 'app.f_next'");
                            },
                            error -> error.contains("on a replica"));
                    merge(engine);
                    for (String relation : List.of("app.f", "app.f_live")) {
                        assertThat(reader.text(READ.formatted(relation))).isEqualTo("2 3");
                    }
                    reader.run("COMMIT");
                    Eventually.await(
                            "the swap",
                            () -> {
                                merge(engine);
                                return engine.text(READ.formatted("app.f"));
                            },
                            "2 30"::equals);
                    Eventually.await("its replay", () -> reader.text(READ.formatted("app.f_live")), "2 30"::equals);
                }
            }
        }
    }

    private static void merge(Engine engine) {
        engine.run(
                "UPDATE tally.derived_view SET swap_at = NULL WHERE swap_at IS NOT NULL; SELECT tally.merge('app.f')");
    }

    /** Copies a running server's files, and makes a replica of them. */
    private static void copy(Engine engine, Path from, Path to, String url) throws IOException {
        engine.run("SELECT pg_backup_start('replica', true)");
        Files.createDirectories(to.getParent());
        try (Stream<Path> files = Files.walk(from)) {
            for (Path file : (Iterable<Path>) files::iterator) {
                Path target = to.resolve(from.relativize(file).toString());
                try {
                    Files.copy(file, target, java.nio.file.StandardCopyOption.COPY_ATTRIBUTES);
                } catch (NoSuchFileException e) {
                    continue; // a file that the server has just removed
                }
            }
        }
        Files.deleteIfExists(to.resolve("postmaster.pid"));
        Files.deleteIfExists(to.resolve("postmaster.opts"));
        Files.writeString(to.resolve("backup_label"), engine.text("SELECT labelfile FROM pg_backup_stop(false)"));
        Files.createFile(to.resolve("standby.signal"));
        URI uri = URI.create(url.substring("jdbc:".length()));
        Files.writeString(to.resolve("postgresql.auto.conf"), """
                primary_conninfo = 'host=127.0.0.1 port=%d user=postgres'
                hot_standby_feedback = on
                wal_receiver_status_interval = 1
                """.formatted(uri.getPort()), StandardOpenOption.APPEND);
    }
}
