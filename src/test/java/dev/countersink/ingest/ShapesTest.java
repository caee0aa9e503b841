package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.MessageSettings;
import dev.countersink.ingest.message.MessageDecoder;
import io.nats.client.Subscription;
import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.springframework.util.unit.DataSize;

/** The forms of messages besides a single result. */
class ShapesTest {
    private static final String DEAD =
            "SELECT sqlstate, reason, convert_from(payload, 'UTF8') FROM results.dead_letter ORDER BY reason";

    @AutoClose
    private final Rig rig = Rig.seeded(100);

    @Test
    void ofAListEachResultIsAppliedOrADeadLetterByItself() throws Exception {
        rig.execute("ALTER TABLE results.detection ADD CONSTRAINT poison CHECK (crop_url NOT LIKE '%/6-%')");
        String unknown = Messages.result(999);
        String broken = "{\"pipeline\":\"random\",\"source_images\":[{}],\"detections\":[]}";
        String refused = Messages.result(6, Messages.detection(6, 1));
        String list = "["
                + String.join(
                        ",",
                        Messages.result(1, Messages.detection(1, 1)),
                        unknown,
                        Messages.result(2),
                        broken,
                        refused,
                        Messages.error(3, "too dark"))
                + "]";
        rig.ingest();
        rig.publish("results.1", list);
        rig.publish("results.2", gzip("{\"results\":" + list + "}"), "gzip");
        rig.awaitFinished();
        assertThat(rig.rows("SELECT job_id, capture_id, status FROM results.job_capture ORDER BY 1, 2"))
                .containsExactly(
                        List.of(1L, 1L, "processed"),
                        List.of(1L, 2L, "processed"),
                        List.of(1L, 3L, "failed"),
                        List.of(2L, 1L, "processed"),
                        List.of(2L, 2L, "processed"),
                        List.of(2L, 3L, "failed"));
        List<List<Object>> dead = rig.rows(DEAD);
        assertThat(dead)
                .extracting(row -> row.get(0))
                .containsExactly("RS004", "RS010", "23514", "RS004", "RS010", "23514");
        assertThat(dead)
                .extracting(row -> row.get(1).toString())
                .satisfiesExactly(
                        reason -> assertThat(reason).isEqualTo("The result at /1: There is no capture 999."),
                        reason -> assertThat(reason)
                                .isEqualTo(
                                        "The result at /3: The message cannot be decoded: /3/source_images/0 has no id."),
                        reason -> assertThat(reason).startsWith("The result at /4: "),
                        reason -> assertThat(reason).isEqualTo("The result at /results/1: There is no capture 999."),
                        reason -> assertThat(reason).startsWith("The result at /results/3: "),
                        reason -> assertThat(reason).startsWith("The result at /results/4: "));
        assertThat(dead)
                .extracting(row -> row.get(2))
                .containsExactly(unknown, broken, refused, unknown, broken, refused);
    }

    @Test
    void everyResultOfAListIsAnsweredWhereItAsks() throws Exception {
        Subscription answers = rig.connection().subscribe("workers.*");
        rig.ingest();
        rig.publish(
                "results.1",
                "{\"reply_subject\":\"workers.all\",\"results\":["
                        + Messages.envelope("workers.1", Messages.result(1)) + "," + Messages.result(2) + ","
                        + Messages.envelope("workers.3", "{\"pipeline\":5}") + "]}");
        rig.awaitFinished();
        assertThat(List.of(
                        answers.nextMessage(Duration.ofSeconds(10)).getSubject(),
                        answers.nextMessage(Duration.ofSeconds(10)).getSubject()))
                .containsExactly("workers.1", "workers.3");
    }

    @Test
    void aResultThatFoundNothingAndHasErrorsIsAFailure() throws Exception {
        rig.ingest();
        String nothing = Messages.result(1).replace("[]}", "[],\"errors\":[\"no GPU\",\"no CPU\"]}");
        rig.publish("results.1", nothing);
        rig.publish(
                "results.1",
                Messages.result(2, Messages.detection(2, 1)).replace("]}]}", "]}],\"errors\":\"one crop failed\"}"));
        rig.publish("results.1", Messages.result(3).replace("[]}", "[],\"errors\":[]}"));
        rig.awaitFinished();
        assertThat(rig.rows("SELECT capture_id, status, coalesce(error, '-') FROM results.job_capture ORDER BY 1"))
                .containsExactly(
                        List.of(1L, "failed", "no GPU; no CPU"),
                        List.of(2L, "processed", "-"),
                        List.of(3L, "processed", "-"));
        assertThat(rig.rows("SELECT capture_id FROM results.detection ORDER BY 1"))
                .containsExactly(List.of(2L), List.of(3L));
        rig.publish("results.1", Messages.result(1));
        rig.awaitFinished();
        rig.publish("results.1", nothing);
        rig.awaitFinished();
        assertThat(rig.rows("SELECT status, coalesce(error, '-') FROM results.job_capture WHERE capture_id = 1"))
                .containsExactly(List.of("processed", "-"));
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
    }

