package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.ingest.Messages;
import dev.countersink.ingest.Rig;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestInstance;
import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Dead letters of a running instance, replayed over its API. */
class ReplayTest {
    private static final String LETTER =
            "SELECT id, sqlstate, attempts, replayed_at IS NOT NULL FROM results.dead_letter";

    /** What messages write, without ids. */
    private static final String WRITTEN = """
            SELECT d.capture_id, d.bbox::text, d.crop_url, t.name, k.score, o.determination_score, j.job_id, j.status
            FROM results.detection d LEFT JOIN results.occurrence o ON o.id = d.occurrence_id
            LEFT JOIN results.classification k ON k.detection_id = d.id LEFT JOIN results.taxon t ON t.id = k.taxon_id
            LEFT JOIN results.job_capture j ON j.capture_id = d.capture_id ORDER BY d.capture_id, d.bbox, k.score""";

    private static Rig rig;
    private static TestInstance instance;

    @BeforeAll
    static void start() {
        rig = new Rig();
        rig.seed(100);
        instance = TestInstance.start(rig.database(), rig.nats());
    }

    @AfterAll
    static void stop() throws Exception {
        for (AutoCloseable started : Arrays.asList(instance, rig)) {
            if (started != null) {
                started.close();
            }
        }
    }

    @BeforeEach
    void empty() {
        rig.execute("TRUNCATE results.dead_letter; DELETE FROM results.detection; DELETE FROM results.occurrence;"
                + " DELETE FROM results.job_capture; DELETE FROM results.job WHERE id > 3");
    }

    @Test
    void aReplayedMessageLeavesWhatAFreshOneLeaves() throws Exception {
        String message = Messages.result(
                7,
                Messages.detection(7, 1, Messages.classification("Vanessa", 0.85)),
                Messages.detection(7, 2, Messages.classification("Moth", 0.75)));
        rig.publish("results.9", gzip(message), "gzip");
        long id = deadLetter("RS001");
        rig.execute("INSERT INTO results.job (id, project_id, pipeline_id) VALUES (9, 1, 1)");
        JsonNode run = replayed(id);
        assertThat(run.path("state").asString()).isEqualTo("done");
        assertThat(run.path("action").asString()).isEqualTo("replay");
        assertThat(run.path("dead_letter").asLong()).isEqualTo(id);
        assertThat(rig.rows(LETTER)).containsExactly(List.of(id, "RS001", 1, true));
        List<List<Object>> written = rig.rows(WRITTEN);
        assertThat(written).hasSize(2);

        // Replayed again, it finds its own rows.
        assertThat(replayed(id).path("state").asString()).isEqualTo("done");
        assertThat(rig.rows(WRITTEN)).isEqualTo(written);
        assertThat(rig.number("SELECT count(*) FROM results.occurrence")).isEqualTo(2);
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isOne();

        empty();
        rig.execute("INSERT INTO results.job (id, project_id, pipeline_id) VALUES (9, 1, 1)");
        rig.publish("results.9", message);
        rig.awaitFinished();
        assertThat(rig.rows(WRITTEN)).isEqualTo(written);
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
    }

    @Test
    void aMessageThatIsRejectedAgainKeepsTheNewReason() throws Exception {
        rig.publish("results.9", Messages.result(999));
        long id = deadLetter("RS001");
        rig.execute("INSERT INTO results.job (id, project_id, pipeline_id) VALUES (9, 1, 1)");
        JsonNode run = replayed(id);
        assertThat(run.path("state").asString()).isEqualTo("failed");
        assertThat(run.path("code").asString()).isEqualTo("RS004");
        assertThat(run.path("error").asString()).contains("999");
        assertThat(run.path("hint").asString()).contains("Load the capture");
        assertThat(rig.rows(LETTER)).containsExactly(List.of(id, "RS004", 2, false));
        rig.execute("INSERT INTO results.capture (id, project_id, deployment_id, path) VALUES (999, 1, 1, 'late.jpg')");
        assertThat(replayed(id).path("state").asString()).isEqualTo("done");
        assertThat(rig.rows(LETTER)).containsExactly(List.of(id, "RS004", 2, true));
        assertThat(rig.number("SELECT count(*) FROM results.detection WHERE capture_id = 999 AND bbox IS NULL"))
                .isOne();
    }

