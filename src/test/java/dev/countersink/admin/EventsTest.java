package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Eventually;
import dev.countersink.testing.ItemView;
import dev.countersink.testing.TestInstance;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.springframework.core.io.Resource;
import org.springframework.core.io.support.PathMatchingResourcePatternResolver;
import tools.jackson.databind.JsonNode;

/** What lies behind the dashboard besides {@code /api/now}: events, activity, a moment, trust, base rows. */
class EventsTest {
    private static ItemService service;
    private static TestInstance instance;

    @BeforeAll
    static void start() throws Exception {
        service = new ItemService();
        instance = service.instance();
    }

    @AfterAll
    static void stop() throws Exception {
        if (service != null) {
            service.close();
        }
    }

    @Test
    void whoListensIsToldOfAChange() throws Exception {
        assertThat(instance.getWithToken("/api/events", null).status()).isEqualTo(401);
        try (Listener listener = new Listener()) {
            Eventually.await("a first event", listener::events, n -> n > 0);
            int before = listener.events();
            service.sql().run("INSERT INTO app.item VALUES (50, 10)");
            Eventually.await("another one", listener::events, n -> n > before);
        }
    }

    @Test
    void streamsAreBoundedAndTakeNoThreads() throws Exception {
        List<Listener> all = new ArrayList<>();
        try {
            int refused = 0;
            for (int i = 0; i < EventStreams.MOST + 5 && refused == 0; i++) {
                Listener listener = new Listener();
                all.add(listener);
                refused = listener.status() == 429 ? listener.status() : 0;
            }
            assertThat(refused).isEqualTo(429);
            assertThat(instance.get("/api/now").status()).isEqualTo(200);
            assertThat(instance.getWithToken("/actuator/health/liveness", null).status())
                    .isEqualTo(200);
        } finally {
            for (Listener listener : all) {
                listener.close();
            }
        }
        // Those that have gone are noticed when something is sent.
        Eventually.await(
                "there is room again",
                () -> {
                    try (Listener listener = new Listener()) {
                        return listener.status();
                    }
                },
                status -> status == 200);
    }

    @Test
    void noMoreStreamsAreOpenedThanThereMayBeHoweverManyAskAtOnce() throws Exception {
        int many = 2 * EventStreams.MOST;
        ExecutorService threads = Executors.newFixedThreadPool(many);
        List<Listener> all = new ArrayList<>();
        try {
            for (Future<Listener> listener :
                    threads.invokeAll(Collections.<Callable<Listener>>nCopies(many, Listener::new))) {
                all.add(listener.get());
            }
            assertThat(all).extracting(Listener::status).containsOnly(200, 429);
            assertThat(all.stream().filter(listener -> listener.status() == 200).count())
                    .isPositive()
                    .isLessThanOrEqualTo(EventStreams.MOST);
        } finally {
            threads.shutdownNow();
            for (Listener listener : all) {
                listener.close();
            }
        }
    }

