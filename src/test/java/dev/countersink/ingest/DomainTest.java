package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.IngestSettings;
import dev.countersink.config.MessageSettings;
import dev.countersink.config.NatsSettings;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.ingest.nats.NatsLink;
import dev.countersink.ingest.nats.ResultPublisher;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.TestFolder;
import io.nats.client.Connection;
import io.nats.client.JetStreamOptions;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** JetStream's API is reached through the configured domain or prefix, and through nothing else. */
class DomainTest {
    @ParameterizedTest
    @CsvSource({"hub,", ",$JS.hub.API"})
    void everythingGoesByTheDomainOrThePrefix(String domain, String prefix) throws Exception {
        int port;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        }
        Path dir = TestFolder.create("domain");
        Path config =
                Files.writeString(dir.resolve("nats.conf"), String.format(Locale.ROOT, """
                        host: "127.0.0.1"
                        port: %d
                        jetstream { store_dir: "%s", domain: "hub" }
                        authorization { users: [
                          { user: "worker", password: "secret" }
                        ] }
                        """, port, dir.resolve("data")));
        Process server = new ProcessBuilder("nats-server", "-c", config.toString())
                .redirectErrorStream(true)
                .redirectOutput(dir.resolve("nats.log").toFile())
                .start();
        try (Rig rig = new Rig()) {
            rig.seed(10);
            Eventually.await("the server listens", () -> listens(port), open -> open);
            applyOne(
                    rig,
                    new NatsSettings(
                            "nats://127.0.0.1:" + port, "worker", "secret", null, null, false, domain, prefix));
        } finally {
            server.destroyForcibly().onExit().join();
        }
    }

    private static NatsSettings settings(int port, String domain, String prefix) {
        return new NatsSettings("nats://127.0.0.1:" + port, "worker", "secret", null, null, false, domain, prefix);
    }

    private static void applyOne(Rig rig, NatsSettings settings) throws Exception {
        JetStreamOptions options = NatsLink.jetStream(settings);
        CopyOnWriteArrayList<Throwable> fatal = new CopyOnWriteArrayList<>();
        Connection connection = NatsLink.connect(settings);
        try (Ingestor ingestor = new Ingestor(
                connection,
                options,
                rig.dataSource(),
                IngestSettings.defaults(),
                new MessageDecoder(MessageSettings.defaults()),
                IngestMetrics.unregistered(),
                fatal::add)) {
            ingestor.start();
            ResultPublisher.Sending sending = new ResultPublisher(connection, options).begin("results.1");
            assertThat(sending.publish(Messages.bytes(Messages.result(1)))).isTrue();
            assertThat(sending.finish()).isNull();
            assertThat(sending.confirmed()).isEqualTo(1);
            Eventually.await(
                    "the message is applied and acked",
                    () -> rig.number("SELECT count(*) FROM results.job_capture"),
                    count -> count == 1);
            Eventually.await(
                    "the stream is empty",
                    () -> connection
                            .jetStreamManagement(options)
                            .getStreamInfo("RESULTS")
                            .getStreamState()
                            .getMsgCount(),
                    left -> left == 0);
            assertThat(fatal).isEmpty();
        } finally {
            connection.close();
        }
    }

    private static boolean listens(int port) {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            return socket.isConnected();
        } catch (java.io.IOException e) {
            return false;
        }
    }
}
