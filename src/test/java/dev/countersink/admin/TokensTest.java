package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.ItemView;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestInstance;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Named tokens: made, used, revoked; and what the audit log says of those who use them. */
class TokensTest {
    private static final String REFRESH = "/api/views/" + ItemView.NAME + "/refresh";

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
    void aTokenIsToldOnceAndStoredNowhere() {
        TestInstance.Answer made = make("{\"name\":\"told-once\",\"role\":\"reader\"}");
        assertThat(made.status()).isEqualTo(201);
        assertThat(made.header("Location")).isEqualTo("/api/tokens/told-once");
        String token = made.json().path("token").asString();
        assertThat(token).matches("[0-9a-f]{64}");
        assertThat(made.json().path("expires_at").isNull()).isTrue();
        JsonNode listed = instance.get("/api/tokens").json();
        assertThat(listed.toString())
                .contains("told-once", "COUNTERSINK_API_TOKEN")
                .doesNotContain(token);
        assertThat(sql.number("SELECT count(*) FROM control.token WHERE hash = sha256(convert_to('%s', 'UTF8'))"
                        .formatted(token)))
                .isEqualTo(1);
        assertThat(sql.number(
                        "SELECT count(*) FROM control.token t, control.audit a WHERE t::text LIKE '%%%1$s%%' OR a::text LIKE '%%%1$s%%'"
                                .formatted(token)))
                .isZero();
        assertThat(instance.getWithToken("/api/views", token).status()).isEqualTo(200);
        assertThat(instance.getWithToken("/api/session", token).response().body())
                .isEqualTo("{\"signed_in\":true,\"name\":\"told-once\",\"role\":\"reader\"}");
    }

    @Test
    void whatMakesNoSenseIsRefused() {
        make("{\"name\":\"taken\",\"role\":\"reader\"}");
        assertProblem(make("{\"name\":\"taken\",\"role\":\"owner\"}"), 409, "23505");
        assertProblem(make("{\"name\":\"Upper\",\"role\":\"reader\"}"), 400, "22023");
        assertProblem(make("{\"name\":\"COUNTERSINK_API_TOKEN\",\"role\":\"reader\"}"), 400, "22023");
        assertProblem(make("{\"name\":\"x\",\"role\":\"king\"}"), 400, "22023");
        assertProblem(make("{\"name\":\"x\"}"), 400, "22023");
        assertProblem(make("{\"role\":\"reader\"}"), 400, "22023");
        assertProblem(make("{\"name\":\"x\",\"role\":\"reader\",\"expires\":\"soon\"}"), 400, "22023");
        assertProblem(make("{\"name\":\"x\",\"role\":\"reader\",\"expires\":\"2001-01-01T00:00:00Z\"}"), 400, "22023");
        assertProblem(make("[]"), 400, "22023");
        assertProblem(instance.delete("/api/tokens/nobody"), 404, "02000");
    }

    @Test
    void aRevokedTokenStopsWorkingAndSoDoesItsCookie() {
        String token = token("revoked", "operator");
        String cookie = cookie(token);
        assertThat(instance.getWith("/api/views", "Cookie", cookie).status()).isEqualTo(200);
        assertThat(instance.post(REFRESH, new byte[0], "Cookie", cookie, Access.MARK, "dashboard")
                        .status())
                .isEqualTo(202);
        // As another instance would: this one is not told.
        sql.run("SELECT control.revoke_token('revoked')");
        Eventually.await(
                "the token does not work",
                () -> instance.getWithToken("/api/views", token).status(),
                status -> status == 401);
        assertThat(instance.getWith("/api/views", "Cookie", cookie).status()).isEqualTo(401);
        token("revoked", "operator");
        assertThat(instance.getWithToken("/api/views", token).status()).isEqualTo(401);
        assertThat(instance.getWith("/api/views", "Cookie", cookie).status()).isEqualTo(401);
    }

    @Test
    void aTokenOfAnotherInstanceIsKnownAtOnceOrSoon() {
        String token = ApiToken.random();
        sql.run("SELECT control.add_token('elsewhere', 'reader', sha256(convert_to('%s', 'UTF8')), 'x')"
                .formatted(token));
        Eventually.await(
                "known", () -> instance.getWithToken("/api/views", token).status(), status -> status == 200);
    }

    @Test
    void aTokenExpires() {
        Instant end = Instant.now().plus(1, ChronoUnit.HOURS);
        String token = make("{\"name\":\"short\",\"role\":\"reader\",\"expires\":\"%s\"}".formatted(end))
                .json()
                .path("token")
                .asString();
        assertThat(instance.getWithToken("/api/views", token).status()).isEqualTo(200);
        sql.run("UPDATE control.token SET expires_at = clock_timestamp() WHERE name = 'short'");
        Eventually.await(
                "expired", () -> instance.getWithToken("/api/views", token).status(), status -> status == 401);
        assertThat(make("{\"name\":\"short\",\"role\":\"reader\"}").status()).isEqualTo(201);
    }

