package dev.countersink.embedded;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.config.DbSettings;
import dev.countersink.config.EmbeddedSettings;
import dev.countersink.config.NatsSettings;
import dev.countersink.config.StartupException;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
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
}
