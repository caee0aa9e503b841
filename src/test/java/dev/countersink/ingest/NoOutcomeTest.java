package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.ingest.nats.ResultsStream;
import dev.countersink.testing.Eventually;
import io.nats.client.JetStreamSubscription;
import io.nats.client.PullSubscribeOptions;
import io.nats.client.api.DiscardPolicy;
import io.nats.client.api.RetentionPolicy;
import io.nats.client.api.StreamConfiguration;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

class NoOutcomeTest {
    @AutoClose
    private final Rig rig = Rig.seeded(100);

    @Test
    void aMessageThatEndedTheProgramEachTimeBecomesADeadLetterAndItsNeighboursDoNot() throws Exception {
        Ingestor first = rig.ingest();
        rig.publish("results.1", Messages.result(50));
        rig.awaitFinished();
        first.close();
        for (int capture = 1; capture <= 4; capture++) {
            rig.publish("results.1", Messages.result(capture));
        }
        deliverWithoutOutcome(3);
        // The state after three attempts at the second message that ended with the program.
        long sequence = rig.management()
                        .getStreamInfo(ResultsStream.NAME)
                        .getStreamState()
                        .getFirstSequence()
                + 1;
        String published = rig.management()
                .getMessage(ResultsStream.NAME, sequence)
                .getTime()
                .toString()
                .replaceFirst("\\[.*", "");
        for (int attempt = 1; attempt <= 3; attempt++) {
            rig.execute("SELECT results.begin_attempt('RESULTS', " + sequence + ", date_trunc('microseconds', '"
                    + published.replaceFirst("(\\.\\d{6})\\d*", "$1") + "'::timestamptz))");
        }
        rig.ingest();
        rig.awaitFinished();
        assertThat(rig.rows("SELECT stream_seq, sqlstate FROM results.dead_letter"))
                .containsExactly(List.of(sequence, "RS013"));
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(4);
        assertThat(rig.number("SELECT count(*) FROM results.delivery_attempt")).isZero();
    }

    private void deliverWithoutOutcome(int times) throws Exception {
        JetStreamSubscription crashed = rig.connection()
                .jetStream()
                .subscribe("results.1", PullSubscribeOptions.bind(ResultsStream.NAME, "job-1"));
        for (int i = 1; i <= times; i++) {
            crashed.fetch(4, Duration.ofSeconds(10)).forEach(message -> message.nak());
        }
        crashed.unsubscribe();
    }

    @Test
    void anErrorOnAWritersThreadIsReported() throws Exception {
        OutOfMemoryError error = new OutOfMemoryError("for a test");
        rig.ingestFrom(new UnusableSource(rig.dataSource(), error));
        rig.publish("results.1", Messages.result(1));
        Eventually.await("the error is reported", rig::fatal, errors -> errors.contains(error));
    }

    @Test
    void aStreamThatSomebodyChangesIsNoticedAtOnce() throws Exception {
        Ingestor ingestor = rig.ingest();
        Eventually.await(
                "all is well",
                () -> String.valueOf(ingestor.metrics().snapshot().problem()),
                "null"::equals);
        StreamConfiguration now =
                rig.management().getStreamInfo(ResultsStream.NAME).getConfiguration();
        rig.management()
                .updateStream(StreamConfiguration.builder(now)
                        .maxBytes(1_000_000)
                        .discardPolicy(DiscardPolicy.Old)
                        .build());
        Eventually.await(
                "it is told",
                () -> String.valueOf(ingestor.metrics().snapshot().problem()),
                problem -> problem.contains("discards old messages"));
        rig.management()
                .updateStream(StreamConfiguration.builder(now).maxBytes(-1).build());
        Eventually.await(
                "all is well again",
                () -> String.valueOf(ingestor.metrics().snapshot().problem()),
                "null"::equals);
        assertThat(now.getRetentionPolicy()).isEqualTo(RetentionPolicy.WorkQueue);
    }

    @Test
    void aStreamThatSomebodySealsIsNamed() throws Exception {
        rig.publish("results.1", Messages.result(1));
        StreamConfiguration now =
                rig.management().getStreamInfo(ResultsStream.NAME).getConfiguration();
        Ingestor ingestor = rig.ingest();
        rig.awaitFinished();
        rig.management().updateStream(StreamConfiguration.builder(now).seal().build());
        Eventually.await(
                "it is told",
                () -> String.valueOf(ingestor.metrics().snapshot().problem()),
                problem -> problem.contains("is sealed"));
    }
}
