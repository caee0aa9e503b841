package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.ingest.Messages;
import dev.countersink.ingest.Rig;
import dev.countersink.ingest.nats.ResultsStream;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.TestInstance;
import io.nats.client.JetStreamManagement;
import io.nats.client.api.ConsumerConfiguration;
import io.nats.client.api.StreamConfiguration;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Results by HTTP, in the form that workers of the motivating system use. */
class ResultIntakeTest {
    private static final String PATH = "/api/v2/jobs/1/result/";
    private static final String[] TOKEN = {"Authorization", "Token " + TestInstance.token()};

    private static Rig rig;
    private static TestInstance instance;

    @BeforeAll
    static void start() {
        rig = new Rig();
        rig.seed(10_000);
        instance = TestInstance.start(
                rig.database(),
                rig.nats(),
                Map.of("countersink.intake.max-body", "1MB", "countersink.intake.max-requests", 1));
    }

    @AfterAll
    static void stop() {
        if (instance != null) {
            instance.close();
        }
        rig.close();
    }

    @Test
    void aListIsAcceptedAndApplied() {
        TestInstance.Answer answer = post(PATH, "[" + usual(1) + "," + usual(2) + "]");
        assertAccepted(answer, 2, 0);
        assertThat(answer.json().path("status").asString()).isEqualTo("accepted");
        assertThat(answer.json().path("job_id").asLong()).isEqualTo(1);
        awaitProcessed(1, 1, 2);
    }

    @Test
    void soIsAnObjectWithResultsWithoutTheLastSlashAndWithEitherScheme() {
        byte[] body = Messages.bytes("{\"results\":[" + usual(11) + "]}");
        String path = "/api/v2/jobs/2/result";
        assertAccepted(instance.post(path, body, "Authorization", "Bearer " + TestInstance.token()), 1, 0);
        awaitProcessed(2, 11, 11);
        assertAccepted(instance.post(path, Messages.bytes("[]"), TOKEN), 0, 0);
        assertThat(instance.post(path, body, "Authorization", "Basic " + TestInstance.token())
                        .status())
                .isEqualTo(401);
        assertThat(instance.post(path, body).status()).isEqualTo(401);
    }

    @Test
    void anEnvelopeAndAnErrorAreResultsToo() {
        assertAccepted(
                post(
                        PATH,
                        "[" + Messages.envelope("_INBOX.nobody", usual(21)) + "," + Messages.error(22, "blurred")
                                + "]"),
                2,
                0);
        awaitProcessed(1, 21, 21);
        Eventually.await(
                "the failure is stored",
                () -> rig.number(
                        "SELECT count(*) FROM results.job_capture WHERE capture_id = 22 AND status = 'failed'"),
                n -> n == 1);
    }

    /** They would be applied there, to a job that only has the same number. */
    @Test
    void resultsAreRefusedWhileTheStreamsMessagesGoToAnotherDatabase() throws Exception {
        JetStreamManagement streams = rig.management();
        Eventually.await(
                "the stream has an owner",
                () -> streams.getConsumerNames(ResultsStream.NAME),
                names -> names.contains(ResultsStream.OWNER));
        streams.addOrUpdateConsumer(
                ResultsStream.NAME,
                ConsumerConfiguration.builder(streams.getConsumerInfo(ResultsStream.NAME, ResultsStream.OWNER)
                                .getConsumerConfiguration())
                        .description("archive, 1/2")
                        .build());
        TestInstance.Answer answer =
                Eventually.await("it is refused", () -> post(PATH, "[]"), given -> given.status() != 202);
        assertProblem(answer, 503, "08006");
        assertThat(answer.json().path("detail").asString()).contains("archive, 1/2");
        streams.deleteConsumer(ResultsStream.NAME, ResultsStream.OWNER);
        Eventually.await("it is taken", () -> post(PATH, "[]"), given -> given.status() == 202);
    }

    @Test
    void aBrokenEntryIsNamedAndLosesNoOther() {
        TestInstance.Answer answer =
                post(PATH, "[" + usual(31) + ",{\"pipeline\": tru},7," + usual(32) + ",{\"a\":[1}," + usual(33) + "]");
        assertAccepted(answer, 3, 3);
        JsonNode rejected = answer.json().path("rejected");
        assertThat(IntStream.range(0, rejected.size())
                        .map(i -> rejected.get(i).path("index").asInt()))
                .containsExactly(1, 2, 4);
        rejected.forEach(entry -> {
            assertThat(entry.path("code").asString()).isEqualTo("RS010");
            assertThat(entry.path("detail").asString()).startsWith("The message cannot be decoded: ");
        });
        awaitProcessed(1, 31, 33);
    }

    @Test
    void aBodyOfWhichNothingCanBeReadIsAProblem() {
        for (String body : new String[] {"", "7", "{}", "[{]", "{\"results\":{}}"}) {
            TestInstance.Answer answer = post(PATH, body);
            assertProblem(answer, 400, "22023");
            assertThat(answer.json().path("results_queued").asLong()).isZero();
        }
        assertThat(post(PATH, "[{]")
                        .json()
                        .path("rejected")
                        .get(0)
                        .path("index")
                        .asInt())
                .isZero();
    }

