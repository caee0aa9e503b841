package dev.countersink.faults;

import static org.assertj.core.api.Assertions.assertThat;

import com.zaxxer.hikari.HikariDataSource;
import dev.countersink.admin.Mappings;
import dev.countersink.config.DbSettings;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.ItemView;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestInstance;
import dev.countersink.testing.TestNats;
import dev.countersink.testing.TestPostgres;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Every endpoint while the database is away in one way or another: an answer soon, and one that says what is wrong. */
class ApiInOutagesTest {
    /** Less than other threads wait for a connection. */
    private static final Duration SOON = Duration.ofSeconds(8);

    private static final Duration PATIENCE = Duration.ofMinutes(1);
    /** What needs no database. */
    private static final Set<String> INDEPENDENT = Set.of(
            "GET /",
            "GET /ui/{name}",
            "GET /api/ingest",
            "GET /api/now/lags",
            "GET /api/now/merge-times",
            "GET /api/openapi.json",
            "GET /api/session",
            "GET /api/views/{name}/history",
            "DELETE /api/session",
            "POST /api/session",
            "POST /api/v2/jobs/{id}/result",
            "POST /api/v2/jobs/{id}/result/");

    private static final HttpClient HTTP = HttpClient.newHttpClient();
    private static DbSettings db;
    private static Sql sql;
    private static TestNats nats;
    private static FaultProxy proxy;
    private static TestInstance instance;

    @BeforeAll
    static void start() throws Exception {
        db = TestPostgres.migrated();
        sql = new Sql(db);
        ItemView.create(sql);
        nats = new TestNats();
        proxy = new FaultProxy(FaultProxy.port(db.url()));
        instance = TestInstance.start(proxy.through(db), nats, Map.of("countersink.db.pool-size", 8));
    }

    @AfterAll
    static void stop() throws Exception {
        if (instance != null) {
            instance.close();
        }
        if (proxy != null) {
            proxy.close();
        }
        if (nats != null) {
            nats.close();
        }
        sql.close();
    }

    @AfterEach
    void mend() {
        proxy.lead(FaultProxy.port(db.url()));
        proxy.cut();
        Eventually.await(
                "it is ready", PATIENCE, () -> instance.get(readiness()).status(), status -> status == 200);
    }

    @Test
    void aDatabaseThatIsStopped() throws Exception {
        try (ServerSocket closed = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            proxy.lead(closed.getLocalPort());
        }
        proxy.cut();
        awaitNotReady();
        assertUnavailable("08");
    }

    @Test
    void aDatabaseThatAcceptsAndSaysNothing() throws Exception {
        try (ServerSocket silent = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
            proxy.lead(silent.getLocalPort());
            proxy.stall();
            awaitNotReady();
            assertUnavailable("08", "57014");
        }
    }

    @Test
    void aPoolWithoutAFreeConnection() throws Exception {
        List<Connection> held = allConnections();
        try {
            assertUnavailable("53300", "57014");
        } finally {
            giveBack(held);
        }
    }

    /** The board's own look at the database waits longer than a request does. */
    @Test
    void whatIsInMemoryIsAnsweredWhileTheBoardWaitsForAConnection() throws Exception {
        List<Connection> held = allConnections();
        try {
            Eventually.await(
                    "the board waits for a connection",
                    PATIENCE,
                    ApiInOutagesTest::boardWaitsForAConnection,
                    waits -> waits);
            for (String path :
                    List.of("/api/now/lags", "/api/now/merge-times", "/api/views/" + ItemView.NAME + "/history")) {
                assertThat(instance.get(path).status()).as(path).isEqualTo(200);
            }
            assertThat(boardWaitsForAConnection()).isTrue();
        } finally {
            giveBack(held);
        }
    }

    private static boolean boardWaitsForAConnection() {
        return Thread.getAllStackTraces().entrySet().stream()
                .filter(thread -> thread.getKey().getName().startsWith("board-"))
                .flatMap(thread -> Arrays.stream(thread.getValue()))
                .anyMatch(frame -> frame.getClassName().startsWith("com.zaxxer.hikari.")
                        && frame.getMethodName().equals("getConnection"));
    }

    /** All that the pool has; the ingestion keeps some. */
    private static List<Connection> allConnections() throws SQLException {
        HikariDataSource pool = instance.context().getBean(HikariDataSource.class);
        List<Connection> held = new ArrayList<>();
        try {
            while (held.size() < pool.getMaximumPoolSize()) {
                held.add(pool.getConnection());
            }
        } catch (SQLTransientConnectionException e) {
            assertThat(held).isNotEmpty();
        }
        return held;
    }

