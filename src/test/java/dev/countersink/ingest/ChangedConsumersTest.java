package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.ingest.nats.ResultsStream;
import dev.countersink.testing.Eventually;
import io.nats.client.api.AckPolicy;
import io.nats.client.api.ConsumerConfiguration;
import io.nats.client.api.DeliverPolicy;
import io.nats.client.api.StreamConfiguration;
import java.time.Duration;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Somebody edits consumers by hand, or makes some of the same name: no message is lost, and no job waits for a restart. */
class ChangedConsumersTest {
    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final int CAPTURES = 100;

    @AutoClose
    private final Rig rig = Rig.seeded(1000);

    @Test
    void aConsumerThatDeliversHeadersOnlyMakesNoDeadLetters() throws Exception {
        edited(consumer -> consumer.headersOnly(true));
    }

    @Test
    void aConsumerThatRefusesOurPullsIsSetRight() throws Exception {
        edited(consumer -> consumer.maxBatch(1).maxBytes(100));
    }

    @Test
    void aConsumerThatDeliversOnlyOneAtATimeOrNeverAgainIsSetRight() throws Exception {
        edited(consumer -> consumer.maxDeliver(1).maxAckPending(1));
    }

    @Test
    void anotherConsumerOfThatNameIsReplaced() throws Exception {
        rig.ingest().close();
        rig.management()
                .addOrUpdateConsumer(
                        ResultsStream.NAME,
                        ConsumerConfiguration.builder()
                                .durable("job-1")
                                .filterSubject("results.1")
                                .deliverPolicy(DeliverPolicy.All)
                                .deliverSubject("somewhere")
                                .ackPolicy(AckPolicy.Explicit)
                                .build());
        publish(1);
        finished(CAPTURES);
    }

    @Test
    void jobsShareTheConsumersThatAnAccountMayHave() throws Exception {
        rig.execute("INSERT INTO results.job (id, project_id, pipeline_id, name)"
                + " SELECT n, 1, 1, 'job ' || n FROM generate_series(4, 40) n");
        StreamConfiguration made =
                rig.management().getStreamInfo(ResultsStream.NAME).getConfiguration();
        rig.management().deleteStream(ResultsStream.NAME);
        rig.management()
                .addStream(StreamConfiguration.builder(made).maxConsumers(3).build());
        for (int job = 1; job <= 40; job++) {
            for (int capture = 1; capture <= 5; capture++) {
                rig.publish("results." + job, Messages.result(capture));
            }
        }
        finished(200);
    }

    private void edited(UnaryOperator<ConsumerConfiguration.Builder> how) throws Exception {
        Ingestor first = rig.ingest();
        rig.publish("results.1", Messages.result(999));
        rig.awaitFinished();
        first.close();
        publish(1);
        ConsumerConfiguration now =
                rig.management().getConsumerInfo(ResultsStream.NAME, "job-1").getConsumerConfiguration();
        Ingestor second = rig.ingest();
        rig.awaitFinished();
        rig.management()
                .addOrUpdateConsumer(
                        ResultsStream.NAME,
                        how.apply(ConsumerConfiguration.builder(now)).build());
        publish(2);
        finished(2 * CAPTURES + 1);
        second.close();
    }

    private void publish(int part) throws Exception {
        for (int capture = 1; capture <= CAPTURES; capture++) {
            rig.publish("results.1", Messages.result((part - 1) * CAPTURES + capture));
        }
    }

    private void finished(long captures) {
        rig.ingest();
        Eventually.await("every message is finished", PATIENCE, rig::left, left -> left == 0);
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(captures);
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
    }
}
