package dev.countersink.faults;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.config.DbSettings;
import dev.countersink.db.Database;
import dev.countersink.ingest.Rig;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.ItemView;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestFolder;
import dev.countersink.testing.TestPostgres;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** SIGTERM ends the service with status 0, soon, whatever it is doing. */
class TerminationTest {
    private static final Duration PATIENCE = Duration.ofMinutes(2);

    private Rig rig;

    @BeforeEach
    void open() {
        assumeTrue(TestPostgres.version() >= 18, "it runs once, on the newest version");
        rig = new Rig();
    }

    @AfterEach
    void close() {
        rig.close();
    }

    @Test
    void whileItsFirstClassesAreLoaded() throws Exception {
        // The class that main needs next, once the shutdown hook is installed.
        assertEndsAfterLoading("dev.countersink.cli.Commands");
    }

    @Test
    void whileSpringBegins() throws Exception {
        assertEndsAfterLoading("dev.countersink.Countersink$$Lambda");
        assertEndsAfterLoading("org.springframework.boot.SpringApplication");
    }

    @Test
    void whileItWaitsForADatabaseThatDoesNotAnswer() throws Exception {
        try (FaultProxy database = new FaultProxy(port(rig.database().url()))) {
            database.holdAt("user");
            DbSettings through = DbSettings.of(
                    rig.database().url().replaceFirst(":\\d+/", ":" + database.port() + "/"),
                    rig.database().user(),
                    rig.database().password());
            try (ServiceProcess service = start(through, List.of(), Map.of())) {
                assertThat(database.reached().await(2, TimeUnit.MINUTES)).isTrue();
                assertEnds(service);
            }
        }
    }

    @Test
    void whileItServes() throws Exception {
        try (ServiceProcess service = start(rig.database(), List.of(), Map.of()).awaitReady()) {
            assertEnds(service);
            assertThat(service.log()).anyMatch(line -> line.contains("Ingestion stopped after 0 messages"));
        }
    }

    @Test
    void eachLineOfItsLogIsAnObjectIfThatIsSet() throws Exception {
        try (ServiceProcess service = start(rig.database(), List.of(), Map.of("COUNTERSINK_LOG_FORMAT", "json"))
                .awaitReady()) {
            assertEnds(service);
            List<JsonNode> lines =
                    service.log().stream().map(JsonMapper.shared()::readTree).toList();
            assertThat(lines)
                    .isNotEmpty()
                    .allSatisfy(line -> assertThat(line.propertyNames())
                            .containsExactly("time", "level", "logger", "thread", "message"));
            assertThat(lines).anyMatch(line -> line.path("message").asString().startsWith("Ingestion stopped after 0"));
        }
    }

    @Test
    void whileItWaitsForAServerThatAcceptsAndSaysNothing() throws Exception {
        try (ServerSocket silent = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
            DbSettings db = DbSettings.of("jdbc:postgresql://127.0.0.1:" + silent.getLocalPort() + "/app", "u", "p");
            try (ServiceProcess service = start(db, List.of(), Map.of())) {
                silent.setSoTimeout(60_000);
                try (Socket asked = silent.accept()) {
                    assertThat(asked.isConnected()).isTrue();
                    assertEnds(service);
                }
            }
        }
    }

    /** Its statement is cancelled, and its run is handed back; so is a merge that waits beside it. */
    @Test
    void whileARequestedRefreshIsAtWork() throws Exception {
        String token = "a-token-for-the-tests";
        try (Sql sql = new Sql(rig.database());
                Connection blocker = Database.connect(rig.database());
                Statement statement = blocker.createStatement()) {
            ItemView.create(sql);
            try (ServiceProcess service = start(rig.database(), List.of(), Map.of("COUNTERSINK_API_TOKEN", token))
                    .awaitReady()) {
                blocker.setAutoCommit(false);
                statement.execute("LOCK TABLE app.item_fact IN SHARE ROW EXCLUSIVE MODE");
                sql.run("INSERT INTO app.item VALUES (1, 10)");
                HttpResponse<String> accepted =
                        service.post("/api/views/" + ItemView.NAME + "/refresh", token, InputStream::nullInputStream);
                assertThat(accepted.statusCode()).isEqualTo(202);
                Eventually.await(
                        "the run is at work",
                        () -> sql.text("SELECT state FROM control.runs(NULL, 1)"),
                        "running"::equals);
                assertEnds(service);
            }
            blocker.rollback();
            assertThat(sql.text("SELECT state FROM control.runs(NULL, 1)")).isEqualTo("queued");
            Eventually.await(
                    "nothing of it is at work",
                    () -> sql.number("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'countersink'"
                            + " AND datname = current_database() AND pid <> pg_backend_pid() AND state = 'active'"),
                    count -> count == 0);
        }
    }