    private static void giveBack(List<Connection> held) throws SQLException {
        for (Connection connection : held) {
            connection.close();
        }
    }

    /** What only reads works; what would change something says why it cannot. */
    @Test
    void aDatabaseThatOnlyReads() throws Exception {
        String name = sql.text("SELECT current_database()::text");
        String others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                + " WHERE datname = current_database() AND pid <> pg_backend_pid()";
        sql.run("ALTER DATABASE " + name + " SET default_transaction_read_only = on");
        try {
            sql.number(others);
            Eventually.await(
                    "it only reads",
                    PATIENCE,
                    () -> instance.post("/api/views/" + ItemView.NAME + "/refresh")
                            .json(),
                    answer -> "25006".equals(answer.path("code").asString("")));
            assertThat(answers()).allSatisfy((endpoint, answer) -> {
                if (endpoint.startsWith("GET ") || INDEPENDENT.contains(endpoint)) {
                    assertThat(answer.statusCode()).as(endpoint + answer.body()).isLessThan(500);
                } else {
                    assertProblem(endpoint, answer, "25006");
                    assertThat(answer.body()).contains("default_transaction_read_only");
                }
            });
        } finally {
            sql.run("ALTER DATABASE " + name + " RESET default_transaction_read_only");
            sql.number(others);
        }
    }

    private static void awaitNotReady() {
        Eventually.await(
                "it is not ready", PATIENCE, () -> instance.get(readiness()).status(), status -> status == 503);
    }

    private static String readiness() {
        return "/actuator/health/readiness";
    }

    private static void assertUnavailable(String... codes) {
        // The board gives an answer of up to a second ago: perhaps one of before, or of another outage.
        Eventually.await(
                "the board knows of this outage",
                PATIENCE,
                () -> instance.get("/api/now").json().path("code").asString(""),
                code -> Arrays.stream(codes).anyMatch(code::startsWith));
        assertThat(answers()).allSatisfy((endpoint, answer) -> {
            if (INDEPENDENT.contains(endpoint)) {
                assertThat(answer.statusCode()).as(endpoint).isLessThan(500);
            } else {
                assertProblem(endpoint, answer, codes);
            }
        });
    }

    private static void assertProblem(String endpoint, HttpResponse<String> answer, String... codes) {
        assertThat(answer.statusCode()).as(endpoint + answer.body()).isEqualTo(503);
        assertThat(answer.headers().firstValue("Retry-After")).as(endpoint).isPresent();
        assertThat(answer.headers().firstValue("Content-Type").orElse(""))
                .as(endpoint)
                .startsWith("application/problem+json");
        JsonNode problem = JsonMapper.shared().readTree(answer.body());
        assertThat(codes)
                .as(endpoint + answer.body())
                .anyMatch(problem.path("code").asString()::startsWith);
        assertThat(problem.path("detail").asString()).as(endpoint).doesNotContain("Exception", "java.");
    }

    /** What each endpoint answers, all asked at the same time, each with so much time. */
    private static Map<String, HttpResponse<String>> answers() {
        Map<String, CompletableFuture<HttpResponse<String>>> asked = new LinkedHashMap<>();
        for (String endpoint : Mappings.of(instance.context())) {
            // The answer of the first does not end; readiness has a test of its own.
            if (!"GET /api/events".equals(endpoint) && !endpoint.startsWith("GET /actuator")) {
                asked.put(endpoint, HTTP.sendAsync(request(endpoint), HttpResponse.BodyHandlers.ofString()));
            }
        }
        Map<String, HttpResponse<String>> answers = new LinkedHashMap<>();
        asked.forEach((endpoint, answer) -> answers.put(endpoint, answer.join()));
        return answers;
    }

    private static HttpRequest request(String endpoint) {
        String[] parts = endpoint.split(" ", 2);
        String path = Mappings.example(parts[1].replace("{name}", ItemView.NAME));
        String query = path.endsWith("/at")
                ? "?time=2026-01-01T00:00:00Z"
                : path.contains("/row")
                        ? "?cell=%7B%22id%22%3A1%7D"
                        : path.contains("transactions/") ? "?since=2026-01-01T00:00:00Z" : "";
        return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + instance.port() + path + query))
                .timeout(SOON)
                .header("Authorization", "Bearer " + TestInstance.token())
                .header("Content-Type", "application/json")
                .method(parts[0], HttpRequest.BodyPublishers.noBody())
                .build();
    }
}
