package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.IngestSettings;
import dev.countersink.db.Database;
import dev.countersink.ingest.nats.ResultsStream;
import dev.countersink.testing.Eventually;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.springframework.util.unit.DataSize;

/** What the server forgets is made again within seconds, so no job waits for a restart. */
class LostConsumersTest {
    /** Much less than the 12 s after which an unanswered pull is abandoned. */
    private static final Duration SECONDS = Duration.ofSeconds(9);

    private static final IngestSettings SMALL =
            IngestSettings.defaults().withBatch(50, DataSize.ofMegabytes(4), Duration.ofMillis(10));

    @AutoClose
    private final Rig rig = Rig.seeded(1000);

    @Test
    void consumersDeletedWhileNoPullWaitsAreMadeAnew() throws Exception {
        publish(1, 400);
        publish(2, 400);
        whileNothingIsTaken(() -> {
            rig.management().deleteConsumer(ResultsStream.NAME, "job-1");
            rig.management().deleteConsumer(ResultsStream.NAME, "job-2");
        });
        awaitLeft(0);
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(800);
    }

    @Test
    void aStreamDeletedWhileNoPullWaitsIsMadeAnewWithItsConsumers() throws Exception {
        publish(1, 400);
        whileNothingIsTaken(() -> {
            rig.management().deleteStream(ResultsStream.NAME);
            Eventually.await(
                    "the stream is there again",
                    SECONDS,
                    () -> rig.published("results.1", Messages.result(1000)),
                    ok -> ok);
        });
        awaitLeft(0);
        assertThat(rig.number("SELECT count(*) FROM results.job_capture WHERE capture_id = 1000"))
                .isOne();
    }

    @Test
    void aServerThatLostItsVolumeIsServedAsANewOne() throws Exception {
        publish(1, 200);
        whileNothingIsTaken(() -> {
            rig.nats().kill();
            rig.nats().loseEverything();
            rig.nats().restart();
            Eventually.await(
                    "the stream is there again",
                    SECONDS,
                    () -> rig.published("results.1", Messages.result(1000)),
                    ok -> ok);
        });
        awaitLeft(0);
        assertThat(rig.number("SELECT count(*) FROM results.job_capture WHERE capture_id = 1000"))
                .isOne();
    }

    @Test
    void finishedMessagesThatACrashBroughtBackLeaveTheStream() throws Exception {
        publish(1, 100);
        Path kept = rig.nats().keepMessages(ResultsStream.NAME);
        Ingestor ingestor = rig.ingest(SMALL);
        awaitLeft(0);
        ingestor.close();
        // The consumer remembers its acks, but the stream has the messages again.
        rig.nats().kill();
        rig.nats().bringBackMessages(ResultsStream.NAME, kept);
        rig.nats().restart();
        Eventually.await("connected again", () -> rig.connected(), ok -> ok);
        assertThat(rig.left()).isEqualTo(100);
        rig.ingest(SMALL);
        awaitLeft(0);
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(100);
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
    }

    private interface Fault {
        void happen() throws Exception;
    }

    /** A lock on a table keeps the first batches in work, so there is no room to request more. */
    private void whileNothingIsTaken(Fault fault) throws Exception {
        try (Connection connection = Database.connect(rig.database());
                Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.execute("LOCK TABLE results.job_capture");
            Ingestor ingestor = rig.ingest(SMALL);
            awaitSteady(
                    "it holds what it may", () -> ingestor.metrics().snapshot().held());
            fault.happen();
        }
    }

    /** Waits until a number that has become positive no longer changes. */
    private static void awaitSteady(String what, Callable<Integer> figure) {
        int[] last = {0};
        long[] since = {System.nanoTime()};
        Eventually.await(
                what,
                () -> {
                    int now = figure.call();
                    if (now != last[0]) {
                        last[0] = now;
                        since[0] = System.nanoTime();
                    }
                    return now;
                },
                now -> now > 0
                        && System.nanoTime() - since[0] > Duration.ofMillis(500).toNanos());
    }

    private void awaitLeft(long messages) {
        Eventually.await("messages left: " + messages, SECONDS, rig::left, left -> left == messages);
    }

    private void publish(int job, int captures) throws Exception {
        for (int capture = 1; capture <= captures; capture++) {
            rig.publish("results." + job, Messages.result(capture));
        }
    }
}
