package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.ingest.nats.ResultsStream;
import dev.countersink.testing.Eventually;
import io.nats.client.PurgeOptions;
import io.nats.client.api.Source;
import io.nats.client.api.StreamConfiguration;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Streams that take messages from elsewhere, or lose some in other ways than by an ack. */
class ForeignMessagesTest {
    @AutoClose
    private final Rig rig = Rig.seeded(100);

    @Test
    void messagesToOtherSubjectsAreTold() throws Exception {
        rig.management()
                .addStream(StreamConfiguration.builder()
                        .name("OTHER")
                        .subjects("other.>")
                        .build());
        rig.connection().jetStream().publish("other.1", Messages.bytes(Messages.result(1)));
        StreamConfiguration made =
                rig.management().getStreamInfo(ResultsStream.NAME).getConfiguration();
        rig.management()
                .updateStream(StreamConfiguration.builder(made)
                        .sources(Source.builder().name("OTHER").build())
                        .build());
        Eventually.await("the other message is there", rig::left, left -> left == 1);
        Ingestor ingestor = rig.ingest();
        rig.publish("results.1", Messages.result(2));
        problem(ingestor, "has 1 messages to subjects that do not begin with results.");
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(1);
        rig.management().purgeStream(ResultsStream.NAME, PurgeOptions.subject("other.>"));
        problem(ingestor, "null");
    }

    @Test
    void aStreamInWhichAMessageMayRemoveOthersIsNamed() throws Exception {
        StreamConfiguration made =
                rig.management().getStreamInfo(ResultsStream.NAME).getConfiguration();
        Ingestor ingestor = rig.ingest();
        rig.management()
                .updateStream(
                        StreamConfiguration.builder(made).allowRollup(true).build());
        problem(ingestor, "allow_rollup_hdrs");
        rig.management()
                .updateStream(
                        StreamConfiguration.builder(made).allowRollup(false).build());
        problem(ingestor, "null");
    }

    private static void problem(Ingestor ingestor, String part) {
        Eventually.await(
                "the stream's problem",
                () -> String.valueOf(ingestor.metrics().snapshot().problem()),
                problem -> problem.contains(part));
    }
}
