package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Eventually;
import dev.countersink.testing.ItemView;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestInstance;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

class ApiTest {
    private static final String VIEW = "/api/views/" + ItemView.NAME;

    private static ItemService service;
    private static Sql sql;
    private static TestInstance instance;

    @BeforeAll
    static void start() throws Exception {
        service = new ItemService();
        sql = service.sql();
        instance = service.instance();
    }

    @AfterAll
    static void stop() throws Exception {
        if (service != null) {
            service.close();
        }
    }

    @Test
    void healthNeedsNoToken() {
        assertThat(instance.getWithToken("/actuator/health/readiness", null).status())
                .isEqualTo(200);
        assertThat(instance.getWithToken("/actuator/health/liveness", null).status())
                .isEqualTo(200);
    }

    @Test
    void everythingElseNeedsTheToken() {
        for (String path : new String[] {"/api/views", "/api/nothing", "/actuator/prometheus"}) {
            for (String token : new String[] {null, "", "another-token-for-tests"}) {
                TestInstance.Answer answer = instance.getWithToken(path, token);
                assertThat(answer.status()).isEqualTo(401);
                assertThat(answer.header("WWW-Authenticate")).isEqualTo("Bearer");
                assertThat(answer.header("Content-Type")).startsWith("application/problem+json");
                assertThat(answer.json().path("hint").asString()).contains("COUNTERSINK_API_TOKEN");
            }
        }
    }

    @Test
    void viewsAreListedWithTheirStateAndLag() {
        JsonNode view = view(instance.get("/api/views").json());
        assertThat(view.path("kind").asString()).isEqualTo("projection");
        assertThat(view.has("state")).isTrue();
        assertThat(view.has("pending")).isTrue();
        assertThat(view.has("lag")).isTrue();
        assertThat(instance.get(VIEW).json().path("name").asString()).isEqualTo(ItemView.NAME);
    }

    @Test
    void aListGivesOnlyTheFieldsThatAreAskedFor() {
        JsonNode view = view(instance.get("/api/views?fields=name,pending").json());
        assertThat(view.propertyNames()).containsExactlyInAnyOrder("name", "pending");
        TestInstance.Answer refused = instance.get("/api/views?fields=name,nonsense");
        assertProblem(refused, 400, "22023");
        assertThat(refused.json().path("detail").asString()).isEqualTo("There is no field 'nonsense'.");
    }

    @Test
    void numbersKeepEveryDigit() {
        sql.run("CREATE TABLE app.big (id numeric PRIMARY KEY, amount numeric NOT NULL)");
        sql.run("CREATE VIEW app.big_fact_def AS SELECT id, amount, 1e400 AS huge FROM app.big");
        sql.run("SELECT tally.keep('app.big_fact', 'app.big_fact_def')");
        sql.run("INSERT INTO app.big VALUES (9007199254740993, 0.1234567890123456789), (2, 1.50)");
        sql.run("SELECT count(*) FROM tally.refresh('app.big_fact')");
        String row = "/api/views/app.big_fact/row";
        assertThat(instance.get(row + "?cell=%7B%22id%22:9007199254740993%7D")
                        .response()
                        .body())
                .contains(
                        "\"id\":9007199254740993", "\"amount\":0.1234567890123456789", "\"huge\":1" + "0".repeat(400));
        assertThat(instance.get(row + "/sources?cell=%7B%22id%22:2%7D")
                        .response()
                        .body())
                .contains("\"amount\":1.50");
        sql.run("UPDATE app.big_fact SET amount = 0.1234567890123456788 WHERE id > 2");
        String run = instance.post("/api/views/app.big_fact/verify").header("Location");
        Eventually.await(
                "it is verified", () -> instance.get(run).json().path("state").asString(), "done"::equals);
        assertThat(instance.get(run).response().body()).contains("0.1234567890123456788", "0.1234567890123456789");
        sql.run("SELECT tally.drop('app.big_fact'); DROP VIEW app.big_fact_def; DROP TABLE app.big");
    }

    @Test
    void whatIsNotThereIsAProblem() {
        assertProblem(instance.get("/api/views/app.gone"), 404, "TL001");
        assertProblem(instance.post("/api/views/app.gone/refresh"), 404, "TL001");
        assertProblem(instance.get("/api/runs/999999"), 404, "02000");
        assertProblem(instance.post(VIEW + "/explode"), 404, "02000");
        assertProblem(instance.get("/api/runs?limit=0"), 400, "22023");
        assertProblem(instance.get("/api/runs/one"), 400, "22023");
    }

