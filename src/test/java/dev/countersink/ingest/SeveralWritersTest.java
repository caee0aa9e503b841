package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.IngestSettings;
import dev.countersink.db.Database;
import dev.countersink.ingest.nats.ResultsStream;
import dev.countersink.testing.Eventually;
import io.nats.client.JetStreamSubscription;
import io.nats.client.PullSubscribeOptions;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.springframework.util.unit.DataSize;

class SeveralWritersTest {
    @AutoClose
    private final Rig rig = Rig.seeded(1000);

    @Test
    void aBatchThatWaitsDoesNotHoldUpAnother() throws Exception {
        rig.ingest();
        try (Connection connection = Database.connect(rig.database());
                Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            statement.execute("SELECT FROM results.capture WHERE id = 1 FOR UPDATE");
            rig.publish("results.1", Messages.result(1, Messages.detection(1, 1)));
            Eventually.await(
                    "the first batch waits",
                    () -> rig.number("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                            + " AND datname = current_database()"),
                    waiting -> waiting == 1);
            rig.publish("results.2", Messages.result(2, Messages.detection(2, 1)));
            Eventually.await("the second is finished", Duration.ofSeconds(10), rig::left, left -> left == 1);
        }
        rig.awaitFinished();
    }

    @Test
    void writersOfTheSameRowsNeverDeadlock() throws Exception {
        long seed = System.nanoTime();
        System.out.println("writersOfTheSameRowsNeverDeadlock: seed " + seed);
        Random random = new Random(seed);
        for (int n = 0; n < 3000; n++) {
            int capture = 1 + random.nextInt(60);
            rig.publish("results." + (1 + random.nextInt(3)), Messages.usual(capture, new Random(capture)));
        }
        rig.ingest(IngestSettings.defaults()
                .withBatch(40, DataSize.ofMegabytes(4), Duration.ZERO)
                .withWriters(8));
        rig.awaitFinished();
        assertThat(rig.number("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))
                .isZero();
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
        assertThat(rig.number("SELECT count(*) FROM (SELECT FROM results.detection GROUP BY capture_id, bbox"
                        + " HAVING count(*) > 1) d"))
                .isZero();
    }

    @Test
    void whatACrashedInstanceHeldComesAgainWithinSeconds() throws Exception {
        Ingestor first = rig.ingest();
        rig.publish("results.1", Messages.result(1));
        rig.awaitFinished();
        first.close();
        for (int capture = 2; capture <= 11; capture++) {
            rig.publish("results.1", Messages.result(capture));
        }
        JetStreamSubscription crashed = rig.connection()
                .jetStream()
                .subscribe("results.1", PullSubscribeOptions.bind(ResultsStream.NAME, "job-1"));
        assertThat(crashed.fetch(10, Duration.ofSeconds(5))).hasSize(10);
        rig.ingest();
        Eventually.await("they are finished", Duration.ofSeconds(6), rig::left, left -> left == 0);
    }
}
