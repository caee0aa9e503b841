package dev.countersink.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.Countersink;
import dev.countersink.config.DbSettings;
import dev.countersink.testing.TestFolder;
import dev.countersink.testing.TestPostgres;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Every foreseen error at start is printed in two lines: what is wrong, and what to do. */
class StartErrorsTest {
    @Test
    void postgresIsNotThere() throws IOException {
        int port = unusedPort();
        assertThat(start(Map.of("countersink.db.url", "postgres://127.0.0.1:%d/app".formatted(port))))
                .containsExactly(
                        "PostgreSQL at jdbc:postgresql://127.0.0.1:%1$d/app cannot be reached: Connection to 127.0.0.1:%1$d refused."
                                .formatted(port),
                        "Start it, or correct COUNTERSINK_DB_URL.");
    }

    @Test
    void thePasswordIsWrong() {
        TestPostgres.createGuardedRole("guarded", "right");
        DbSettings db = TestPostgres.empty();
        List<String> lines = start(Map.of(
                "countersink.db.url", db.url(), "countersink.db.user", "guarded", "countersink.db.password", "wrong"));
        assertThat(lines)
                .containsExactly(
                        "PostgreSQL at %s refuses the login: FATAL: password authentication failed for user \"guarded\"."
                                .formatted(db.url()),
                        "Check COUNTERSINK_DB_USER and COUNTERSINK_DB_PASSWORD.");
    }

    @Test
    void theDatabaseDoesNotExist() {
        DbSettings db = TestPostgres.empty();
        assertThat(start(login(db, db.url() + "_gone")))
                .hasSize(2)
                .first()
                .asString()
                .contains("has no such database");
    }

    @Test
    void natsIsNotThere() throws IOException {
        DbSettings db = TestPostgres.migrated();
        int port = unusedPort();
        Map<String, Object> settings = login(db, db.url());
        settings.put("countersink.nats.url", "nats://127.0.0.1:" + port);
        List<String> lines = start(settings);
        assertThat(lines).hasSize(2);
        assertThat(lines.get(0)).startsWith("NATS at nats://127.0.0.1:%d cannot be reached".formatted(port));
        assertThat(lines.get(1)).isEqualTo("Start it, or correct COUNTERSINK_NATS_URL.");
    }

    @Test
    void aSettingIsOutOfBounds() {
        assertThat(start(Map.of("countersink.ingest.batch-messages", "0")))
                .containsExactly(
                        "countersink.ingest.batch-messages is 0, but it must be at least 1 and at most 100000.",
                        "Change it, or leave it out: the default is 2000.");
    }

    @Test
    void aSettingCannotBeRead() {
        assertThat(start(Map.of("countersink.ingest.linger", "soon")))
                .containsExactly(
                        "countersink.ingest.linger is 'soon', which cannot be read as a time, as in 500ms, 2s or 1m.",
                        "Change it, or leave it out for its default.");
    }

    @Test
    void theApiWouldBeOpenToTheNetworkWithATokenThatNobodyChose() {
        assertThat(start(Map.of("countersink.http.address", "0.0.0.0", "countersink.api.token", "")))
                .hasSize(2)
                .first()
                .asString()
                .isEqualTo("COUNTERSINK_HTTP_ADDRESS is 0.0.0.0, but without a token of its own the API listens"
                        + " on loopback only.");
    }

    @Test
    void thereIsNoSuchCommand() {
        assertThat(Commands.execute("fly")).isEqualTo(2);
        assertThat(Commands.execute("run", "fast")).isEqualTo(2);
    }

    private static Map<String, Object> login(DbSettings db, String url) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("countersink.db.url", url);
        settings.put("countersink.db.user", db.user());
        settings.put("countersink.db.password", db.password());
        return settings;
    }

    private static List<String> start(Map<String, Object> settings) {
        Map<String, Object> all = new HashMap<>(settings);
        all.putIfAbsent("countersink.http.port", "0");
        all.putIfAbsent("countersink.db.url", "postgres://127.0.0.1:1/never-reached");
        all.putIfAbsent("countersink.nats.url", "nats://127.0.0.1:1");
        all.putIfAbsent("countersink.embedded.dir", TestFolder.create("unused").toString());
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try {
            Countersink.start(all).close();
        } catch (RuntimeException e) {
            int status = StartErrors.report(e, new PrintStream(out, true, StandardCharsets.UTF_8));
            assertThat(status).isEqualTo(1);
        }
        return out.toString(StandardCharsets.UTF_8).lines().toList();
    }

    private static int unusedPort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }
}