    @Test
    void aRequestHasOneRowInTheAuditLogHoweverManyResultsItHas() {
        assertAccepted(post("/api/v2/jobs/3/result", "[" + usual(45) + "," + usual(46) + "," + usual(47) + "]"), 3, 0);
        assertProblem(post("/api/v2/jobs/998/result", "[" + usual(45) + "]"), 404, "RS001");
        Eventually.await(
                "both are noted",
                () -> rig.rows("SELECT concat_ws(' ', who, method, target, status) FROM control.audit"
                                + " WHERE path IN ('/api/v2/jobs/3/result', '/api/v2/jobs/998/result') ORDER BY id")
                        .toString(),
                "[[COUNTERSINK_API_TOKEN POST 3 202], [COUNTERSINK_API_TOKEN POST 998 404]]"::equals);
    }

    @Test
    void anUnknownJobIsAProblem() {
        assertProblem(post("/api/v2/jobs/999/result/", "[" + usual(41) + "]"), 404, "RS001");
        assertProblem(post("/api/v2/jobs/one/result/", "[]"), 400, "22023");
    }

    @Test
    void aBodyMayBeCompressed() throws IOException {
        ByteArrayOutputStream gzip = new ByteArrayOutputStream();
        try (GZIPOutputStream out = new GZIPOutputStream(gzip)) {
            out.write(Messages.bytes("[" + usual(51) + "]"));
        }
        assertAccepted(instance.post(PATH, gzip.toByteArray(), with("Content-Encoding", "gzip")), 1, 0);
        awaitProcessed(1, 51, 51);
        assertProblem(
                instance.post(PATH, Messages.bytes("[" + usual(51) + "]"), with("Content-Encoding", "gzip")),
                400,
                "RS010");
        assertProblem(instance.post(PATH, Messages.bytes("[]"), with("Content-Encoding", "br")), 415, "RS010");
    }

    @Test
    void aBodyThatIsTooLargeIsAProblemThatNamesTheSetting() {
        String large = "[\"" + "x".repeat(1_100_000) + "\"]";
        TestInstance.Answer answer = post(PATH, large);
        assertProblem(answer, 413, "RS012");
        assertThat(answer.json().path("detail").asString()).contains("COUNTERSINK_INTAKE_MAX_BODY");
        assertThat(answer.json().path("hint").asString()).contains("several requests");
    }

    @Test
    void manyResultsAreAllConfirmed() {
        String list =
                IntStream.range(100, 1100).mapToObj(ResultIntakeTest::usual).collect(Collectors.joining(",", "[", "]"));
        assertAccepted(instance.post("/api/v2/jobs/3/result/", Messages.bytes(list), TOKEN), 1000, 0);
        awaitProcessed(3, 100, 1099);
    }

    @Test
    void aFullStreamAsksTheSenderToWait() throws Exception {
        StreamConfiguration before =
                rig.management().getStreamInfo(ResultsStream.NAME).getConfiguration();
        rig.management()
                .updateStream(StreamConfiguration.builder(before).maxBytes(200).build());
        try {
            TestInstance.Answer answer = post(PATH, "[" + usual(61) + "]");
            assertProblem(answer, 429, "53100");
            assertThat(Integer.parseInt(answer.header("Retry-After"))).isPositive();
        } finally {
            rig.management().updateStream(before);
        }
        assertAccepted(post(PATH, "[" + usual(61) + "]"), 1, 0);
        awaitProcessed(1, 61, 61);
    }

    private static String usual(int capture) {
        return Messages.result(capture, Messages.detection(capture, 1, Messages.classification("Moth", 0.75)));
    }

    private static TestInstance.Answer post(String path, String body) {
        return instance.post(path, Messages.bytes(body), TOKEN);
    }

    private static String[] with(String name, String value) {
        return new String[] {TOKEN[0], TOKEN[1], name, value};
    }

    private static void awaitProcessed(int job, int first, int last) {
        Eventually.await(
                "captures " + first + " to " + last + " are processed",
                () -> rig.number("SELECT count(*) FROM results.job_capture WHERE status = 'processed' AND job_id = "
                        + job + " AND capture_id BETWEEN " + first + " AND " + last),
                n -> n == last - first + 1);
    }

    private static void assertAccepted(TestInstance.Answer answer, int queued, int rejected) {
        assertThat(answer.response().body()).isNotEmpty();
        assertThat(answer.status()).as(answer.response().body()).isEqualTo(202);
        assertThat(answer.json().path("results_queued").asInt()).isEqualTo(queued);
        assertThat(answer.json().path("results_rejected").asInt()).isEqualTo(rejected);
    }

    private static void assertProblem(TestInstance.Answer answer, int status, String code) {
        assertThat(answer.status()).as(answer.response().body()).isEqualTo(status);
        assertThat(answer.header("Content-Type")).startsWith("application/problem+json");
        assertThat(answer.json().path("code").asString()).isEqualTo(code);
        assertThat(answer.json().path("hint").asString()).isNotEmpty();
    }
}
