package dev.countersink.embedded;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.config.DbSettings;
import dev.countersink.config.EmbeddedSettings;
import dev.countersink.config.NatsSettings;
import dev.countersink.config.StartupException;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.junit.jupiter.api.Test;

class ServersTest {
    private static final DbSettings NO_DB = DbSettings.of(null, null, null);
    private static final NatsSettings NO_NATS = NatsSettings.of(null, null);

    @Test
    void whatIsConfiguredIsTakenAndNothingStarted() {
        Path dir = TestFolder.create("none");
        DbSettings db = DbSettings.of("jdbc:postgresql://db/app", "me", "mine");
        NatsSettings nats = NatsSettings.of("nats://n", null);
        try (Servers servers = new Servers(db, nats, new EmbeddedSettings(dir))) {
            assertThat(servers.db()).isEqualTo(db);
            assertThat(servers.nats()).isEqualTo(nats);
            assertThat(dir).isEmptyDirectory();
        }
    }

    @Test
    void theirDataOutlivesThem() throws Exception {
        EmbeddedSettings dir = new EmbeddedSettings(TestFolder.create("kept"));
        try (Servers servers = new Servers(NO_DB, NO_NATS, dir);
                Sql sql = new Sql(servers.db())) {
            sql.run("CREATE TABLE kept AS SELECT 42 AS n");
            assertThat(sql.text("SHOW fsync") + sql.text("SHOW synchronous_commit"))
                    .isEqualTo("onon");
        }
        try (Servers servers = new Servers(NO_DB, NO_NATS, dir);
                Sql sql = new Sql(servers.db())) {
            assertThat(sql.number("SELECT n FROM kept")).isEqualTo(42);
        }
        TestFolder.delete(dir.dir());
    }

    @Test
    void theyStartWhereDigitsAreArabic() throws Exception {
        Locale before = Locale.getDefault();
        EmbeddedSettings dir = new EmbeddedSettings(TestFolder.create("arabic"));
        Locale.setDefault(Locale.forLanguageTag("ar-EG-u-nu-arab"));
        try (Servers servers = new Servers(NO_DB, NO_NATS, dir);
                Sql sql = new Sql(servers.db())) {
            assertThat(String.format("%d", 7)).as("the digits of this locale").isEqualTo("\u0667");
            assertThat(servers.nats().url()).matches("nats://127\\.0\\.0\\.1:[0-9]+");
            assertThat(sql.number("SELECT 42")).isEqualTo(42);
        } finally {
            Locale.setDefault(before);
        }
        TestFolder.delete(dir.dir());
    }

    @Test
    void aFolderServesOneInstanceAtATime() {
        EmbeddedSettings dir = new EmbeddedSettings(TestFolder.create("busy"));
        DbSettings db = DbSettings.of("jdbc:postgresql://db/app", "me", "mine");
        try (Servers first = new Servers(db, NO_NATS, dir)) {
            assertThat(first.nats().url()).startsWith("nats://127.0.0.1:");
            assertThatThrownBy(() -> new Servers(db, NO_NATS, dir))
                    .isInstanceOf(StartupException.class)
                    .hasMessageContaining("is in use by another instance");
        }
        TestFolder.delete(dir.dir());
    }

    @Test
    void aServerThatAKilledInstanceLeftBehindIsEnded() throws IOException {
        Path dir = TestFolder.create("left");
        EmbeddedNats left = EmbeddedNats.start(dir);
        long pid = Long.parseLong(Files.readString(dir.resolve("nats.pid")).strip());
        try (EmbeddedNats next = EmbeddedNats.start(dir)) {
            assertThat(next.port()).isNotEqualTo(left.port());
            assertThat(ProcessHandle.of(pid).map(ProcessHandle::isAlive).orElse(false))
                    .isFalse();
        }
        TestFolder.delete(dir);
    }

    /** Its checkpointer is stopped for longer than a stop usually waits. */
    @Test
    void closingAwaitsAServerThatTakesLongToStop() throws Exception {
        Path dir = TestFolder.create("slow");
        EmbeddedPostgres server = EmbeddedPostgres.start(dir);
        ProcessHandle postmaster = StaleProcess.running(dir.resolve("data").resolve("postmaster.pid"), "postgres")
                .orElseThrow();
        String checkpointer;
        try (Sql sql = new Sql(server.settings())) {
            checkpointer = sql.text("SELECT pid::text FROM pg_stat_activity WHERE backend_type = 'checkpointer'");
        }
        signal("-STOP", checkpointer);
        Thread closing = new Thread(server::close);
        try {
            closing.start();
            Eventually.await("pg_ctl stops it", ServersTest::stopping, stopping -> stopping);
            Eventually.await("pg_ctl has given up", ServersTest::stopping, stopping -> !stopping);
        } finally {
            signal("-CONT", checkpointer);
        }
        closing.join();
        assertThat(postmaster.isAlive()).isFalse();
        TestFolder.delete(dir);
    }

    private static boolean stopping() {
        return ProcessHandle.current()
                .descendants()
                .anyMatch(process -> process.info().command().orElse("").endsWith("/pg_ctl"));
    }

    private static void signal(String signal, String pid) throws Exception {
        assertThat(new ProcessBuilder("kill", signal, pid).start().waitFor()).isZero();
    }
}
