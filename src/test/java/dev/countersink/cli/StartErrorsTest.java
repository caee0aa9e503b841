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
import java.time.Duration;
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
                        "COUNTERSINK_INGEST_BATCH_MESSAGES is 0, but it must be at least 1 and at most 100000.",
                        "Change it, or leave it out: the default is 250.");
    }

    @Test
    void aSettingCannotBeRead() {
        assertThat(start(Map.of("countersink.ingest.linger", "soon")))
                .containsExactly(
                        "COUNTERSINK_INGEST_LINGER is 'soon', which cannot be read as a time, as in 500ms, 2s or 1m.",
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
    void theAddressIsNotOfThisMachine() {
        assertThat(start(Map.of(
                        "countersink.http.address", "192.0.2.1", "countersink.api.token", "a-token-for-the-tests")))
                .containsExactly(
                        "COUNTERSINK_HTTP_ADDRESS is 192.0.2.1, which is no address of this machine.",
                        "Give an IP address of this machine, or leave it out.");
    }

    @Test
    void thePortIsTakenBeforeAnythingElseIsTried() throws IOException {
        try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            assertThat(start(Map.of("countersink.http.port", Integer.toString(taken.getLocalPort()))))
                    .containsExactly(
                            "Port %d is in use by another program.".formatted(taken.getLocalPort()),
                            "Choose another with COUNTERSINK_HTTP_PORT; 0 takes a free one.");
        }
    }

    @Test
    void noPasswordIsGiven() {
        TestPostgres.createGuardedRole("guarded_too", "right");
        DbSettings db = TestPostgres.empty();
        assertThat(start(Map.of("countersink.db.url", db.url(), "countersink.db.user", "guarded_too")))
                .containsExactly(
                        "PostgreSQL at %s asks for a password, but none is configured.".formatted(db.url()),
                        "Set COUNTERSINK_DB_PASSWORD, or write it in COUNTERSINK_DB_URL:"
                                + " postgres://user:password@host/database.");
    }

    @Test
    void theRoleMayNotCreateSchemas() {
        DbSettings db = TestPostgres.empty();
        TestPostgres.createGuardedRole("poor", "right");
        Map<String, Object> settings = login(DbSettings.of(db.url(), "poor", "right"), db.url());
        List<String> lines = start(settings);
        assertThat(lines).hasSize(2);
        assertThat(lines.get(0)).startsWith("The role poor may not create schemas in the database ");
        assertThat(lines.get(1)).startsWith("GRANT CREATE ON DATABASE ").contains(" TO poor;");
    }

    @Test
    void postgresIsSilent() throws Exception {
        try (ServerSocket silent = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
            long begun = System.nanoTime();
            List<String> lines = start(Map.of(
                    "countersink.db.url", "postgres://u:sesame@127.0.0.1:%d/app".formatted(silent.getLocalPort())));
            assertThat(Duration.ofNanos(System.nanoTime() - begun)).isLessThan(Duration.ofSeconds(40));
            assertThat(lines)
                    .containsExactly(
                            "PostgreSQL at jdbc:postgresql://127.0.0.1:%d/app accepts a connection, but does not answer within 10 s."
                                    .formatted(silent.getLocalPort()),
                            "Look at the server, which may be stopped or overloaded, and whether COUNTERSINK_DB_URL names"
                                    + " PostgreSQL at all.");
        }
    }

    @Test
    void noSecretIsInAnyMessage() throws IOException {
        int port = unusedPort();
        DbSettings db = TestPostgres.empty();
        for (String url : List.of(
                "postgres://u:sesame@127.0.0.1:%d/app",
                "postgres://u:sesame@127.0.0.1:%d,127.0.0.1:%d/app",
                "postgres://u:ses@sesame@127.0.0.1:%d/app",
                "postgres://u:%%zzsesame@127.0.0.1:%d/app",
                "postgres://127.0.0.1:%d/app?user=u&password=sesame",
                "jdbc:postgresql://u:sesame@127.0.0.1:%d/app",
                "jdbc:postgresql://127.0.0.1:%d/app?password=sesame&sslmode=sesame",
                "postgres://u:sesame",
                "mysql://u:sesame@h/db",
                "u:sesame@h/db")) {
            assertNoSecret(url, start(Map.of("countersink.db.url", url.formatted(port, port))));
        }
        for (String url : List.of(
                "nats://u:sesame@127.0.0.1:%d",
                "nats://sesame@127.0.0.1:%d",
                "nats://u:s@sesame@127.0.0.1:%d",
                "nats://u:sesame@127.0.0.1:%d,nats://u:sesame@127.0.0.1:%d",
                "nats://u:a,sesame@127.0.0.1:%d",
                "u:sesame@127.0.0.1:%d",
                "nats://u:sesame@127.0.0.1:port",
                "nats://u:ses ame@sesame@127.0.0.1:%d",
                "odd://u:sesame@127.0.0.1:%d")) {
            Map<String, Object> settings = login(db, db.url());
            settings.put("countersink.nats.url", url.formatted(port, port));
            assertNoSecret(url, start(settings));
        }
        Map<String, Object> settings = login(db, db.url());
        settings.put("countersink.nats.url", "nats://127.0.0.1:" + port);
        settings.put("countersink.nats.token", "sesame");
        assertNoSecret("a token", start(settings));
    }

    private static void assertNoSecret(String url, List<String> lines) {
        assertThat(lines).as(url).hasSize(2).noneMatch(line -> line.contains("sesame"));
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