    @Test
    void bytesThatAreNoMessageStayOne() throws Exception {
        rig.publish("results.1", new byte[] {(byte) 0xff, 0, 'A'}, null);
        long id = deadLetter("RS010");
        assertThat(replayed(id).path("code").asString()).isEqualTo("RS010");
        assertThat(rig.rows(LETTER)).containsExactly(List.of(id, "RS010", 2, false));
    }

    @Test
    void itsBytesAreGivenAndItCanBeDiscarded() throws Exception {
        rig.publish("results.1", "no JSON, é");
        String letter = "/api/dead-letters/" + deadLetter("RS010");
        TestInstance.Answer payload = instance.get(letter + "/payload");
        assertThat(payload.status()).isEqualTo(200);
        assertThat(payload.header("Content-Type")).isEqualTo("application/octet-stream");
        assertThat(payload.header("Content-Disposition")).startsWith("attachment");
        assertThat(payload.response().body()).isEqualTo("no JSON, é");
        assertThat(instance.delete(letter).status()).isEqualTo(204);
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
        for (TestInstance.Answer gone : List.of(
                instance.get(letter + "/payload"), instance.delete(letter), instance.post(letter + "/replay"))) {
            assertThat(gone.status()).isEqualTo(404);
            assertThat(gone.json().path("code").asString()).isEqualTo("RS030");
        }
    }

    @Test
    void whatOnlyTheDatabaseRefusesIsRecordedToo() throws Exception {
        rig.execute("ALTER TABLE results.detection ADD CONSTRAINT poison CHECK (crop_url NOT LIKE '%/66-%')");
        try {
            rig.publish("results.1", Messages.result(66, Messages.detection(66, 1)));
            long id = deadLetter("23514");
            assertThat(replayed(id).path("error").asString()).contains("poison");
            assertThat(rig.rows(LETTER)).containsExactly(List.of(id, "23514", 2, false));
        } finally {
            rig.execute("ALTER TABLE results.detection DROP CONSTRAINT poison");
        }
    }

    @Test
    void aFailureThatIsNotTheMessagesLeavesTheDeadLetterAsItWas() throws Exception {
        rig.publish("results.9", Messages.result(5, Messages.detection(5, 1)));
        long id = deadLetter("RS001");
        rig.execute("INSERT INTO results.job (id, project_id, pipeline_id) VALUES (9, 1, 1);"
                + " ALTER FUNCTION results.analyze_stage() RENAME TO analyze_stage_away");
        try {
            JsonNode run = replayed(id);
            assertThat(run.path("state").asString()).isEqualTo("failed");
            assertThat(run.path("code").asString()).isEqualTo("42883");
            assertThat(rig.rows(LETTER)).containsExactly(List.of(id, "RS001", 1, false));
        } finally {
            rig.execute("ALTER FUNCTION results.analyze_stage_away() RENAME TO analyze_stage");
        }
        assertThat(replayed(id).path("state").asString()).isEqualTo("done");
    }

    @Test
    void manyReplaysOfOneAtOnceLeaveItOnce() throws Exception {
        rig.publish("results.9", Messages.result(8, Messages.detection(8, 1, Messages.classification("Moth", 0.9))));
        long id = deadLetter("RS001");
        rig.execute("INSERT INTO results.job (id, project_id, pipeline_id) VALUES (9, 1, 1)");
        List<String> runs = IntStream.range(0, 8).mapToObj(i -> requested(id)).toList();
        for (String run : runs) {
            assertThat(finished(run).path("state").asString()).isEqualTo("done");
        }
        assertThat(rig.number("SELECT count(*) FROM results.detection")).isOne();
        assertThat(rig.number("SELECT count(*) FROM results.occurrence")).isOne();
        assertThat(rig.rows(LETTER)).containsExactly(List.of(id, "RS001", 1, true));
    }