    @Test
    void theAuditLogSaysWhoDidWhat() {
        String operator = token("audited", "operator");
        long run = instance.send("POST", REFRESH, operator, null, "X-Forwarded-For", "203.0.113.9")
                .json()
                .path("run")
                .asLong();
        instance.send("POST", "/api/views/" + ItemView.NAME + "/rebuild", operator, null);
        instance.send("POST", "/api/views/app.gone/verify?sample=0.5", operator, null);
        instance.send("GET", "/api/views", operator, null);
        JsonNode log = instance.get("/api/audit?who=audited").json();
        assertThat(log.path("items").size()).isEqualTo(3);
        JsonNode gone = log.path("items").get(0);
        assertThat(gone.path("path").asString()).isEqualTo("/api/views/app.gone/verify?sample=0.5");
        assertThat(gone.path("target").asString()).isEqualTo("app.gone");
        assertThat(gone.path("status").asInt()).isEqualTo(404);
        assertThat(log.path("items").get(1).path("status").asInt()).isEqualTo(403);
        JsonNode refresh = log.path("items").get(2);
        assertThat(refresh.path("who").asString()).isEqualTo("audited");
        assertThat(refresh.path("role").asString()).isEqualTo("operator");
        assertThat(refresh.path("method").asString()).isEqualTo("POST");
        assertThat(refresh.path("address").asString()).isEqualTo("127.0.0.1");
        assertThat(refresh.path("status").asInt()).isEqualTo(202);
        assertThat(refresh.path("runs").toString()).isEqualTo("[" + run + "]");
        JsonNode page = instance.get("/api/audit?who=audited&limit=1&fields=id").json();
        assertThat(instance.get(page.path("next").asString())
                        .json()
                        .path("items")
                        .get(0)
                        .path("id"))
                .isEqualTo(log.path("items").get(1).path("id"));
        instance.delete("/api/tokens/audited");
        assertThat(instance.get("/api/audit?limit=1")
                        .json()
                        .path("items")
                        .get(0)
                        .path("target")
                        .asString())
                .isEqualTo("audited");
        assertThat(sql.number("SELECT control.forget_acts('1 day')")).isZero();
    }

    @Test
    void aReaderDoesNotSeeTheStatementsOfOtherRoles() throws Exception {
        String reader = token("looks", "reader");
        String operator = token("operates", "operator");
        sql.run("CREATE ROLE secretive LOGIN PASSWORD 'of-secretive'");
        DbSettings db = service.database();
        try (Sql other = new Sql(DbSettings.of(db.url(), "secretive", "of-secretive"));
                Sql own = new Sql(db)) {
            other.run("BEGIN; SELECT pg_backend_pid() /* theirs */");
            own.run("BEGIN; SELECT pg_backend_pid() /* ours */");
            // They are listed when they are a few seconds old.
            Eventually.await(
                    "both are listed",
                    () -> statements(operator),
                    text -> text.contains("theirs") && text.contains("ours"));
            assertThat(statements(reader)).contains("ours", "secretive hidden").doesNotContain("theirs");
        } finally {
            sql.run("DROP ROLE secretive");
        }
    }

    private static String statements(String token) {
        StringBuilder all = new StringBuilder();
        for (JsonNode row :
                instance.getWithToken("/api/transactions", token).json().path("items")) {
            all.append(row.path("role").asString())
                    .append(' ')
                    .append(
                            row.path("statement").isNull()
                                    ? "hidden"
                                    : row.path("statement").asString())
                    .append('\n');
        }
        return all.toString();
    }

    private static TestInstance.Answer make(String body) {
        return instance.send("POST", "/api/tokens", TestInstance.token(), body);
    }

    private static String token(String name, String role) {
        return make("{\"name\":\"%s\",\"role\":\"%s\"}".formatted(name, role))
                .json()
                .path("token")
                .asString();
    }

    private static String cookie(String token) {
        return instance.send("POST", "/api/session", token, null)
                .header("Set-Cookie")
                .split(";", 2)[0];
    }

    private static void assertProblem(TestInstance.Answer answer, int status, String code) {
        assertThat(answer.status()).as(answer.response().body()).isEqualTo(status);
        assertThat(answer.json().path("code").asString()).isEqualTo(code);
        assertThat(answer.json().path("detail").asString()).isNotEmpty();
    }
}
