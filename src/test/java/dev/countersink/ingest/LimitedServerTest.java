package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.IngestSettings;
import dev.countersink.config.MessageSettings;
import dev.countersink.config.NatsSettings;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.ingest.nats.NatsLink;
import dev.countersink.ingest.nats.ResultsStream;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.TestFolder;
import io.nats.client.Connection;
import io.nats.client.JetStream;
import io.nats.client.JetStreamOptions;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** NATS servers with limits, and with other ones from some moment on. */
class LimitedServerTest {
    private static final JetStreamOptions OPTIONS = JetStreamOptions.builder().build();

    private final Path dir = TestFolder.create("limited");
    private int port;
    private Process server;
    private Rig rig;

    @BeforeEach
    void open() throws IOException {
        rig = new Rig();
        rig.seed(1000);
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        }
    }

    @AfterEach
    void close() {
        stop();
        rig.close();
    }

    @Test
    void messagesOfASizeThatTheServerAllowsSinceAMomentAgoAreTaken() throws Exception {
        start("max_payload: 1MB", "");
        ingesting((connection, ingestor) -> {
            connection.jetStream().publish("results.1", Messages.bytes(Messages.result(1)));
            applied(1);
            stop();
            start("max_payload: 8MB", "");
            Eventually.await("it is connected again", connection::getStatus, Connection.Status.CONNECTED::equals);
            connection.jetStream().publish("results.1", Messages.bytes(large(2)));
            connection.jetStream().publish("results.2", Messages.bytes(large(3)));
            applied(3);
        });
    }

    @Test
    void aServerThatGivesFewMessagesAtATimeIsServed() throws Exception {
        start("", ", limits { max_ack_pending: 200, max_request_batch: 20 }");
        ingesting((connection, ingestor) -> {
            JetStream stream = connection.jetStream();
            for (int capture = 1; capture <= 900; capture++) {
                stream.publish("results." + (1 + capture % 2), Messages.bytes(Messages.result(capture)));
            }
            applied(900);
            Eventually.await(
                    "nothing is left",
                    () -> connection
                            .jetStreamManagement()
                            .getStreamInfo(ResultsStream.NAME)
                            .getStreamState()
                            .getMsgCount(),
                    left -> left == 0);
            assertThat(ingestor.metrics().snapshot().problem()).isNull();
        });
    }

    @Test
    void aServerThatForbidsAcksIsToldAsNoProgress() throws Exception {
        start(
                "",
                "",
                "authorization { users: [ { user: \"worker\", password: \"secret\","
                        + " permissions: { publish: { allow: \">\", deny: \"$JS.ACK.>\" } } } ] }");
        NatsSettings settings =
                new NatsSettings("nats://127.0.0.1:" + port, "worker", "secret", null, null, false, null, null);
        ingesting(settings, (connection, ingestor) -> {
            connection.jetStream().publish("results.1", Messages.bytes(Messages.result(1)));
            applied(1);
            Eventually.await(
                    "it came several times, and still the job is said to stand still",
                    () -> ingestor.metrics().snapshot(),
                    now -> now.redelivered() > 2 && now.jobs().stream().anyMatch(job -> job.stalledSeconds() >= 5));
        });
    }

    private static String large(int capture) {
        return Messages.result(capture)
                .replace("\"pipeline\"", "\"note\":\"" + "x".repeat(3_000_000) + "\",\"pipeline\"");
    }

    private interface Steps {
        void run(Connection connection, Ingestor ingestor) throws Exception;
    }

    private void ingesting(Steps steps) throws Exception {
        ingesting(NatsSettings.of("nats://127.0.0.1:" + port, "secret"), steps);
    }

    private void ingesting(NatsSettings settings, Steps steps) throws Exception {
        CopyOnWriteArrayList<Throwable> fatal = new CopyOnWriteArrayList<>();
        Connection connection = NatsLink.connect(settings);
        try (Ingestor ingestor = new Ingestor(
                connection,
                OPTIONS,
                rig.dataSource(),
                IngestSettings.defaults(),
                new MessageDecoder(MessageSettings.defaults()),
                IngestMetrics.unregistered(),
                fatal::add)) {
            ingestor.start();
            steps.run(connection, ingestor);
            assertThat(fatal).isEmpty();
        } finally {
            connection.close();
        }
    }

    private void applied(long captures) {
        Eventually.await(
                "they are applied", () -> rig.number("SELECT count(*) FROM results.job_capture"), n -> n == captures);
    }

    private void start(String payload, String limits) throws IOException {
        start(payload, limits, "authorization { token: \"secret\" }");
    }

    private void start(String payload, String limits, String authorization) throws IOException {
        Path config = Files.writeString(
                dir.resolve("nats.conf"),
                String.format(Locale.ROOT, """
                        host: "127.0.0.1"
                        port: %d
                        %s
                        jetstream { store_dir: "%s"%s }
                        %s
                        """, port, payload, dir.resolve("data"), limits, authorization));
        server = new ProcessBuilder("nats-server", "-c", config.toString())
                .redirectErrorStream(true)
                .redirectOutput(dir.resolve("nats.log").toFile())
                .start();
        Eventually.await("the server listens", this::listens, open -> open);
    }

    private void stop() {
        if (server != null) {
            server.destroyForcibly().onExit().join();
        }
    }

    private boolean listens() {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            return socket.isConnected();
        } catch (IOException e) {
            return false;
        }
    }
}
