package dev.countersink.db;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.zaxxer.hikari.HikariDataSource;
import dev.countersink.config.DbSettings;
import dev.countersink.config.StartupException;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.ItemView;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestFolder;
import dev.countersink.testing.TestInstance;
import dev.countersink.testing.TestNats;
import dev.countersink.testing.TestPostgres;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** PgBouncer before PostgreSQL, where it is installed: refused where sessions change hands, right where they do not. */
class PgBouncerTest {
    private Process bouncer;
    private List<String> command;
    private Path folder;
    private int port;
    private DbSettings direct;

    @AfterEach
    void stop() {
        if (bouncer != null) {
            bouncer.destroyForcibly().onExit().join();
        }
    }

    @Test
    void transactionModeIsRefused() throws Exception {
        assertRefused(start("pool_mode = transaction"), "transaction mode");
    }

    @Test
    void soItIsIfSessionsAreGivenOutInTurn() throws Exception {
        assertRefused(
                start("pool_mode = transaction", "server_round_robin = 1", "min_pool_size = 5"), "transaction mode");
    }

    @Test
    void soIsStatementMode() throws Exception {
        assertRefused(start("pool_mode = statement"), "transaction mode");
    }

    @Test
    void aRefusedParameterIsExplained() throws Exception {
        DbSettings db = start("pool_mode = session");
        DbSettings asking = new DbSettings(db.url() + "?options=-c%20jit=off", db.user(), db.password(), 4);
        assertThatThrownBy(() -> Database.open(asking)).isInstanceOfSatisfying(StartupException.class, e -> {
            assertThat(e)
                    .hasMessageContaining("connection pooler that refuses the login")
                    .hasMessageContaining("startup parameter: options");
            assertThat(e.hint()).contains("ignore_startup_parameters");
        });
    }

    @Test
    void sessionModeIsNoMatter() throws Exception {
        DbSettings db = start("pool_mode = session");
        try (HikariDataSource pool = Database.open(db);
                Connection connection = pool.getConnection()) {
            assertThat(connection.isValid(10)).isTrue();
        }
    }

    /** Tokens, signing in, the audit log, merges and runs; and all of that again after it was restarted. */
    @Test
    void aWholeInstanceWorksBehindSessionModeAndOutlivesItsRestart() throws Exception {
        DbSettings db = start("pool_mode = session");
        try (TestNats nats = new TestNats();
                TestInstance instance = TestInstance.start(
                        db, nats, Map.of("countersink.db.pool-size", 8, "countersink.ingest.writers", 1));
                Sql sql = new Sql(direct)) {
            ItemView.create(sql);
            for (int turn = 1; turn <= 2; turn++) {
                String name = "person-" + turn;
                String token = instance.send(
                                "POST",
                                "/api/tokens",
                                TestInstance.token(),
                                "{\"name\":\"%s\",\"role\":\"operator\"}".formatted(name))
                        .json()
                        .path("token")
                        .asString();
                String cookie = instance.send("POST", "/api/session", token, null)
                        .header("Set-Cookie")
                        .replaceFirst(";.*", "");
                assertThat(instance.getWith("/api/session", "Cookie", cookie)
                                .json()
                                .path("name")
                                .asString())
                        .isEqualTo(name);
                int rows = turn;
                sql.run("INSERT INTO app.item VALUES (%d, 10)".formatted(turn));
                Eventually.await(
                        "it is merged", () -> sql.number("SELECT count(*) FROM app.item_fact"), count -> count == rows);
                long run = instance.send("POST", "/api/views/" + ItemView.NAME + "/verify", token, null)
                        .json()
                        .path("run")
                        .asLong();
                Eventually.await(
                        "it is verified",
                        () -> instance.get("/api/runs/" + run)
                                .json()
                                .path("state")
                                .asString(),
                        "done"::equals);
                Eventually.await(
                        "it is in the audit log",
                        () -> instance.get("/api/audit?who=" + name).response().body(),
                        acts -> acts.contains("/api/session") && acts.contains("/verify"));
                bouncer.destroyForcibly().onExit().join();
                begin();
                Eventually.await(
                        "it answers again",
                        () -> instance.get("/api/views/" + ItemView.NAME).status(),
                        status -> status == 200);
            }
        }
    }

    private static void assertRefused(DbSettings db, String why) {
        assertThatThrownBy(() -> Database.open(db)).isInstanceOfSatisfying(StartupException.class, e -> {
            assertThat(e).hasMessageContaining(why);
            assertThat(e.hint()).contains("pool_mode = session");
        });
    }

    /** Starts it before a database of its own. */
    private DbSettings start(String... options) throws IOException {
        Path program = program();
        DbSettings db = TestPostgres.empty();
        direct = db;
        URI server = URI.create(db.url().substring("jdbc:".length()));
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        }
        folder = TestFolder.create("pgbouncer");
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
        Path users = folder.resolve("users");
        Files.writeString(users, "\"%s\" \"%s\"\n".formatted(db.user(), db.password() == null ? "" : db.password()));
        List<String> lines = new ArrayList<>(List.of(
                "[databases]",
                "* = host=%s port=%d".formatted(server.getHost(), server.getPort()),
                "[pgbouncer]",
                "listen_addr = 127.0.0.1",
                "listen_port = " + port,
                "unix_socket_dir =",
                "auth_type = trust",
                "auth_file = " + users,
                "default_pool_size = 20"));
        lines.addAll(List.of(options));
        Path settings = Files.write(folder.resolve("pgbouncer.ini"), lines);
        command = new ArrayList<>(List.of(program.toString(), settings.toString()));
        if ("root".equals(System.getProperty("user.name"))) {
            command.addAll(1, List.of("-u", "nobody"));
        }
        begin();
        String url = db.url().replace(":" + server.getPort() + "/", ":" + port + "/");
        return new DbSettings(url, db.user(), db.password(), 4);
    }

    private void begin() throws IOException {
        bouncer = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("log").toFile())
                .start();
        Eventually.await("PgBouncer listens", () -> listens(port), listening -> listening);
    }

    private static boolean listens(int port) {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            return socket.isConnected();
        } catch (IOException e) {
            return false;
        }
    }

    private static Path program() {
        List<Path> found = Stream.of("/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer")
                .map(Path::of)
                .filter(Files::isExecutable)
                .toList();
        assumeTrue(!found.isEmpty(), "pgbouncer is not installed");
        return found.get(0);
    }
}
