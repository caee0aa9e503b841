package dev.countersink.faults;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.config.DbSettings;
import dev.countersink.config.StartupException;
import dev.countersink.db.Database;
import dev.countersink.embedded.EmbeddedPostgres;
import dev.countersink.ingest.Rig;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestFolder;
import dev.countersink.testing.TestPostgres;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** PostgreSQL is killed while the service runs, or its disk is full: nothing is lost, and work continues soon after it is back. */
class DatabaseOutageTest {
    private static final boolean LONG = "long".equals(System.getProperty("countersink.faults"));
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    /** The aim is 3 s on an otherwise idle machine. */
    private static final long MOST_MILLIS = 10_000;

    private final Path dir = TestFolder.create("outage");
    private EmbeddedPostgres server;
    private FaultProxy proxy;

    @BeforeEach
    void open() throws IOException {
        assumeTrue(TestPostgres.version() >= 18, "it runs once, on the newest version");
        server = TestPostgres.another(dir);
        Database.open(server.settings()).close();
        proxy = new FaultProxy(FaultProxy.port(server.settings().url()));
    }

    @AfterEach
    void close() throws IOException {
        if (proxy != null) {
            proxy.close();
        }
        if (server != null) {
            server.kill();
            TestFolder.delete(dir);
        }
    }

    @Test
    void aKilledServerLosesNothingAndIsServedAgainSoon() throws Exception {
        try (Rig rig = new Rig(proxy.through(server.settings()))) {
            rig.seed(2000);
            Published published = new Published(rig);
            try (ServiceProcess service = start(rig).awaitReady()) {
                for (boolean whole : LONG ? new boolean[] {false, true} : new boolean[] {true}) {
                    published.publish(200);
                    if (whole) {
                        killAndStartAgain(() -> published.publish(60));
                    } else {
                        killABackend(rig);
                        published.publish(60);
                    }
                    String late =
                            "SELECT count(*) FROM results.job_capture WHERE capture_id > " + (published.count() - 60);
                    Eventually.await("it answers", PATIENCE, this::answers, answers -> answers);
                    long back = System.nanoTime();
                    Eventually.await("a commit", PATIENCE, () -> rig.number(late), found -> found > 0);
                    long millis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - back);
                    System.out.printf(
                            Locale.ROOT,
                            "kill -9 of %s: first commit %d ms after the server answers again%n",
                            whole ? "PostgreSQL" : "a backend, which restarts all of them",
                            millis);
                    assertThat(millis).isLessThan(MOST_MILLIS);
                    published.verify();
                }
                assertThat(service.log()).noneMatch(line -> line.startsWith("\tat "));
                assertThat(service.terminate()).isZero();
            }
        }
    }

    /** The disk is a small one that the test mounts, if it runs as root. */
    @Test
    void aFullDiskStopsTheWorkAndBlamesNoMessage() throws Exception {
        assumeTrue(LONG, "part of the long form");
        Path disk = TestFolder.create("disk");
        assumeTrue(
                ran("mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", disk.toString()),
                "no disk can be mounted here");
        try {
            Path space = Files.createDirectory(disk.resolve("space"));
            try (Sql sql = new Sql(server.settings("template1"))) {
                sql.run("CREATE TABLESPACE small LOCATION '" + space + "'");
                sql.run("CREATE DATABASE small TEMPLATE postgres TABLESPACE small");
            }
            fillAndFree(disk);
        } finally {
            server.kill();
            assertThat(ran("umount", disk.toString())).isTrue();
        }
    }

    private void fillAndFree(Path disk) throws Exception {
        try (Rig rig = new Rig(proxy.through(server.settings("small")))) {
            rig.seed(2000);
            Published published = new Published(rig);
            try (ServiceProcess service = start(rig).awaitReady()) {
                published.publish(100);
                published.verify();
                Path filler = fill(disk.resolve("filler"));
                published.publish(600);
                Eventually.await("readiness tells it", PATIENCE, service::readiness, status -> status == 503);
                assertThat(service.log()).anyMatch(line -> line.contains("takes no batch (53100"));
                assertThat(rig.left()).isPositive();
                Files.delete(filler);
                published.verify();
                Eventually.await("readiness is back", PATIENCE, service::readiness, status -> status == 200);
                assertThat(service.log()).anyMatch(line -> line.contains("takes batches again"));
                assertThat(service.terminate()).isZero();
            }
        }
    }

    private static Path fill(Path file) throws IOException {
        byte[] block = new byte[4096];
        try (OutputStream out = Files.newOutputStream(file)) {
            while (true) {
                out.write(block);
            }
        } catch (IOException e) {
            assertThat(e).hasMessageContaining("No space left");
            return file;
        }
    }

    private interface Work {
        void run() throws Exception;
    }

    private void killAndStartAgain(Work meanwhile) throws Exception {
        String pid =
                Files.readAllLines(dir.resolve("data/postmaster.pid")).get(0).strip();
        kill(Long.parseLong(pid));
        meanwhile.run();
        server.close();
        // Another server may use the files only when the last process of this one has ended.
        server = Eventually.await("it starts", PATIENCE, this::startAgain, Optional::isPresent)
                .orElseThrow();
        proxy.lead(FaultProxy.port(server.settings().url()));
    }

    private Optional<EmbeddedPostgres> startAgain() {
        try {
            return Optional.of(TestPostgres.another(dir));
        } catch (StartupException e) {
            return Optional.empty();
        }
    }

    private static void killABackend(Rig rig) {
        kill(rig.number("SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                + " AND backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY backend_start LIMIT 1"));
    }

    private static void kill(long pid) {
        ProcessHandle process = ProcessHandle.of(pid).orElseThrow();
        process.destroyForcibly();
        process.onExit().join();
    }

    private boolean answers() {
        try (Sql sql = new Sql(proxy.through(server.settings()))) {
            return sql.number("SELECT 1") == 1;
        } catch (SQLException | StartupException e) {
            return false;
        }
    }

    private static boolean ran(String... command) throws IOException, InterruptedException {
        try {
            return new ProcessBuilder(List.of(command))
                            .redirectErrorStream(true)
                            .start()
                            .waitFor()
                    == 0;
        } catch (IOException e) {
            return false;
        }
    }

    private static ServiceProcess start(Rig rig) throws IOException {
        DbSettings db = rig.database();
        return ServiceProcess.start(
                db, rig.nats().settings().url(), rig.nats().settings().token());
    }
}
