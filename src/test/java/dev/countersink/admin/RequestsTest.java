package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.ItemView;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestInstance;
import java.time.Instant;
import java.util.Collections;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Requests that become runs, lists page by page, and links behind a proxy. */
class RequestsTest {
    private static final String VIEW = "/api/views/" + ItemView.NAME;

    private static ItemService service;
    private static Sql sql;
    private static TestInstance instance;

    @BeforeAll
    static void start() throws Exception {
        service = new ItemService();
        sql = service.sql();
        instance = service.instance();
        sql.run("CREATE VIEW app.other_def AS SELECT n, count(*) AS items FROM app.item GROUP BY n");
        sql.run("SELECT tally.keep('app.other', 'app.other_def')");
    }

    @AfterAll
    static void stop() throws Exception {
        if (service != null) {
            service.close();
        }
    }

    @Test
    void severalViewsAreRefreshedByOneRequestOrNone() {
        TestInstance.Answer answer = refresh("{\"views\":[\"app.other\",\"%s\"]}".formatted(ItemView.NAME));
        assertThat(answer.status()).isEqualTo(202);
        JsonNode first = answer.json().path("runs").get(0);
        assertThat(first.path("view").asString()).isEqualTo("app.other");
        assertThat(instance.get(first.path("location").asString())
                        .json()
                        .path("view")
                        .asString())
                .isEqualTo("app.other");
        long runs = sql.number("SELECT count(*) FROM control.run");
        assertProblem(refresh("{\"views\":[\"app.other\",\"app.gone\"]}"), 404, "TL001");
        for (String body : new String[] {"{}", "{\"views\":[]}", "{\"views\":[null]}", "{\"views\":1}", "[]", ""}) {
            assertProblem(refresh(body), 400, "22023");
        }
        assertThat(sql.number("SELECT count(*) FROM control.run")).isEqualTo(runs);
        JsonNode act = instance.get("/api/audit?limit=100").json().path("items");
        assertThat(act.toString()).contains("\"target\":\"app.other %s\"".formatted(ItemView.NAME));
    }

    @Test
    void whatAnActWasIsNotedWhateverWasSent() {
        for (String odd : new String[] {"a\\u0000.b", "a.\\ud800", "a.b".repeat(5000)}) {
            assertThat(refresh("{\"views\":[\"%s\"]}".formatted(odd)).status()).isBetween(400, 499);
        }
        assertThat(sql.number("SELECT count(*) FROM control.audit WHERE path = '/api/refresh' AND status IS NULL"))
                .isZero();
    }

    @Test
    void theSameRequestWithTheSameKeyHasTheSameAnswer() {
        TestInstance.Answer first = keyed(VIEW + "/verify?sample=0.5", "key-1");
        assertThat(first.status()).isEqualTo(202);
        long runs = sql.number("SELECT count(*) FROM control.run");
        TestInstance.Answer again = keyed(VIEW + "/verify?sample=0.5", "key-1");
        assertThat(again.status()).isEqualTo(202);
        assertThat(again.response().body()).isEqualTo(first.response().body());
        assertThat(again.header("Location")).isEqualTo(first.header("Location"));
        assertThat(sql.number("SELECT count(*) FROM control.run")).isEqualTo(runs);
        assertProblem(keyed(VIEW + "/verify", "key-1"), 422, "TL018");
        assertProblem(keyed(VIEW + "/rebuild", "key-1"), 422, "TL018");
        assertProblem(keyed(VIEW + "/refresh", "a".repeat(256)), 400, "22023");
        assertProblem(keyed("/api/views/app.gone/refresh", "key-2"), 404, "TL001");
        assertThat(keyed(VIEW + "/refresh", "key-2").status()).isEqualTo(202);
        sql.run("UPDATE control.idempotency_key SET made_at = made_at - interval '25 hours'");
        TestInstance.Answer later = keyed(VIEW + "/verify?sample=0.5", "key-1");
        assertThat(later.response().body()).isNotEqualTo(first.response().body());
        assertThat(sql.number("SELECT count(*) FROM control.idempotency_key")).isEqualTo(1);
    }

