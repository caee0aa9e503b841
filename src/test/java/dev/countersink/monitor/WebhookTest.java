package dev.countersink.monitor;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import com.zaxxer.hikari.HikariDataSource;
import dev.countersink.config.DbSettings;
import dev.countersink.config.WebhookSettings;
import dev.countersink.db.Database;
import dev.countersink.db.GuardDb;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Alerts are told to a real HTTP server that fails, says nothing, and comes back. Two instances tell. */
class WebhookTest {
    private static final String SECRET = "a-secret-for-the-tests";
    private static final String ALERT =
            "[{\"rule\":\"WrongRows\",\"subject\":\"a.\\u00e9\",\"level\":\"bad\",\"sentence\":\"s\",\"remedy\":\"r\",\"hold\":0}]";

    private final List<String> attempts = new CopyOnWriteArrayList<>();
    private final List<JsonNode> taken = new CopyOnWriteArrayList<>();
    private final List<String> unsigned = new CopyOnWriteArrayList<>();
    private final CountDownLatch end = new CountDownLatch(1);
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
    private volatile String mood = "fails";
    private HttpServer server;
    private HikariDataSource pool;
    private GuardDb guard;
    private Sql sql;

    @BeforeEach
    void open() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", this::answer);
        server.setExecutor(threads);
        server.start();
        DbSettings db = TestPostgres.migrated();
        pool = Database.pool(db);
        guard = new GuardDb(pool);
        sql = new Sql(db);
    }

    @AfterEach
    void close() throws SQLException {
        end.countDown();
        server.stop(0);
        threads.shutdownNow();
        sql.close();
        pool.close();
    }

    @Test
    void anAlertAndItsEndAreToldOnceWhateverTheReceiverDoes() {
        Webhook one = webhook();
        Webhook two = webhook();
        one.start();
        two.start();
        try {
            guard.noteAlerts("", ALERT);
            Eventually.await("it is tried again", attempts::size, n -> n >= 2);
            assertThat(attempts).allMatch(attempts.get(0)::equals);
            mood = "slow";
            forward();
            int before = attempts.size();
            Eventually.await("it is tried while the receiver is slow", attempts::size, n -> n > before);
            mood = "takes";
            forward();
            Eventually.await("it is taken", taken::size, n -> n == 1);
            assertThat(taken.get(0).path("state").asString()).isEqualTo("firing");
            assertThat(taken.get(0).path("subject").asString()).isEqualTo("a.é");
            assertThat(taken.get(0).path("remedy").asString()).isEqualTo("r");
            mood = "drips";
            guard.noteAlerts("", "[]");
            Eventually.await("its end is taken, though that answer does not end", taken::size, n -> n == 2);
            assertThat(taken.get(1).path("state").asString()).isEqualTo("resolved");
            assertThat(taken.get(1).path("id").asLong())
                    .isEqualTo(taken.get(0).path("id").asLong());
            Eventually.await(
                    "that is stored",
                    () -> guard.alerts(null, 10, "resolved").get(0),
                    alert -> alert.contains("\"told\": \"resolved\""));
            assertThat(guard.takeNotice()).isEmpty();
            assertThat(unsigned).isEmpty();
        } finally {
            one.stop();
            two.stop();
        }
    }

    /** Nobody waits until it is tried again. */
    private void forward() {
        sql.run("UPDATE control.alert SET retry_at = retry_at - interval '1 hour'");
    }

    @Test
    void theEndOfAnAlertIsNotToldWhileSomebodyTellsOfIt() {
        guard.noteAlerts("", ALERT);
        JsonNode firing = taken();
        guard.noteAlerts("", "[]");
        assertThat(guard.takeNotice()).isEmpty();
        guard.finishNotice(firing.path("id").asLong(), "firing", true);
        JsonNode resolved = taken();
        assertThat(resolved.path("state").asString()).isEqualTo("resolved");
        guard.finishNotice(resolved.path("id").asLong(), "resolved", true);
        assertThat(guard.takeNotice()).isEmpty();
    }

    @Test
    void anEndThatCameDuringAVainAttemptIsToldAtOnce() {
        guard.noteAlerts("", ALERT);
        JsonNode firing = taken();
        guard.noteAlerts("", "[]");
        guard.finishNotice(firing.path("id").asLong(), "firing", false);
        assertThat(taken().path("state").asString()).isEqualTo("resolved");
    }

    @Test
    void anInstanceThatDiesWhileItTellsLeavesThatToAnother() {
        guard.noteAlerts("", ALERT);
        JsonNode lost = taken();
        assertThat(guard.takeNotice()).isEmpty();
        sql.run("UPDATE control.alert SET taken_until = taken_until - interval '31 s'");
        assertThat(taken().path("id")).isEqualTo(lost.path("id"));
    }

    @Test
    void anAlertThatFiresAgainIsToldAfterTheEndOfTheOneBefore() {
        guard.noteAlerts("", ALERT);
        guard.finishNotice(taken().path("id").asLong(), "firing", true);
        guard.noteAlerts("", "[]");
        JsonNode resolved = taken();
        guard.finishNotice(resolved.path("id").asLong(), "resolved", false);
        guard.noteAlerts("", ALERT);
        assertThat(guard.takeNotice()).isEmpty();
        forward();
        assertThat(taken().path("id")).isEqualTo(resolved.path("id"));
        assertThat(guard.takeNotice()).isEmpty();
        guard.finishNotice(resolved.path("id").asLong(), "resolved", true);
        JsonNode again = taken();
        assertThat(again.path("state").asString()).isEqualTo("firing");
        assertThat(again.path("id").asLong()).isGreaterThan(resolved.path("id").asLong());
    }

    @Test
    void whatWaitsIsToldOnceTheReceiverTakesSomething() {
        guard.noteAlerts("", "[" + alert("a.one") + "," + alert("a.two") + "]");
        for (int i = 0; i < 2; i++) {
            guard.finishNotice(taken().path("id").asLong(), "firing", false);
        }
        assertThat(guard.takeNotice()).isEmpty();
        guard.noteAlerts("", "[" + alert("a.one") + "," + alert("a.two") + "," + alert("a.three") + "]");
        JsonNode third = taken();
        assertThat(third.path("subject").asString()).isEqualTo("a.three");
        guard.finishNotice(third.path("id").asLong(), "firing", true);
        assertThat(List.of(
                        taken().path("subject").asString(),
                        taken().path("subject").asString()))
                .containsExactly("a.one", "a.two");
    }

    @Test
    void aReceiverThatTakesNothingIsMeasured() {
        Webhook webhook = webhook();
        webhook.start();
        try {
            Eventually.await("nothing waits", () -> metric("waiting"), waiting -> waiting == 0);
            guard.noteAlerts("", ALERT);
            Eventually.await("it is refused", () -> attempts("refused"), refused -> refused >= 1);
            sql.run("UPDATE control.alert SET fired_at = fired_at - interval '1 hour'");
            forward();
            Eventually.await("its age is known", () -> metric("oldest.age"), age -> age > 3600);
            assertThat(metric("waiting")).isEqualTo(1);
            assertThat(attempts("taken")).isZero();
            mood = "takes";
            forward();
            Eventually.await("it is taken", () -> attempts("taken"), taken -> taken == 1);
            Eventually.await("nothing waits", () -> metric("waiting"), waiting -> waiting == 0);
            assertThat(metric("oldest.age")).isZero();
        } finally {
            webhook.stop();
        }
    }

    private double metric(String name) {
        return meters.get("countersink.webhook." + name).gauge().value();
    }

    private double attempts(String outcome) {
        return meters.get("countersink.webhook.attempts")
                .tag("outcome", outcome)
                .counter()
                .count();
    }

    @Test
    void whatWaitsIsCountedFromWhenItHadToBeTold() {
        assertThat(guard.untold()).isEqualTo(new GuardDb.Untold(0, 0));
        guard.noteAlerts("", ALERT);
        sql.run("UPDATE control.alert SET fired_at = fired_at - interval '1 hour'");
        assertThat(guard.untold().notices()).isEqualTo(1);
        assertThat(guard.untold().oldestSeconds()).isBetween(3600.0, 3660.0);
        guard.finishNotice(taken().path("id").asLong(), "firing", true);
        assertThat(guard.untold().notices()).isZero();
        guard.noteAlerts("", "[]");
        assertThat(guard.untold().notices()).isEqualTo(1);
        assertThat(guard.untold().oldestSeconds()).isLessThan(60);
    }

    @Test
    void aReceiverThatIsSetUpLaterIsNotToldOfWhatIsLongOver() {
        guard.noteAlerts("", "[" + alert("a.told") + "," + alert("a.old") + "]");
        guard.finishNotice(taken().path("id").asLong(), "firing", true);
        guard.noteAlerts("", "[]");
        sql.run(
                "UPDATE control.alert SET fired_at = fired_at - interval '2 days', resolved_at = resolved_at - interval '25 hours'");
        guard.noteAlerts("", "[" + alert("a.old") + "]");
        assertThat(guard.untold().notices()).isEqualTo(2);
        JsonNode end = taken();
        assertThat(List.of(end.path("subject").asString(), end.path("state").asString()))
                .containsExactly("a.told", "resolved");
        JsonNode again = taken();
        assertThat(List.of(again.path("subject").asString(), again.path("state").asString()))
                .containsExactly("a.old", "firing");
        assertThat(guard.takeNotice()).isEmpty();
    }

    private static String alert(String subject) {
        return "{\"rule\":\"ViewLate\",\"subject\":\"%s\",\"level\":\"bad\",\"sentence\":\"s\",\"remedy\":\"r\",\"hold\":0}"
                .formatted(subject);
    }

    private JsonNode taken() {
        return JsonMapper.shared().readTree(guard.takeNotice().orElseThrow());
    }

    private Webhook webhook() {
        WebhookSettings settings =
                new WebhookSettings("http://127.0.0.1:" + server.getAddress().getPort() + "/alerts", SECRET, null);
        return new Webhook(settings, guard, JsonMapper.shared(), meters, Duration.ofSeconds(1));
    }

    private void answer(HttpExchange exchange) throws IOException {
        String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
        String timestamp = exchange.getRequestHeaders().getFirst("X-Countersink-Timestamp");
        String signature = exchange.getRequestHeaders().getFirst("X-Countersink-Signature");
        if (!("sha256=" + Receiver.signature(timestamp, body, SECRET)).equals(signature)
                || Math.abs(Instant.now().getEpochSecond() - Long.parseLong(timestamp)) > 60) {
            unsigned.add(body);
        }
        String now = mood;
        attempts.add(exchange.getRequestHeaders().getFirst("X-Countersink-Delivery"));
        switch (now) {
            case "fails" -> exchange.sendResponseHeaders(500, -1);
            case "slow" -> await();
            case "drips" -> {
                taken.add(JsonMapper.shared().readTree(body));
                exchange.sendResponseHeaders(200, 0);
                exchange.getResponseBody().write('x');
                exchange.getResponseBody().flush();
                await();
            }
            default -> {
                taken.add(JsonMapper.shared().readTree(body));
                exchange.sendResponseHeaders(204, -1);
            }
        }
        exchange.close();
    }

    private void await() {
        try {
            end.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