    @Test
    void aRefreshIsAcceptedAndDone() {
        sql.run("INSERT INTO app.item VALUES (7, 10) ON CONFLICT DO NOTHING");
        TestInstance.Answer accepted = instance.post(VIEW + "/refresh");
        assertThat(accepted.status()).isEqualTo(202);
        assertThat(accepted.header("Location"))
                .isEqualTo("/api/runs/" + accepted.json().path("run").asLong());
        JsonNode run = finished(accepted.header("Location"));
        assertThat(run.path("state").asString()).isEqualTo("done");
        assertThat(run.path("view").asString()).isEqualTo(ItemView.NAME);
        assertThat(run.path("result").has("consumed")).isTrue();
        assertThat(sql.number("SELECT share FROM app.item_fact WHERE id = 7")).isEqualTo(10);
    }

    @Test
    void verifyTellsTheRowsThatDiffer() {
        sql.run("INSERT INTO app.item VALUES (8, 10) ON CONFLICT DO NOTHING");
        finished(instance.post(VIEW + "/refresh").header("Location"));
        assertThat(verified().path("agrees").asBoolean()).isTrue();
        sql.run("UPDATE app.item_fact SET share = 99 WHERE id = 8");
        JsonNode drifted = verified();
        assertThat(drifted.path("agrees").asBoolean()).isFalse();
        assertThat(drifted.path("differences").asInt()).isPositive();
        assertThat(drifted.path("rows").toString()).contains("99");
        sql.run("UPDATE app.item_fact SET share = 10 WHERE id = 8");
    }

    @Test
    void verifyCountsAllRowsThatDifferAndTellsTheFirst() {
        sql.run("CREATE TABLE app.plain (id bigint PRIMARY KEY); INSERT INTO app.plain SELECT generate_series(1, 300)");
        sql.run(
                "CREATE VIEW app.wide_def AS SELECT id, 1 AS one FROM app.plain; SELECT tally.keep('app.wide', 'app.wide_def', '{id}')");
        sql.run("SELECT tally.refresh('app.wide'); UPDATE app.wide SET one = 2");
        JsonNode result = finished(instance.post("/api/views/app.wide/verify").header("Location"))
                .path("result");
        assertThat(result.path("differences").asInt()).isEqualTo(600);
        assertThat(result.path("rows")).hasSize(100);
        sql.run("SELECT tally.drop('app.wide'); DROP VIEW app.wide_def; DROP TABLE app.plain");
    }

    @Test
    void verifyTakesASampleAndNothingElseDoes() {
        JsonNode run = finished(instance.post(VIEW + "/verify?sample=0.5").header("Location"));
        assertThat(run.path("state").asString()).isEqualTo("done");
        assertThat(run.path("sample").asDouble()).isEqualTo(0.5);
        assertProblem(instance.post(VIEW + "/verify?sample=0"), 400, "22023");
        assertProblem(instance.post(VIEW + "/verify?sample=NaN"), 400, "22023");
        assertProblem(instance.post(VIEW + "/refresh?sample=0.5"), 400, "22023");
    }

    @Test
    void runsAreListedPageByPage() {
        for (int i = 0; i < 3; i++) {
            finished(instance.post(VIEW + "/refresh").header("Location"));
        }
        JsonNode first = instance.get("/api/runs?limit=2&fields=id,state").json();
        assertThat(first.path("items").size()).isEqualTo(2);
        JsonNode second = instance.get(first.path("next").asString()).json();
        assertThat(second.path("items").get(0).path("id").asLong())
                .isLessThan(first.path("items").get(1).path("id").asLong());
        assertThat(second.path("items").get(0).propertyNames()).containsExactlyInAnyOrder("id", "state");
    }

    @Test
    void runsAreChosenByViewAndState() {
        finished(instance.post(VIEW + "/refresh").header("Location"));
        JsonNode chosen = instance.get("/api/runs?state=done&limit=1&fields=id,view,state&view=" + ItemView.NAME)
                .json();
        assertThat(chosen.path("items").get(0).path("view").asString()).isEqualTo(ItemView.NAME);
        assertThat(chosen.path("next").asString())
                .contains("&view=" + ItemView.NAME)
                .contains("&state=done");
        assertThat(instance.get("/api/runs?view=app.other").json().path("items"))
                .isEmpty();
        assertProblem(instance.get("/api/runs?state=lost"), 400, "22023");
    }

