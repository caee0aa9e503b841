package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.ItemView;
import dev.countersink.testing.RawHttp;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestInstance;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Whatever is sent, an error is a problem document with its right status: never a page, never a 401 with the token, never a 500. */
class HttpErrorsTest {
    private static final List<String> PAGES = List.of("text/html", "text/javascript", "text/css", "image/svg+xml");

    private static final String TOKEN = "Authorization: Bearer " + TestInstance.token() + "\r\n";
    private static final int REQUESTS = Integer.getInteger("countersink.fuzz.requests", 5000);

    private static final int CLIENTS = 8;
    private static final int MOST_BYTES = 64 * 1024;

    private static ItemService service;
    private static Sql sql;
    private static TestInstance instance;

    @BeforeAll
    static void start() throws Exception {
        service = new ItemService(Map.of("countersink.api.failures", 0, "countersink.api.max-body", "64KB"));
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
    void aQueryThatCannotBeDecodedIsABadRequest() throws IOException {
        assertProblem(get("/api/runs?limit=%zz", TOKEN), 400, "22023");
        assertProblem(get("/api/runs?limit=%", TOKEN), 400, "22023");
        assertProblem(get("/api/runs;x=%zz", TOKEN), 400, "22023");
        assertProblem(get("/actuator/prometheus?x%00&", TOKEN), 400, "22023");
        assertThat(get("/api/runs/1?x=%zz", TOKEN).status()).isEqualTo(404);
    }

    @Test
    void oddPathsAreNotThere() throws IOException {
        for (String path : List.of(
                "/error",
                "/api/views/a%25b",
                "/api/views/a%2Fb",
                "/api/views/a%5Cb",
                "/api/views/a%3Bb",
                "/api/views/x;y=1",
                "/api/nothing;x",
                "//api//nothing",
                "/api/views/%22odd%22",
                "/api/views/%C3%A9",
                "/api/views/a.b.c.d.e",
                "/api/views/%22",
                "/api/views/%20",
                "/api%2Fviews%2F")) {
            RawHttp.Reply reply = get(path, TOKEN);
            assertThat(reply.status()).as(path + ": " + reply.body()).isEqualTo(404);
            assertProblem(reply, 404, null);
        }
    }

    @Test
    void aViewIsReachedByItsNameWhateverIsInIt() throws IOException {
        sql.run("CREATE SCHEMA IF NOT EXISTS \"o;d/d\"");
        sql.run("CREATE VIEW \"o;d/d\".\"50%_def\" AS SELECT id, count(*) AS n FROM app.item GROUP BY id");
        sql.run("SELECT tally.keep('\"o;d/d\".\"50%\"', '\"o;d/d\".\"50%_def\"', ARRAY['id'])");
        RawHttp.Reply reply = get("/api/views/%22o%3Bd%2Fd%22.%2250%25%22", TOKEN);
        assertThat(reply.status()).as(reply.body()).isEqualTo(200);
        assertThat(json(reply).path("name").asString()).isEqualTo("\"o;d/d\".\"50%\"");
        sql.run("SELECT tally.drop('\"o;d/d\".\"50%\"')");
        sql.run("DROP SCHEMA \"o;d/d\" CASCADE");
    }

    @Test
    void whatTomcatRefusesIsAProblemToo() throws IOException {
        String host = "Host: x\r\n";
        assertProblem(get("/api/views/%00", TOKEN), 400, "22023");
        assertProblem(get("/api/<views>", TOKEN), 400, "22023");
        assertProblem(get("/api/views", TOKEN + "X-Long: " + "a".repeat(20_000) + "\r\n"), 400, "22023");
        assertProblem(get("/api/" + "a".repeat(20_000), TOKEN), 400, "22023");
        assertProblem(send("TRACE /api/views HTTP/1.1\r\n" + host + TOKEN + "\r\n"), 405, "22023");
        assertProblem(send("CONNECT x:1 HTTP/1.1\r\n" + host + TOKEN + "\r\n"), 501, null);
        assertProblem(send("FOO /api/views HTTP/1.1\r\n" + host + TOKEN + "\r\n"), 405, "22023");
        assertProblem(send("GET /api/views HTTP/9.1\r\n" + host + TOKEN + "\r\n"), 505, null);
        assertProblem(send("GET /api/views HTTP/1.1\r\n" + TOKEN + "\r\n"), 400, "22023");
        assertProblem(send("GET /api/views HTTP/1.1\r\nHost: a b\r\n" + TOKEN + "\r\n"), 400, "22023");
        assertProblem(get("/api/views", TOKEN + "Transfer-Encoding: foo\r\n"), 501, null);
        assertProblem(get("/api/views", TOKEN + "Content-Length: -1\r\n"), 400, "22023");
    }

    @Test
    void aBodyThatWouldFillTheMemoryIsRefused() throws IOException {
        String begin = "PATCH /api/views/" + ItemView.NAME + "/schedule HTTP/1.1\r\nHost: x\r\nIf-Match: *\r\n" + TOKEN
                + "Content-Type: application/json\r\n";
        String large = "{\"interval\":\"" + "9".repeat(MOST_BYTES) + "\"}";
        assertProblem(
                send(begin + "Transfer-Encoding: chunked\r\n\r\n" + Integer.toHexString(large.length()) + "\r\n" + large
                        + "\r\n0\r\n\r\n"),
                413,
                "54000");
        assertProblem(send(begin + "Content-Length: 1000000000\r\n\r\n{"), 413, "54000");
        String fits = "{\"interval\":\"" + "9".repeat(MOST_BYTES / 2) + "\"}";
        assertProblem(send(begin + "Content-Length: " + fits.length() + "\r\n\r\n" + fits), 422, "TL018");
    }

    @Test
    void nobodyIsAskedForABodyThatIsNotRead() throws IOException {
        String request = "PATCH /api/views/" + ItemView.NAME + "/schedule HTTP/1.1\r\nHost: x\r\nIf-Match: *\r\n%s"
                + "Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 14\r\n\r\n";
        assertProblem(send(request.formatted("")), 401, "28000");
        try (Socket socket = RawHttp.connect(instance.port())) {
            socket.getOutputStream().write(request.formatted(TOKEN).getBytes(StandardCharsets.US_ASCII));
            String asked = "HTTP/1.1 100";
            assertThat(new String(socket.getInputStream().readNBytes(asked.length()), StandardCharsets.US_ASCII))
                    .isEqualTo(asked);
            socket.getOutputStream().write("{\"priority\":0}".getBytes(StandardCharsets.US_ASCII));
            socket.shutdownOutput();
            assertThat(new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
                    .contains("HTTP/1.1 200", "\"priority\":0");
        }
    }

    @Test
    void nothingWasAtWorkAtATimeThatNoClockHasShown() throws IOException {
        for (String time : List.of("-999999999-01-01T00:00:00Z", "2020-01-01T00:00:00Z")) {
            RawHttp.Reply reply = get("/api/now/at?time=" + time, TOKEN);
            assertThat(reply.status()).as(reply.body()).isEqualTo(200);
            assertThat(reply.body()).contains("\"merges\":[],\"runs\":[]");
        }
        RawHttp.Reply late = get("/api/now/at?time=%2B999999999-12-31T23:59:59Z", TOKEN);
        assertThat(late.status()).as(late.body()).isEqualTo(400);
        assertThat(get("/api/runs?since=-999999999-01-01T00:00:00Z", TOKEN).status())
                .isEqualTo(400);
    }

    @Test
    void whatIsWrongIsSaidInTheWordsOfTheRequest() throws IOException {
        assertThat(json(get("/api/views/a.b/explode", TOKEN)).path("detail").asString())
                .isEqualTo("There is nothing at this path.");
        assertThat(json(get("/api/runs?after=1e3", TOKEN)).path("detail").asString())
                .isEqualTo("after is '1e3', which cannot be read.");
        assertThat(json(get("/api/runs/x", TOKEN)).path("detail").asString())
                .isEqualTo("id is 'x', which cannot be read.");
        String body = "{\"priority\":NaN}";
        JsonNode problem = json(
                send("PATCH /api/views/" + ItemView.NAME + "/schedule HTTP/1.1\r\nHost: x\r\nIf-Match: *\r\n" + TOKEN
                        + "Content-Type: application/json\r\nContent-Length: " + body.length() + "\r\n\r\n" + body));
        assertThat(problem.path("detail").asString())
                .isEqualTo("The body of the request is not the JSON that is expected here.");
        assertThat(problem.path("hint").asString()).contains("/api/openapi.json");
    }

    @Test
    void anErrorIsAProblemWhateverIsAccepted() throws IOException {
        for (String accept : List.of("text/html", "application/xml", "image/*", "nonsense", "*/*;q=x", "")) {
            RawHttp.Reply reply = get("/api/runs/999999", TOKEN + "Accept: " + accept + "\r\n");
            assertThat(reply.header("Content-Type")).as(accept).startsWith("application/problem+json");
        }
    }

    @Test
    void withoutATokenNothingIsTold() throws IOException {
        for (String path : List.of("/api/views", "/error", "/api/nothing", "/api/views;x", "/api/views/a%2Fb?x=%zz")) {
            assertProblem(get(path, ""), 401, "28000");
        }
    }

    @Test
    void randomRequestsAreAnsweredAsTheyShould() throws Exception {
        long seed = Long.getLong("countersink.seed", System.nanoTime());
        System.out.println("random requests: -Dcountersink.seed=" + seed);
        OddRequests requests = new OddRequests(new Random(seed), ItemView.NAME, tokens());
        ExecutorService clients = Executors.newFixedThreadPool(CLIENTS);
        int failed = 0;
        try {
            List<Future<Boolean>> answers = new ArrayList<>();
            for (int i = 0; i < REQUESTS; i++) {
                OddRequests.Request request = requests.next();
                String shown = "seed " + seed + ", request " + i + ": " + request;
                answers.add(clients.submit(() -> isRefused(request, shown)));
            }
            for (Future<Boolean> answer : answers) {
                failed += answer.get() ? 1 : 0;
            }
        } finally {
            clients.shutdownNow();
        }
        assertThat(failed).as("answers that are errors").isBetween(REQUESTS / 10, REQUESTS - REQUESTS / 100);
        assertThat(sql.text("""
                SELECT coalesce(string_agg(DISTINCT role || ' ' || method || ' ' || path, ', '), '') FROM control.audit
                WHERE status < 400 AND path !~ '^/*(http://elsewhere/+)?api/session'
                      AND (role = 'reader' OR role = 'operator' AND path ~ '/(tokens|rebuild)')""")).as("done without the role for it").isEmpty();
        // Some did reach the roles. Few of an operator's are forbidden; RolesTest tries each.
        assertThat(sql.number("SELECT count(*) FROM control.audit WHERE status = 403"))
                .isPositive();
    }

    private static Map<OddRequests.Sender, String> tokens() {
        Map<OddRequests.Sender, String> tokens = new EnumMap<>(OddRequests.Sender.class);
        for (Role role : Role.values()) {
            String made = "{\"name\":\"fuzz-%1$s\",\"role\":\"%1$s\"}".formatted(role);
            tokens.put(
                    OddRequests.Sender.valueOf(role.name()),
                    instance.send("POST", "/api/tokens", TestInstance.token(), made)
                            .json()
                            .path("token")
                            .asString());
        }
        return tokens;
    }

    /** Sends a request, and sees that its answer is as it should be; whether that is an error. */
    private static boolean isRefused(OddRequests.Request request, String sent) throws IOException {
        RawHttp.Reply reply = RawHttp.send(instance.port(), request.bytes());
        String shown = sent + "\n-> " + reply;
        assertThat(reply.status()).as(shown).isBetween(200, 505).isNotIn(500, 502, 503, 504);
        // Tomcat answers this ping itself, without a body, before anything of ours sees it.
        if ("OPTIONS".equals(request.method())
                && request.path().split("[?\\s]", 2)[0].equals("*")) {
            return false;
        }
        if (request.sender().mayCall()) {
            assertThat(reply.status()).as(shown).isNotEqualTo(401);
        } else if (!request.path().contains("health") && !isOpen(reply)) {
            assertThat(reply.status()).as(shown).isGreaterThanOrEqualTo(400);
        }
        if (reply.status() < 400) {
            return false;
        }
        assertThat(reply.header("Content-Type")).as(shown).startsWith("application/problem+json");
        if (!"HEAD".equals(request.method())) {
            JsonNode problem = json(reply);
            assertThat(problem.path("status").asInt()).as(shown).isEqualTo(reply.status());
            assertThat(problem.path("detail").asString()).as(shown).isNotEmpty();
            assertThat(problem.path("code").asString()).as(shown).hasSize(5);
        }
        return true;
    }

    /**
     * The page on which one signs in and its files, the description of the API, which methods it takes, or the answer that nobody is signed in: nothing else
     * is given to anybody.
     */
    private static boolean isOpen(RawHttp.Reply reply) {
        return reply.status() == 304
                || reply.status() == 200
                        && reply.body().isEmpty()
                        && reply.header("Allow").equals("GET,HEAD,OPTIONS")
                || reply.status() == 200
                        && (PAGES.contains(reply.header("Content-Type").replaceFirst(";.*", ""))
                                || reply.body().equals("{\"signed_in\":false}")
                                || reply.body().startsWith("{\n  \"openapi\":"));
    }

    private static RawHttp.Reply get(String path, String headers) throws IOException {
        return send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
    }

    private static RawHttp.Reply send(String request) throws IOException {
        return RawHttp.send(instance.port(), request.getBytes(StandardCharsets.UTF_8));
    }

    private static void assertProblem(RawHttp.Reply reply, int status, String code) {
        assertThat(reply.status()).as(reply.toString()).isEqualTo(status);
        assertThat(reply.header("Content-Type")).startsWith("application/problem+json");
        JsonNode problem = json(reply);
        assertThat(problem.path("status").asInt()).isEqualTo(status);
        assertThat(problem.path("detail").asString()).isNotEmpty();
        assertThat(problem.path("hint").asString()).isNotEmpty();
        if (code != null) {
            assertThat(problem.path("code").asString()).isEqualTo(code);
        }
    }

    private static JsonNode json(RawHttp.Reply reply) {
        return JsonMapper.shared().readTree(reply.body());
    }
}