    @Test
    void oneKeyAtTheSameTimeIsOneRun() throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(8);
        try {
            Callable<String> request =
                    () -> keyed(VIEW + "/repair", "at-once").response().body();
            Set<String> answers = new HashSet<>();
            for (Future<String> answer : threads.invokeAll(Collections.nCopies(8, request))) {
                answers.add(answer.get());
            }
            assertThat(answers).hasSize(1);
        } finally {
            threads.shutdown();
        }
        assertThat(sql.number("SELECT count(*) FROM control.run WHERE action = 'repair'"))
                .isEqualTo(1);
    }

    @Test
    void runsAreChosenByTime() {
        String before = Instant.now().minusSeconds(3600).toString();
        refresh("{\"views\":[\"app.other\"]}");
        assertThat(instance.get("/api/runs?since=" + before).json().path("items"))
                .isNotEmpty();
        assertThat(instance.get("/api/runs?until=" + before).json().path("items"))
                .isEmpty();
        assertThat(instance.get("/api/runs?view=app.other&until=" + before)
                        .json()
                        .path("items"))
                .isEmpty();
        JsonNode page = instance.get("/api/runs?limit=1&since=" + before).json();
        assertThat(page.path("next").asString()).contains("&since=");
        assertThat(instance.get("/api/runs?since=lately").status()).isEqualTo(400);
    }

    @Test
    void everyListHasPages() {
        JsonNode first = instance.get("/api/views?limit=1&fields=name").json();
        assertThat(first.path("items").toString()).isEqualTo("[{\"name\":\"%s\"}]".formatted(ItemView.NAME));
        JsonNode second = instance.get(first.path("next").asString()).json();
        assertThat(second.path("items").toString()).startsWith("[{\"name\":\"app.other");
        for (String list : new String[] {
            "/api/views",
            "/api/runs",
            "/api/jobs",
            "/api/dead-letters",
            "/api/dead-letters/reasons",
            "/api/audit",
            "/api/tokens",
            "/api/health",
            "/api/transactions",
            VIEW + "/explain",
            VIEW + "/quarantine"
        }) {
            TestInstance.Answer page = instance.get(list + "?limit=1&after=1");
            assertThat(page.status()).as(list).isEqualTo(200);
            assertThat(page.json().path("items").size()).as(list).isLessThanOrEqualTo(1);
            assertProblem(instance.get(list + "?limit=0"), 400, "22023");
            assertProblem(instance.get(list + "?limit=1001"), 400, "22023");
        }
        assertProblem(instance.get("/api/health?after=-1"), 400, "22023");
        assertProblem(instance.get("/api/health?after=2147483647"), 400, "22023");
    }

    @Test
    void linksAreRightUnderThePrefixOfAProxy() {
        TestInstance.Answer answer = instance.send(
                "POST", VIEW + "/refresh", TestInstance.token(), null, "X-Forwarded-Prefix", "/ops/counts/");
        assertThat(answer.header("Location")).startsWith("/ops/counts/api/runs/");
        assertThat(instance.send("GET", "/api/views?limit=1", TestInstance.token(), null, "X-Forwarded-Prefix", "/ops")
                        .json()
                        .path("next")
                        .asString())
                .startsWith("/ops/api/views?after=");
        assertThat(instance.send("POST", "/api/session", TestInstance.token(), null, "X-Forwarded-Prefix", "/ops")
                        .header("Set-Cookie"))
                .contains("Path=/ops/");
        for (String odd : new String[] {"//elsewhere", "https://elsewhere", "/a b", "x", "/a//b", "/a;b", "/%2F", ""}) {
            assertThat(instance.send("POST", VIEW + "/refresh", TestInstance.token(), null, "X-Forwarded-Prefix", odd)
                            .header("Location"))
                    .as(odd)
                    .startsWith("/api/runs/");
        }
        assertThat(instance.getWithToken("/", null).response().body())
                .doesNotContain("=\"/")
                .contains("src=\"ui/main.js\"");
    }

    private static TestInstance.Answer refresh(String body) {
        return instance.send("POST", "/api/refresh", TestInstance.token(), body);
    }

    private static TestInstance.Answer keyed(String path, String key) {
        return instance.send("POST", path, TestInstance.token(), null, RunRequests.KEY, key);
    }

    private static void assertProblem(TestInstance.Answer answer, int status, String code) {
        assertThat(answer.status()).as(answer.response().body()).isEqualTo(status);
        assertThat(answer.json().path("code").asString()).isEqualTo(code);
        assertThat(answer.json().path("hint").asString()).isNotEmpty();
    }
}
