package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.config.IngestSettings;
import dev.countersink.config.StartupException;
import dev.countersink.db.Database;
import dev.countersink.ingest.nats.ResultsStream;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.TestPostgres;
import io.airlift.compress.zstd.ZstdOutputStream;
import io.nats.client.Message;
import io.nats.client.Subscription;
import io.nats.client.api.RetentionPolicy;
import io.nats.client.api.StorageType;
import io.nats.client.api.StreamConfiguration;
import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.springframework.util.unit.DataSize;

class IngestorTest {
    private static final String COUNTS = "SELECT count(*), count(bbox), count(DISTINCT occurrence_id),"
            + " (SELECT count(*) FROM results.classification), (SELECT count(*) FROM results.occurrence),"
            + " (SELECT count(*) FROM results.taxon), (SELECT count(*) FROM results.job_capture)"
            + " FROM results.detection";

    @AutoClose
    private final Rig rig = Rig.seeded(1000);

    @Test
    void aLoneMessageIsCommittedWithoutWaitingForMore() throws Exception {
        // The linger is ten seconds, longer than the test waits.
        rig.ingest(IngestSettings.defaults().withBatch(1000, DataSize.ofMegabytes(32), Duration.ofSeconds(10)));
        rig.publish("results.1", Messages.result(1));
        Eventually.await("the first is finished", Duration.ofSeconds(9), rig::left, left -> left == 0);
        rig.publish("results.1", Messages.result(2, Messages.detection(2, 1, Messages.classification("Moth", 0.9))));
        Eventually.await("the second is finished", Duration.ofSeconds(9), rig::left, left -> left == 0);
        assertThat(rig.number("SELECT count(*) FROM results.detection")).isEqualTo(2);
    }

    @Test
    void aBrokenMessageHarmsNoOther() throws Exception {
        for (int capture = 1; capture <= 30; capture++) {
            rig.publish("results.1", Messages.result(capture, Messages.detection(capture, 1)));
        }
        rig.publish("results.1", "{\"pipeline\": \"random\", ");
        rig.publish("results.1", new byte[] {(byte) 0xff, 0, 'A'}, "br");
        rig.publish("results.1", Messages.result(999_999));
        rig.publish("results.77", Messages.result(1));
        rig.publish("results.1", Messages.result(31, Messages.detection(31, 1)));
        rig.ingest();
        rig.awaitFinished();
        assertThat(rig.number("SELECT count(*) FROM results.detection")).isEqualTo(31);
        assertThat(rig.rows("SELECT subject, sqlstate, encode(payload, 'escape'), headers->'Content-Encoding'->>0"
                        + " FROM results.dead_letter ORDER BY stream_seq"))
                .hasSize(4)
                .contains(List.of("results.1", "RS010", "\\377\\000A", "br"))
                .satisfies(rows -> assertThat(rows.get(0)).contains("{\"pipeline\": \"random\", "));
    }

    @Test
    void subjectsThatNameNoJobBecomeDeadLetters() throws Exception {
        List<String> odd = List.of("results.abc", "results.1.2", "results.007", "results.a*b");
        for (String subject : odd) {
            rig.publish(subject, Messages.result(1));
        }
        rig.ingest();
        rig.awaitFinished();
        assertThat(rig.rows("SELECT subject FROM results.dead_letter"))
                .containsExactlyInAnyOrderElementsOf(
                        odd.stream().map(s -> List.<Object>of(s)).toList());
    }

    @Test
    void whatOnlyTheDatabaseRefusesIsFoundByBisection() throws Exception {
        rig.execute("ALTER TABLE results.detection ADD CONSTRAINT poison CHECK (crop_url NOT LIKE '%/666-%')");
        for (int capture = 600; capture <= 700; capture++) {
            rig.publish("results.1", Messages.result(capture, Messages.detection(capture, 1)));
        }
        rig.ingest();
        rig.awaitFinished();
        assertThat(rig.number("SELECT count(*) FROM results.detection")).isEqualTo(100);
        List<List<Object>> dead = rig.rows("SELECT sqlstate, reason FROM results.dead_letter");
        assertThat(dead).hasSize(1);
        assertThat(dead.get(0).get(0)).isEqualTo("23514");
        assertThat((String) dead.get(0).get(1)).contains("poison");
    }

