package dev.countersink.faults;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.TestInstance;
import dev.countersink.testing.TestNats;
import dev.countersink.testing.TestPostgres;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Readiness names the part that is down, within a second, and tells nobody without a token more than that. */
class ReadinessTest {
    private static final String READINESS = "/actuator/health/readiness";
    private static final Duration A_SECOND = Duration.ofSeconds(1);
    private static final Duration PATIENCE = Duration.ofMinutes(1);

    @Test
    void itNamesThePartThatIsDown() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (TestNats nats = new TestNats();
                FaultProxy proxy = new FaultProxy(FaultProxy.port(db.url()));
                ServerSocket silent = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
                TestInstance instance = TestInstance.start(proxy.through(db), nats)) {
            assertThat(parts(instance).toString())
                    .isEqualTo(
                            "{\"db\":{\"status\":\"UP\"},\"ingest\":{\"status\":\"UP\"},\"nats\":{\"status\":\"UP\"},"
                                    + "\"readinessState\":{\"status\":\"UP\"}}");
            nats.kill();
            awaitState(instance, "nats", "DOWN");
            assertThat(state(parts(instance), "db")).isEqualTo("UP");
            nats.restart();
            awaitState(instance, "nats", "UP");

            // The server accepts connections and says nothing.
            proxy.lead(silent.getLocalPort());
            proxy.stall();
            awaitState(instance, "db", "DOWN");
            assertThat(state(parts(instance), "nats")).isEqualTo("UP");
            proxy.lead(FaultProxy.port(db.url()));
            proxy.cut();
            awaitState(instance, "db", "UP");
        }
    }

    private static void awaitState(TestInstance instance, String part, String state) {
        Eventually.await(
                "%s is %s, said within a second".formatted(part, state),
                PATIENCE,
                () -> {
                    long begin = System.nanoTime();
                    String said = state(parts(instance), part);
                    return said.equals(state) && System.nanoTime() - begin < A_SECOND.toNanos();
                },
                said -> said);
    }

    private static String state(JsonNode parts, String part) {
        return parts.path(part).path("status").asString();
    }

    private static JsonNode parts(TestInstance instance) {
        TestInstance.Answer answer = instance.getWithToken(READINESS, null);
        JsonNode body = answer.json();
        assertThat(body.propertyNames()).containsExactlyInAnyOrder("status", "components");
        assertThat(answer.status()).isEqualTo("UP".equals(body.path("status").asString()) ? 200 : 503);
        body.path("components").forEach(part -> assertThat(part.propertyNames()).containsExactly("status"));
        return body.path("components");
    }
}
