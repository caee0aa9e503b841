package dev.countersink.db;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.zaxxer.hikari.HikariDataSource;
import dev.countersink.config.DbSettings;
import dev.countersink.config.StartupException;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.TestFolder;
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
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** PgBouncer before PostgreSQL, where it is installed: refused where sessions change hands, right where they do not. */
class PgBouncerTest {
    private Process bouncer;

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
        URI server = URI.create(db.url().substring("jdbc:".length()));
        int port;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        }
        Path folder = TestFolder.create("pgbouncer");
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
        List<String> command = new ArrayList<>(List.of(program.toString(), settings.toString()));
        if ("root".equals(System.getProperty("user.name"))) {
            command.addAll(1, List.of("-u", "nobody"));
        }
        bouncer = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("log").toFile())
                .start();
        Eventually.await("PgBouncer listens", () -> listens(port), listening -> listening);
        String url = db.url().replace(":" + server.getPort() + "/", ":" + port + "/");
        return new DbSettings(url, db.user(), db.password(), 4);
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