    /** Nothing that it waits for comes any more, and its run is free for another instance. */
    @Test
    void whileEverythingThatItWaitsForIsAway() throws Exception {
        String token = "a-token-for-the-tests";
        List<Socket> slow = new ArrayList<>();
        try (Sql sql = new Sql(rig.database());
                Connection blocker = Database.connect(rig.database());
                Statement statement = blocker.createStatement();
                FaultProxy database = new FaultProxy(port(rig.database().url()));
                ServerSocket silent = new ServerSocket(0, 200, InetAddress.getLoopbackAddress());
                ServerSocket receiver = new ServerSocket(0, 5, InetAddress.getLoopbackAddress())) {
            ItemView.create(sql);
            Map<String, String> more = Map.of(
                    "COUNTERSINK_API_TOKEN",
                    token,
                    "COUNTERSINK_WEBHOOK_URL",
                    "http://127.0.0.1:" + receiver.getLocalPort() + "/",
                    "COUNTERSINK_WEBHOOK_SECRET",
                    "a-secret-for-the-tests");
            try (ServiceProcess service =
                    start(database.through(rig.database()), List.of(), more).awaitReady()) {
                blocker.setAutoCommit(false);
                statement.execute("LOCK TABLE app.item_fact IN SHARE ROW EXCLUSIVE MODE");
                sql.run("INSERT INTO app.item VALUES (1, 10)");
                long run = JsonMapper.shared()
                        .readTree(service.post(
                                        "/api/views/" + ItemView.NAME + "/refresh", token, InputStream::nullInputStream)
                                .body())
                        .path("run")
                        .asLong();
                Eventually.await(
                        "the run is at work",
                        () -> sql.text("SELECT state FROM control.runs(NULL, 1)"),
                        "running"::equals);
                sql.run(
                        "SELECT control.note_alerts('', '[{\"rule\":\"WrongRows\",\"subject\":\"a.b\",\"level\":\"bad\","
                                + "\"sentence\":\"s\",\"remedy\":\"r\",\"hold\":0}]')");
                receiver.setSoTimeout((int) PATIENCE.toMillis());
                try (Socket told = receiver.accept()) {
                    assertThat(told.isConnected()).isTrue();
                    for (int i = 0; i < 300; i++) {
                        Socket client = new Socket(InetAddress.getLoopbackAddress(), service.port());
                        slow.add(client);
                        client.getOutputStream()
                                .write("GET /api/now HTTP/1.1\r\nHost: a".getBytes(StandardCharsets.US_ASCII));
                    }
                    rig.nats().kill();
                    database.lead(silent.getLocalPort());
                    database.stall();
                    assertEnds(service);
                }
                database.cut();
                blocker.rollback();
                Eventually.await(
                        "another instance can take it up",
                        () -> sql.number("SELECT coalesce((SELECT id FROM control.take_run('another')), 0)"),
                        id -> id == run);
            }
        } finally {
            for (Socket client : slow) {
                client.close();
            }
            rig.nats().restart();
        }
    }

    @Test
    void aStartThatFailsIsStillAFailure() throws Exception {
        try (ServiceProcess service =
                start(rig.database(), List.of(), Map.of("COUNTERSINK_INGEST_BATCH_MESSAGES", "0"))) {
            assertThat(service.awaitExit()).isEqualTo(1);
            assertThat(service.log()).hasSize(2);
        }
    }

    private void assertEndsAfterLoading(String name) throws Exception {
        Path loaded = TestFolder.create("classes").resolve("loaded.log");
        try (ServiceProcess service =
                start(rig.database(), List.of("-Xlog:class+load:file=" + loaded + "::filecount=0"), Map.of())) {
            Eventually.await(name + " is loaded", PATIENCE, () -> isLoaded(loaded, name), found -> found);
            assertEnds(service);
        }
    }

    private static boolean isLoaded(Path log, String name) throws IOException {
        if (!Files.exists(log)) {
            return false;
        }
        return Files.readAllLines(log).stream().anyMatch(line -> line.contains(" " + name));
    }

    private static void assertEnds(ServiceProcess service) throws Exception {
        long start = System.nanoTime();
        assertThat(service.terminate()).isZero();
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(12));
        assertThat(service.log()).noneMatch(line -> line.startsWith("\tat "));
    }

    private ServiceProcess start(DbSettings db, List<String> options, Map<String, String> more) throws IOException {
        return ServiceProcess.start(
                db, rig.nats().settings().url(), rig.nats().settings().token(), options, more);
    }

    private static int port(String url) {
        return Integer.parseInt(url.replaceFirst("^.*:(\\d+)(/.*)?$", "$1"));
    }
}