    @Test
    void anErrorBesideAPipelineIsAnErrorAndAnEmptyImageNone() throws Exception {
        rig.ingest();
        rig.publish(
                "results.1",
                Messages.result(1, Messages.detection(1, 1))
                        .replace("]}]}", "]}],\"error\":\"out of memory\",\"image_id\":\"1\"}"));
        rig.publish("results.1", "{\"error\":\"worker died\",\"image_id\":\"\"}");
        rig.awaitFinished();
        assertThat(rig.rows("SELECT capture_id, status, error FROM results.job_capture"))
                .containsExactly(List.of(1L, "failed", "out of memory"));
        assertThat(rig.number("SELECT count(*) FROM results.detection")).isZero();
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
    }

    @Test
    void ofLargeClassifiersTheHighestScoresAreStoredIfSoConfigured() throws Exception {
        rig.ingest(new MessageDecoder(new MessageSettings(
                DataSize.ofMegabytes(64), 10_000_000, 1_000_000, DataSize.ofMegabytes(256), "top-3", "none")));
        String message = Messages.result(
                1,
                Messages.detection(
                        1,
                        1,
                        Messages.classification("Moth", 0.5)
                                .replace("[0.5,0.25]", "[0.125,0.5,0.25,0.375],\"logits\":[1,2,3,4]")));
        rig.publish("results.1", message);
        rig.awaitFinished();
        assertThat(
                        rig.rows(
                                "SELECT score, scores::text, score_classes::text, logits IS NULL, logit_classes IS NULL FROM results.classification"))
                .containsExactly(List.of(0.5, "{0.5,0.375,0.25}", "{1,3,2}", true, true));
        // An instance that stores all scores completes what another one left out.
        rig.ingest();
        rig.publish("results.1", message);
        rig.publish("results.1", message);
        rig.awaitFinished();
        assertThat(rig.number("SELECT count(*) FROM results.classification")).isOne();
    }

    @Test
    void logitsOfModelsOfHalfPrecisionAreKept() throws Exception {
        rig.ingest();
        rig.publish(
                "results.1",
                Messages.result(
                        1,
                        Messages.detection(
                                1,
                                1,
                                Messages.classification("Moth", 0.5)
                                        .replace(
                                                "\"terminal\":true",
                                                "\"terminal\":1,\"logits\":[NaN,-Infinity,\"Infinity\",1.5]"))));
        rig.publish(
                "results.1",
                Messages.result(
                        2,
                        Messages.detection(
                                2, 1, Messages.classification("Moth", 0.5).replace("0.25]", "NaN]"))));
        rig.awaitFinished();
        assertThat(rig.rows("SELECT logits::text, terminal FROM results.classification"))
                .containsExactly(List.of("{NaN,-Infinity,Infinity,1.5}", true));
        assertThat(rig.rows("SELECT reason FROM results.dead_letter"))
                .containsExactly(List.of("The message cannot be decoded:"
                        + " /detections/0/classifications/0/scores/1 is NaN, not a finite number."));
    }

    /** A message of a few hundred kilobytes that would inflate to a gigabyte becomes a dead letter, while other jobs go on. */
    @Test
    void aBombIsADeadLetterAndTakesNoMemory() throws Exception {
        rig.ingest();
        byte[] bomb = zeros(
                "{\"pipeline\":\"random\",\"source_images\":[{\"id\":1}],\"detections\":[{\"source_image_id\":1,"
                        + "\"algorithm\":{\"key\":\"random-detector\"},\"timestamp\":\"2026-04-16T22:00:00\",\"classifications\":["
                        + "{\"classification\":\"Moth\",\"scores\":[0",
                125_000_000);
        assertThat(bomb.length).isLessThan(300_000);
        long before = used();
        rig.publish("results.1", bomb, "gzip");
        for (int capture = 1; capture <= 20; capture++) {
            rig.publish("results.2", Messages.usual(capture, new Random(capture)));
        }
        rig.awaitFinished();
        assertThat(rig.rows("SELECT sqlstate, reason FROM results.dead_letter"))
                .containsExactly(List.of(
                        "RS012",
                        "The message has more than 10000000 scores and logits,"
                                + " the most that COUNTERSINK_MESSAGE_MAX_SCORES allows."));
        assertThat(rig.number("SELECT count(*) FROM results.job_capture WHERE job_id = 2"))
                .isEqualTo(20);
        assertThat(used() - before).as("bytes that stay").isLessThan(50_000_000L);
    }

    private static long used() {
        System.gc();
        return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
    }

    /** A gzip file may have several members; those after the first are identical here. */
    private static byte[] zeros(String begin, int count) throws Exception {
        int members = 50;
        byte[] member = gzip(",0".repeat(count / members));
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.write(gzip(begin));
        for (int i = 0; i < members; i++) {
            bytes.write(member);
        }
        return bytes.toByteArray();
    }

    private static byte[] gzip(String text) throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (OutputStream out = new GZIPOutputStream(bytes)) {
            out.write(Messages.bytes(text));
        }
        return bytes.toByteArray();
    }
}
