package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.ingest.nats.ResultsStream;
import dev.countersink.testing.Eventually;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Messages to subjects that no consumer can filter by: the server accepts "results.>" as the name of a subject. */
class OddSubjectsTest {
    private static final List<String> UNFILTERABLE = List.of("results.>", "results.*", "results.*.x");
    private static final Duration SECONDS = Duration.ofSeconds(15);

    @AutoClose
    private final Rig rig = Rig.seeded(1000);

    @Test
    void messagesToLiteralWildcardsBecomeDeadLettersAndStopNobody() throws Exception {
        publishRaw(UNFILTERABLE.get(0));
        for (int capture = 1; capture <= 300; capture++) {
            rig.publish("results." + capture % 3, Messages.result(capture));
        }
        UNFILTERABLE.forEach(this::publishRaw);
        Ingestor ingestor = rig.ingest();
        Eventually.await("every message is finished", SECONDS, rig::left, left -> left == 0);
        assertThat(rig.rows("SELECT subject, sqlstate FROM results.dead_letter WHERE subject NOT LIKE 'results._'"
                        + " OR subject IN ('results.>', 'results.*') ORDER BY 1"))
                .containsExactlyElementsOf(Stream.concat(UNFILTERABLE.stream(), Stream.of("results.>"))
                        .sorted()
                        .map(subject -> List.<Object>of(subject, "RS001"))
                        .toList());
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(200);

        publishRaw("results.>");
        rig.publish("results.1", Messages.result(500));
        Eventually.await("the next ones too", SECONDS, rig::left, left -> left == 0);
        Eventually.await("no job is left", () -> ingestor.metrics().snapshot().jobs(), List::isEmpty);
    }

    private void publishRaw(String subject) {
        long before = stored();
        rig.connection().publish(subject, Messages.result(1).getBytes(StandardCharsets.UTF_8));
        Eventually.await("it is stored", this::stored, now -> now > before);
    }

    private long stored() {
        try {
            return rig.management()
                    .getStreamInfo(ResultsStream.NAME)
                    .getStreamState()
                    .getLastSequence();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }
}