    @Test
    void aViewTellsWhatItIsMadeOf() {
        JsonNode details = instance.get(VIEW + "/details").json();
        assertThat(details.path("definition").asString()).contains("100 / ");
        assertThat(details.path("key").toString()).isEqualTo("[\"id\"]");
        assertThat(details.path("watched").toString()).isEqualTo("[\"app.item\"]");
        JsonNode source = instance.get(VIEW + "/explain").json().path("items").get(0);
        assertThat(source.path("source").asString()).isEqualTo("app.item");
        assertThat(source.path("reach").asString()).isEqualTo("exact");
        assertThat(instance.get(VIEW + "/quarantine").json().path("items")).isEmpty();
        assertThat(instance.get(VIEW + "/history").json().has("times")).isTrue();
        for (String part : new String[] {"details", "explain", "quarantine", "row?cell=%7B%7D"}) {
            assertProblem(instance.get("/api/views/app.gone/" + part), 404, "TL001");
        }
    }

    @Test
    void aRowIsShownStoredLiveAndByTheDefinition() {
        sql.run("INSERT INTO app.item VALUES (21, 10) ON CONFLICT DO NOTHING");
        finished(instance.post(VIEW + "/refresh").header("Location"));
        sql.run("UPDATE app.item SET n = 5 WHERE id = 21");
        JsonNode rows =
                instance.get(VIEW + "/row?cell=%7B%22id%22%3A21%7D").json().path("items");
        assertThat(rows.toString())
                .isEqualTo("[{\"row\":{\"id\":21,\"share\":10},\"form\":\"stored\"},"
                        + "{\"row\":{\"id\":21,\"share\":20},\"form\":\"live\"},"
                        + "{\"row\":{\"id\":21,\"share\":20},\"form\":\"oracle\"}]");
        assertProblem(instance.get(VIEW + "/row?cell=%7B%22n%22%3A21%7D"), 422, "TL018");
        assertProblem(instance.get(VIEW + "/row?cell=%7B"), 400, "22P02");
        assertProblem(instance.get(VIEW + "/row"), 400, "22023");
    }

    @Test
    void nowIsNotGreenWhileAnAlertFires() {
        sql.run("""
                INSERT INTO control.run (view, action, state, requested_at, started_at, finished_at, instance, result)
                SELECT '%s', 'verify', 'done', t, t, t, 'of old', '{"agrees": true, "differences": 0}' FROM (SELECT now() - interval '4 days' AS t) x
                """.formatted(ItemView.NAME));
        JsonNode now = Eventually.await(
                "the finding is there",
                () -> instance.get("/api/now").json(),
                found -> found.path("findings").toString().contains("app.item_fact has not been verified since"));
        assertThat(now.path("level").asString()).isNotEqualTo("ok");
        sql.run("DELETE FROM control.run WHERE instance = 'of old'");
    }

    @Test
    void nowSaysTheWorst() {
        JsonNode now = instance.get("/api/now").json();
        assertThat(now.path("level").asString()).isIn("ok", "warn", "bad");
        assertThat(now.path("sentence").asString()).isNotEmpty();
        assertThat(view(instance.get("/api/views").json()).path("name").asString())
                .isEqualTo(ItemView.NAME);
        sql.run("INSERT INTO app.item VALUES (22, 0)");
        finished(instance.post(VIEW + "/refresh").header("Location"));
        JsonNode bad = Eventually.await(
                "the key is named",
                () -> instance.get("/api/now").json(),
                found -> found.path("findings").toString().contains("app.item_fact keeps old rows of 1 key"));
        assertThat(bad.path("level").asString()).isEqualTo("bad");
        assertThat(instance.get(VIEW + "/quarantine")
                        .json()
                        .path("items")
                        .get(0)
                        .path("key")
                        .toString())
                .isEqualTo("[22]");
        sql.run("DELETE FROM app.item WHERE id = 22");
        finished(instance.post(VIEW + "/refresh").header("Location"));
    }

    @Test
    void aLongAnswerIsCompressedForWhoeverTakesThat() {
        String token = "Bearer " + TestInstance.token();
        assertThat(instance.getWith("/api/openapi.json", "Authorization", token, "Accept-Encoding", "gzip")
                        .header("Content-Encoding"))
                .isEqualTo("gzip");
        assertThat(instance.get("/api/openapi.json").json().has("paths")).isTrue();
    }

    @Test
    void aTransactionThatIsOverCannotBeEnded() {
        assertThat(instance.get("/api/transactions").json().has("items")).isTrue();
        assertProblem(instance.delete("/api/transactions/1?since=2026-01-01T00:00:00Z"), 404, "02000");
        assertProblem(instance.delete("/api/transactions/1?since=soon"), 400, "22007");
        assertProblem(instance.delete("/api/transactions/1"), 400, "22023");
        assertProblem(instance.delete("/api/transactions/0?since=2026-01-01T00:00:00Z"), 400, "22023");
    }

