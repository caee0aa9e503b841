package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.db.Database;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import java.sql.Connection;
import java.sql.Statement;
import java.util.Map;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** How many threads of an instance are at work, and how much waits for one. */
class ThreadPoolsTest {
    private static final int VIEWS = 6;

    @Test
    void viewsThatWaitForAThreadAreCountedApartFromThoseThatHaveOne() throws Exception {
        try (ItemService service = new ItemService(Map.of("countersink.refresh.interval", "200ms"))) {
            Sql sql = service.sql();
            for (int i = 1; i <= VIEWS; i++) {
                sql.run(
                        "CREATE VIEW app.part_%1$d_def AS SELECT id, n FROM app.item; SELECT count(*) FROM tally.keep('app.part_%1$d', 'app.part_%1$d_def')"
                                .formatted(i));
            }
            for (int i = 1; i <= VIEWS; i++) {
                sql.run("SELECT count(*) FROM tally.refresh('app.part_%d')".formatted(i));
            }
            try (Connection blocker = Database.connect(service.database());
                    Statement statement = blocker.createStatement()) {
                blocker.setAutoCommit(false);
                for (int i = 1; i <= VIEWS; i++) {
                    statement.execute("LOCK TABLE app.part_%d IN SHARE ROW EXCLUSIVE MODE".formatted(i));
                }
                sql.run("INSERT INTO app.item VALUES (1, 10)");
                JsonNode merges = Eventually.await(
                        "all threads merge",
                        () -> pool(service, "merges"),
                        pool -> pool.path("busy").asInt() == 4
                                && pool.path("waiting").asInt() >= VIEWS - 4);
                assertThat(merges.path("threads").asInt()).isEqualTo(4);
                assertThat(merges.path("instance").asString())
                        .isEqualTo(service.instance()
                                .get("/api/activity")
                                .json()
                                .path("instances")
                                .path(0)
                                .path("name")
                                .asString());
                assertThat(pool(service, "runs").path("busy").asInt()).isZero();
                assertThat(pool(service, "schedules").path("waiting").isNull()).isTrue();
                assertThat(service.instance()
                                .get("/actuator/prometheus")
                                .response()
                                .body())
                        .contains("countersink_threads_busy{pool=\"merges\"} 4");
            }
            Eventually.await(
                    "no thread is at work",
                    () -> pool(service, "merges"),
                    pool -> pool.path("busy").asInt() == 0
                            && pool.path("waiting").asInt() == 0);
        }
    }

    private static JsonNode pool(ItemService service, String name) throws Exception {
        for (JsonNode pool : service.instance().get("/api/activity").json().path("threads")) {
            if (pool.path("pool").asString().equals(name)) {
                return pool;
            }
        }
        throw new AssertionError("no pool " + name);
    }
}
