package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Eventually;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** A sender puts something else than its job into the subject, so that nearly every message has a subject of its own. */
class CrowdedStreamTest {
    private static final int SUBJECTS = 7_000;
    private static final int CAPTURES = 300;

    @AutoClose
    private final Rig rig = Rig.seeded(1000);

    @Test
    void moreSubjectsThanTheServerCanTellApartHoldUpNoJob() throws Exception {
        for (int n = 0; n < SUBJECTS; n++) {
            rig.connection().publish("results." + (1_000_000 + n), Messages.bytes(Messages.result(1)));
        }
        for (int capture = 1; capture <= CAPTURES; capture++) {
            rig.publish("results." + (1 + capture % 3), Messages.result(capture));
        }
        assertThat(rig.left()).isEqualTo(SUBJECTS + CAPTURES);
        Ingestor ingestor = rig.ingest();
        Eventually.await(
                "the jobs are told as one",
                () -> ingestor.metrics().snapshot().jobs(),
                jobs -> jobs.size() == 1 && jobs.get(0).subject().equals("results.>"));
        Eventually.await("every message is finished", Duration.ofMinutes(2), rig::left, left -> left == 0);
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(CAPTURES);
        assertThat(rig.rows("SELECT sqlstate, attempts, count(*) FROM results.dead_letter GROUP BY 1, 2"))
                .containsExactly(List.of("RS001", 1, (long) SUBJECTS));

        rig.publish("results.1", Messages.result(CAPTURES + 1));
        rig.awaitFinished();
        Eventually.await("no job is left", () -> ingestor.metrics().snapshot().jobs(), List::isEmpty);
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(CAPTURES + 1);
    }
}