    @Test
    void aScheduleIsChangedByWhoSawItLast() {
        String etag = instance.get(VIEW).header("ETag");
        TestInstance.Answer changed =
                instance.patch(VIEW + "/schedule", etag, "{\"interval\":\"2 hours\",\"priority\":7}");
        assertThat(changed.status()).isEqualTo(200);
        assertThat(changed.header("ETag")).isNotEqualTo(etag);
        assertThat(changed.json().path("interval_ms").asInt()).isEqualTo(7_200_000);
        assertThat(changed.json().path("priority").asInt()).isEqualTo(7);
        TestInstance.Answer seen = instance.get(VIEW);
        assertThat(seen.header("ETag")).isEqualTo(changed.header("ETag"));
        assertThat(seen.json().path("interval_ms").asInt()).isEqualTo(7_200_000);

        TestInstance.Answer late = instance.patch(VIEW + "/schedule", etag, "{\"priority\":8}");
        assertProblem(late, 412, "TL021");
        assertThat(late.json().path("hint").asString()).contains("GET /api/views");
        assertProblem(instance.patch(VIEW + "/schedule", "W/" + changed.header("ETag"), "{}"), 412, "TL021");
        assertProblem(instance.patch(VIEW + "/schedule", null, "{\"priority\":8}"), 428, "TL021");
        assertThat(instance.get(VIEW).json().path("priority").asInt()).isEqualTo(7);

        TestInstance.Answer reset = instance.patch(VIEW + "/schedule", "*", "{\"interval\":null,\"priority\":null}");
        assertThat(reset.status()).isEqualTo(200);
        assertThat(reset.json().path("interval_ms").isNull()).isTrue();
    }

    @Test
    void aScheduleThatMakesNoSenseIsRefusedAndChangesNothing() {
        String etag = instance.get(VIEW).header("ETag");
        String path = VIEW + "/schedule";
        assertProblem(instance.patch(path, etag, "{\"interval\":\"1 ms\"}"), 422, "TL018");
        assertProblem(instance.patch(path, etag, "{\"tempo\":1}"), 422, "TL018");
        assertProblem(instance.patch(path, etag, "{\"cron\":\"0 0 3 * * ?\"}"), 422, "TL018");
        TestInstance.Answer cron = instance.patch(path, etag, "{\"cron\":\"0 0 25 * * ?\"}");
        assertProblem(cron, 422, "TL018");
        assertThat(cron.json().path("detail").asString()).contains("0 0 25 * * ?");
        assertThat(cron.json().path("hint").asString()).contains("UTC");
        assertProblem(instance.patch(path, etag, "{\"cron\":\"0 0 3 * * ? 2001\"}"), 422, "TL018");
        assertProblem(instance.patch(path, etag, "{\"priority\":"), 400, "22023");
        assertProblem(instance.patch(path, etag, "[]"), 400, "22023");
        assertProblem(instance.patch("/api/views/app.gone/schedule", etag, "{}"), 404, "TL001");
        assertThat(instance.get(VIEW).header("ETag")).isEqualTo(etag);
    }

    @Test
    void theEtagOfAScheduleHidesNothingElse() {
        String etag = instance.get(VIEW).header("ETag");
        assertThat(instance.getUnlessMatching(VIEW, etag).status()).isEqualTo(200);
    }

    @Test
    void theIngestionIsShown() {
        JsonNode ingest = instance.get("/api/ingest").json();
        assertThat(ingest.path("messages").asLong()).isZero();
        assertThat(ingest.path("p99Millis").isNull()).isTrue();
    }

    private static JsonNode verified() {
        return finished(instance.post(VIEW + "/verify").header("Location")).path("result");
    }

    private static JsonNode finished(String location) {
        return Eventually.await(
                "run finished",
                () -> instance.get(location).json(),
                r -> !r.path("finished_at").isNull());
    }

    private static JsonNode view(JsonNode page) {
        for (JsonNode item : page.path("items")) {
            if (ItemView.NAME.equals(item.path("name").asString())) {
                return item;
            }
        }
        throw new AssertionError("no %s in %s".formatted(ItemView.NAME, page));
    }

    private static void assertProblem(TestInstance.Answer answer, int status, String code) {
        assertThat(answer.status()).isEqualTo(status);
        assertThat(answer.header("Content-Type")).startsWith("application/problem+json");
        assertThat(answer.json().path("code").asString()).isEqualTo(code);
        assertThat(answer.json().path("detail").asString()).isNotEmpty();
    }
}