    /** Those that were replayed long ago do not stand before them. */
    @Test
    void thoseThatWaitAreFoundByTheirReasonAndReplayedTogether() throws Exception {
        for (int i = 1; i <= 3; i++) {
            rig.publish("results.9", Messages.result(i));
        }
        rig.awaitFinished();
        rig.execute("UPDATE results.dead_letter SET replayed_at = now()");
        for (int i = 4; i <= 8; i++) {
            rig.publish("results.9", Messages.result(i));
        }
        rig.publish("results.1", "no JSON");
        rig.awaitFinished();
        JsonNode open = instance.get("/api/dead-letters?state=open&limit=4&fields=id,sqlstate")
                .json();
        assertThat(open.path("items")).hasSize(4);
        assertThat(open.path("next").asString()).contains("&state=open");
        assertThat(instance.get(open.path("next").asString()).json().path("items"))
                .hasSize(2);
        assertThat(instance.get("/api/dead-letters").json().path("items")).hasSize(9);
        assertThat(instance.get("/api/dead-letters?sqlstate=RS010").json().path("items"))
                .hasSize(1);
        assertThat(instance.get("/api/dead-letters/reasons")
                        .json()
                        .path("items")
                        .toString())
                .startsWith("[{\"reason\":\"There is no job 9.\",\"letters\":5,\"sqlstate\":\"RS001\"}");
        assertThat(instance.get("/api/dead-letters?state=lost").status()).isEqualTo(400);

        rig.execute("INSERT INTO results.job (id, project_id, pipeline_id) VALUES (9, 1, 1)");
        String path = "/api/dead-letters/replay?sqlstate=RS001&limit=3";
        TestInstance.Answer first = instance.post(
                path,
                new byte[0],
                "Authorization",
                "Bearer " + TestInstance.token(),
                "Idempotency-Key",
                "those of job 9");
        assertThat(first.status()).isEqualTo(202);
        JsonNode runs = first.json().path("runs");
        assertThat(runs).hasSize(3);
        for (JsonNode run : runs) {
            assertThat(finished(run.path("location").asString()).path("state").asString())
                    .isEqualTo("done");
        }
        assertThat(instance.post(
                                path,
                                new byte[0],
                                "Authorization",
                                "Bearer " + TestInstance.token(),
                                "Idempotency-Key",
                                "those of job 9")
                        .json())
                .isEqualTo(first.json());
        JsonNode rest = instance.post(first.json().path("next").asString()).json();
        assertThat(rest.path("runs")).hasSize(2);
        assertThat(rest.path("next").isNull()).isTrue();
        for (JsonNode run : rest.path("runs")) {
            finished(run.path("location").asString());
        }
        assertThat(rig.rows("SELECT sqlstate FROM results.dead_letter WHERE replayed_at IS NULL"))
                .containsExactly(List.of("RS010"));
    }

    @Test
    void aDeadLetterThatIsNotThereIsAProblem() {
        TestInstance.Answer answer = instance.post("/api/dead-letters/999999/replay");
        assertThat(answer.status()).isEqualTo(404);
        assertThat(answer.json().path("code").asString()).isEqualTo("RS030");
        assertThat(instance.post("/api/dead-letters/one/replay").status()).isEqualTo(400);
    }

    @Test
    void oneThatIsDeletedMeanwhileFailsTheRun() throws Exception {
        rig.publish("results.9", Messages.result(8));
        long id = deadLetter("RS001");
        try (Sql sql = new Sql(rig.database())) {
            // Keeps the row locked until the run waits for it.
            sql.run("BEGIN; DELETE FROM results.dead_letter");
            String run = requested(id);
            Eventually.await(
                    "the replay waits",
                    () -> rig.number(
                            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"),
                    waiting -> waiting > 0);
            sql.run("COMMIT");
            assertThat(finished(run).path("code").asString()).isEqualTo("RS030");
        }
    }

    private static long deadLetter(String sqlstate) {
        rig.awaitFinished();
        List<List<Object>> letters = rig.rows(LETTER);
        assertThat(letters).hasSize(1);
        assertThat(letters.get(0).get(1)).isEqualTo(sqlstate);
        return (long) letters.get(0).get(0);
    }

    private static JsonNode replayed(long id) {
        return finished(requested(id));
    }

    private static String requested(long id) {
        TestInstance.Answer accepted = instance.post("/api/dead-letters/" + id + "/replay");
        assertThat(accepted.status()).isEqualTo(202);
        assertThat(accepted.header("Location"))
                .isEqualTo("/api/runs/" + accepted.json().path("run").asLong());
        return accepted.header("Location");
    }

    private static JsonNode finished(String location) {
        return Eventually.await(
                "run finished",
                () -> instance.get(location).json(),
                r -> !r.path("finished_at").isNull());
    }

    private static byte[] gzip(String text) throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (GZIPOutputStream zip = new GZIPOutputStream(bytes)) {
            zip.write(Messages.bytes(text));
        }
        return bytes.toByteArray();
    }
}