    @Test
    void whileTheDatabaseIsAwayNothingIsAckedAndAfterwardsAllIsAppliedOnce() throws Exception {
        Ingestor ingestor = rig.ingest();
        rig.publish("results.1", Messages.result(1));
        rig.awaitFinished();
        String name = rig.rows("SELECT current_database()").get(0).get(0).toString();
        TestPostgres.execute("ALTER DATABASE " + name + " ALLOW_CONNECTIONS false");
        TestPostgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + name + "'");
        Random random = new Random(7);
        for (int capture = 2; capture <= 100; capture++) {
            rig.publish("results.1", Messages.usual(capture, random));
        }
        Eventually.await("it is blocked", () -> ingestor.metrics().snapshot().blocked(), why -> why != null);
        assertThat(rig.left()).isEqualTo(99);
        TestPostgres.execute("ALTER DATABASE " + name + " ALLOW_CONNECTIONS true");
        rig.awaitFinished();
        // A check of the database that began before it was back may say so a moment later.
        Eventually.await(
                "it is not blocked", () -> ingestor.metrics().snapshot().blocked(), why -> why == null);
        assertThat(rig.number("SELECT count(*) FROM results.job_capture WHERE status = 'processed'"))
                .isEqualTo(100);
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
    }

    @Test
    void aRestartedNatsServerGoesOnWhereItWas() throws Exception {
        rig.ingest();
        rig.publish("results.1", Messages.result(1));
        rig.awaitFinished();
        rig.nats().kill();
        rig.nats().restart();
        publishWhenBack("results.1", Messages.result(2));
        publishWhenBack("results.2", Messages.result(3));
        rig.awaitFinished();
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(3);
    }

    @Test
    void aConsumerThatIsGoneIsMadeAnew() throws Exception {
        rig.ingest();
        rig.publish("results.1", Messages.result(1));
        rig.awaitFinished();
        rig.management().deleteConsumer(ResultsStream.NAME, "job-1");
        rig.publish("results.1", Messages.result(2));
        rig.awaitFinished();
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(2);
    }

    @Test
    void aStreamThatIsGoneIsMadeAnew() throws Exception {
        rig.ingest();
        rig.publish("results.1", Messages.result(1));
        rig.awaitFinished();
        rig.management().deleteStream(ResultsStream.NAME);
        publishWhenBack("results.1", Messages.result(2));
        rig.awaitFinished();
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(2);
    }

    @Test
    void theReplySubjectIsAckedAfterTheCommit() throws Exception {
        Subscription replies = rig.connection().subscribe("worker.replies.*");
        rig.ingest(IngestSettings.defaults().withReplySubjects("worker.replies.*"));
        rig.publish("results.1", Messages.envelope("worker.replies.1", Messages.result(1)));
        Message reply = replies.nextMessage(Duration.ofSeconds(30));
        assertThat(reply.getSubject()).isEqualTo("worker.replies.1");
        assertThat(new String(reply.getData(), StandardCharsets.UTF_8)).isEqualTo("+ACK");
        assertThat(rig.number("SELECT count(*) FROM results.detection")).isOne();
        rig.publish("results.1", Messages.envelope("worker.replies.2", "{\"pipeline\":\"no such\"}"));
        assertThat(replies.nextMessage(Duration.ofSeconds(30)).getSubject()).isEqualTo("worker.replies.2");
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isOne();
    }

    @Test
    void compressedMessagesAreApplied() throws Exception {
        byte[] gzip = compressed(Messages.result(1, Messages.detection(1, 1)), "gzip");
        byte[] zstd = compressed(Messages.result(2, Messages.detection(2, 1)), "zstd");
        rig.publish("results.1", gzip, "gzip");
        rig.publish("results.1", zstd, "zstd");
        rig.publish("results.1", zstd, "gzip");
        rig.ingest();
        rig.awaitFinished();
        assertThat(rig.number("SELECT count(*) FROM results.detection")).isEqualTo(2);
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isOne();
    }

    @Test
    void twoInstancesAndEveryMessageTwiceGiveTheSameRowsAsOneAndOnce() throws Exception {
        publishUsual(400, 1);
        Ingestor alone = rig.ingest();
        rig.awaitFinished();
        alone.close();
        List<List<Object>> once = rig.rows(COUNTS);

        rig.execute(
                "TRUNCATE results.detection, results.occurrence, results.classification, results.job_capture CASCADE");
        publishUsual(400, 1);
        publishUsual(400, 2);
        rig.ingest(IngestSettings.defaults().withBatch(50, DataSize.ofMegabytes(4), Duration.ZERO));
        rig.ingest(IngestSettings.defaults().withBatch(50, DataSize.ofMegabytes(4), Duration.ZERO));
        rig.awaitFinished();
        List<List<Object>> twice = rig.rows(COUNTS);
        assertThat(twice.get(0).subList(0, 6)).isEqualTo(once.get(0).subList(0, 6));
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
    }

    @Test
    void whatAStoppedInstanceHeldGoesToTheNextAtOnce() throws Exception {
        publishUsual(600, 1);
        Ingestor first = rig.ingest(IngestSettings.defaults().withBatch(20, DataSize.ofMegabytes(4), Duration.ZERO));
        Eventually.await("it is at work", () -> first.metrics().snapshot().messages(), done -> done > 0);
        first.close();
        assertThat(rig.left()).isEqualTo(600 - first.metrics().snapshot().messages());
        rig.ingest();
        // Much less than the 30 s after which the server would deliver them again by itself.
        Eventually.await("the rest is finished", Duration.ofSeconds(20), rig::left, left -> left == 0);
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(600);
    }

    @Test
    void memoryIsBoundedByTheBatchAndNotByTheBacklog() throws Exception {
        long megabyte = 1024 * 1024;
        String scores = "0.5," + "0.25,".repeat(190_000) + "0.125";
        for (int capture = 1; capture <= 60; capture++) {
            rig.publish(
                    "results.1",
                    Messages.result(
                            capture,
                            Messages.detection(
                                    capture,
                                    1,
                                    "{\"classification\":\"Moth\",\"scores\":[" + scores + "],\"algorithm\":"
                                            + "{\"key\":\"random-species-classifier\"},\"timestamp\":\"2026-04-16T22:00\"}")));
        }
        Ingestor ingestor;
        try (Connection connection = Database.connect(rig.database());
                Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.execute("LOCK TABLE results.job_capture");
            ingestor = rig.ingest(
                    IngestSettings.defaults().withBatch(200, DataSize.ofMegabytes(4), Duration.ofMillis(10)));
            Eventually.await(
                    "it holds what it may",
                    () -> ingestor.metrics().snapshot().heldBytes(),
                    bytes -> bytes > 8 * megabyte);
        }
        long[] most = {0};
        Eventually.await(
                "every message is acked",
                () -> {
                    most[0] = Math.max(most[0], ingestor.metrics().snapshot().heldBytes());
                    return rig.left();
                },
                left -> left == 0);
        // Three batches, and a few messages that were requested before the size of one was known.
        assertThat(most[0]).isLessThan((3 * 4 + 8) * megabyte);
        assertThat(rig.number("SELECT count(*) FROM results.detection")).isEqualTo(60);
    }

    @Test
    void aStreamForSomethingElseIsRefused() throws Exception {
        rig.management().deleteStream(ResultsStream.NAME);
        rig.management().addStream(stream().subjects("results.>", "other.>").build());
        assertThatThrownBy(() -> rig.ingest())
                .isInstanceOf(StartupException.class)
                .hasMessage(
                        "The stream RESULTS has the subjects [results.>, other.>], but Countersink needs [results.>].");
        rig.management().deleteStream(ResultsStream.NAME);
        rig.management()
                .addStream(stream()
                        .subjects("results.>")
                        .retentionPolicy(RetentionPolicy.Limits)
                        .build());
        assertThatThrownBy(() -> rig.ingest())
                .isInstanceOf(StartupException.class)
                .hasMessage("The stream RESULTS has the retention 'limits', but Countersink needs 'workqueue'.");
    }

    private static StreamConfiguration.Builder stream() {
        return StreamConfiguration.builder()
                .name(ResultsStream.NAME)
                .storageType(StorageType.File)
                .retentionPolicy(RetentionPolicy.WorkQueue);
    }

    private void publishUsual(int captures, int job) throws Exception {
        Random random = new Random(11);
        for (int capture = 1; capture <= captures; capture++) {
            rig.publish("results." + job, Messages.usual(capture, random));
        }
    }

    private void publishWhenBack(String subject, String json) {
        Eventually.await("it can be published", () -> rig.published(subject, json), done -> done);
    }

    private static byte[] compressed(String json, String encoding) throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (OutputStream out = encoding.equals("gzip") ? new GZIPOutputStream(bytes) : new ZstdOutputStream(bytes)) {
            out.write(Messages.bytes(json));
        }
        return bytes.toByteArray();
    }
}