    /** A browser that was cut off sends the last event's id, if it has one; whatever has happened meanwhile, it is told to ask at once. */
    @Test
    void whoComesBackIsToldAtOnce() throws Exception {
        for (String id : new String[] {"1", "", "x".repeat(1000)}) {
            HttpResponse<InputStream> answer = HttpClient.newHttpClient()
                    .send(
                            HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + instance.port() + "/api/events"))
                                    .header("Authorization", "Bearer " + TestInstance.token())
                                    .header("Last-Event-ID", id)
                                    .header("Accept-Encoding", "gzip")
                                    .build(),
                            HttpResponse.BodyHandlers.ofInputStream());
            try (InputStream body = answer.body()) {
                assertThat(new String(body.readNBytes("event:changed".length()), StandardCharsets.US_ASCII))
                        .isEqualTo("event:changed");
            }
            // Nothing between us gathers, compresses or keeps it.
            assertThat(answer.headers().map())
                    .containsEntry("X-Accel-Buffering", List.of("no"))
                    .doesNotContainKeys("Content-Encoding", "content-encoding", "Content-Length", "content-length");
            assertThat(answer.headers().firstValue("Cache-Control").orElse("")).contains("no-store");
        }
    }

    @Test
    void theDashboardIsSmall() throws Exception {
        long bytes = 0;
        PathMatchingResourcePatternResolver resources = new PathMatchingResourcePatternResolver();
        for (String pattern : List.of(
                "classpath*:dashboard/*", "classpath*:META-INF/resources/webjars/uplot/*/dist/uPlot.iife.min.js")) {
            for (Resource resource : resources.getResources(pattern)) {
                bytes += resource.contentLength();
            }
        }
        assertThat(bytes).isBetween(50_000L, 150_000L);
    }

    @Test
    void whatIsAtWorkIsShown() {
        JsonNode activity = instance.get("/api/activity").json();
        assertThat(activity.propertyNames())
                .containsExactly("merges", "instances", "threads", "triggers", "deltas", "statements");
        Eventually.await(
                "the maintenance has a trigger",
                () -> instance.get("/api/activity").json().path("triggers").toString(),
                triggers -> triggers.contains("maintenance"));
        assertThat(activity.path("deltas").toString()).contains(ItemView.NAME);
    }

    @Test
    void aViewSaysWhenItIsMergedAndWhatItReads() {
        JsonNode view = instance.get("/api/now")
                .json()
                .path("views")
                .valueStream()
                .filter(v -> ItemView.NAME.equals(v.path("name").asString()))
                .findFirst()
                .orElseThrow();
        assertThat(view.path("every_ms").asLong()).isEqualTo(3_600_000);
        assertThat(view.path("trigger").isNull()).isTrue();
        assertThat(view.path("reads").isEmpty()).isTrue();
        assertThat(view.has("rows_per_minute")).isTrue();
    }

    @Test
    void aMomentIsATimeOfTheLastHour() {
        JsonNode moment = instance.get("/api/now/at?time=2026-01-01T00:00:00Z").json();
        assertThat(moment.path("merges").isArray()).isTrue();
        assertThat(moment.path("runs").isEmpty()).isTrue();
        String run = instance.post("/api/views/app.item_fact/refresh").header("Location");
        Eventually.await(
                "a run is over", () -> instance.get(run).json().path("state").asString(), "done"::equals);
        assertThat(instance.get("/api/now/at?time=" + Instant.now()).json().path("runs"))
                .anySatisfy(found -> assertThat(found.path("action").asString()).isEqualTo("refresh"));
        assertThat(instance.get("/api/now/at?time=yesterday").status()).isEqualTo(400);
        assertThat(instance.get("/api/now/at").status()).isEqualTo(400);
    }

    @Test
    void anAlertFiresAndIsOver() {
        assertThat(instance.get("/api/alerts?state=wrong").status()).isEqualTo(400);
        service.sql()
                .run(
                        "INSERT INTO app.item VALUES (61, 5); SELECT count(*) FROM tally.refresh('app.item_fact'); UPDATE app.item_fact SET share = 1 WHERE id = 61");
        instance.post("/api/views/app.item_fact/verify");
        JsonNode alert = Eventually.await(
                        "it fires",
                        () -> instance.get("/api/alerts?state=firing").json().path("items"),
                        items -> items.toString().contains("WrongRows"))
                .get(0);
        assertThat(alert.path("subject").asString()).isEqualTo(ItemView.NAME);
        assertThat(alert.path("sentence").asString()).contains("had 2 wrong rows");
        assertThat(alert.path("remedy").asString()).startsWith("Repair it");
        assertThat(alert.path("since").isString()).isTrue();
        instance.post("/api/views/app.item_fact/repair");
        Eventually.await(
                "it is over",
                () -> instance.get("/api/alerts?state=resolved")
                        .json()
                        .path("items")
                        .toString(),
                items -> items.contains("WrongRows"));
        assertThat(instance.get("/api/alerts?state=firing").json().path("items").isEmpty())
                .isTrue();
    }

    @Test
    void aRowLeadsToItsSources() {
        service.sql().run("INSERT INTO app.item VALUES (51, 5); SELECT count(*) FROM tally.refresh('app.item_fact')");
        String cell = "?cell=%7B%22id%22:51%7D";
        JsonNode sources = instance.get("/api/views/app.item_fact/row/sources" + cell)
                .json()
                .path("items");
        assertThat(sources).singleElement().satisfies(row -> {
            assertThat(row.path("source").asString()).isEqualTo("app.item");
            assertThat(row.path("row").path("n").asInt()).isEqualTo(5);
        });
        assertThat(instance.get("/api/views/app.item_fact/row/changed" + cell)
                        .json()
                        .path("items")
                        .get(0)
                        .path("transaction")
                        .asString())
                .matches("\\d+");
        assertThat(instance.get("/api/views/app.item_fact/row/sources?cell=%7B%7D")
                        .status())
                .isEqualTo(422);
        assertThat(instance.get("/api/views/app.gone/row/sources" + cell).status())
                .isEqualTo(404);
        assertThat(instance.get("/api/views/app.item_fact/trust")
                        .json()
                        .path("items")
                        .isArray())
                .isTrue();
        assertThat(instance.get("/api/views/app.gone/trust").status()).isEqualTo(404);
    }

    /** A reader of the stream, as a browser has one. */
    private static final class Listener implements AutoCloseable {
        private final HttpResponse<InputStream> answer;
        private final AtomicInteger events = new AtomicInteger();

        Listener() throws Exception {
            answer = HttpClient.newHttpClient()
                    .send(
                            HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + instance.port() + "/api/events"))
                                    .header("Authorization", "Bearer " + TestInstance.token())
                                    .build(),
                            HttpResponse.BodyHandlers.ofInputStream());
            Thread reader = new Thread(this::read, "listener");
            reader.setDaemon(true);
            reader.start();
        }

        int status() {
            return answer.statusCode();
        }

        int events() {
            return events.get();
        }

        private void read() {
            StringBuilder line = new StringBuilder();
            try (InputStream in = answer.body()) {
                for (int c = in.read(); c >= 0; c = in.read()) {
                    if (c == '\n') {
                        if (line.toString().equals("event:changed")) {
                            events.incrementAndGet();
                        }
                        line.setLength(0);
                    } else {
                        line.append(new String(new byte[] {(byte) c}, StandardCharsets.US_ASCII));
                    }
                }
            } catch (IOException e) {
                // It is closed.
            }
        }

        @Override
        public void close() throws IOException {
            answer.body().close();
        }
    }
}
