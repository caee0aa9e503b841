package dev.countersink.ingest;

import dev.countersink.config.NatsSettings;
import dev.countersink.ingest.nats.NatsLink;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.TestFolder;
import io.nats.client.Connection;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;

/** A login that the server refuses for a while, as between two steps of a rotation of secrets. */
class RefusedLoginTest {
    /** The client would give up at the second one. */
    private static final int REFUSALS = 4;

    private static final String REFUSED = "authentication error";

    @Test
    void theConnectionComesBackOnceTheLoginIsAcceptedAgain() throws Exception {
        Path dir = TestFolder.create("refused");
        int port;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        }
        Process server = start(dir, port, "right");
        Connection connection = null;
        try {
            connection = connect(port);
            server.destroyForcibly().onExit().join();
            server = start(dir, port, "another");
            Path log = dir.resolve("nats.log");
            Eventually.await("refused several times", () -> refusals(log), refusals -> refusals >= REFUSALS);
            server.destroyForcibly().onExit().join();
            server = start(dir, port, "right");
            Connection same = connection;
            Eventually.await("connected again", same::getStatus, status -> status == Connection.Status.CONNECTED);
            same.flush(Duration.ofSeconds(5));
        } finally {
            if (connection != null) {
                connection.close();
            }
            server.destroyForcibly().onExit().join();
            TestFolder.delete(dir);
        }
    }

    private static Connection connect(int port) {
        Connection[] made = {null};
        Eventually.await(
                "the server answers",
                () -> {
                    try {
                        made[0] = NatsLink.connect(NatsSettings.of("nats://localhost:" + port, "right"));
                    } catch (RuntimeException e) {
                        return false;
                    }
                    return true;
                },
                ok -> ok);
        return made[0];
    }

    private static long refusals(Path log) throws Exception {
        return Files.readString(log)
                .lines()
                .filter(line -> line.contains(REFUSED))
                .count();
    }

    private static Process start(Path dir, int port, String token) throws Exception {
        Path config = dir.resolve("nats.conf");
        Files.writeString(config, "host: 127.0.0.1\nport: " + port + "\nauthorization { token: \"" + token + "\" }\n");
        return new ProcessBuilder("nats-server", "-c", config.toString())
                .redirectErrorStream(true)
                .redirectOutput(
                        ProcessBuilder.Redirect.appendTo(dir.resolve("nats.log").toFile()))
                .start();
    }
}
