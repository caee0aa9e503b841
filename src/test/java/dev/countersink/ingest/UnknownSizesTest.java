package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.IngestSettings;
import dev.countersink.testing.Eventually;
import java.time.Duration;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.springframework.util.unit.DataSize;

/** Many new jobs, each with a large message: memory stays bounded, and nothing is delivered twice. */
class UnknownSizesTest {
    private static final int JOBS = 50;
    private static final long MEGABYTE = 1024 * 1024;

    @AutoClose
    private final Rig rig = Rig.seeded(1000);

    @Test
    void largeFirstMessagesOfManyJobsAreTakenAFewAtATime() throws Exception {
        String scores = "0.5" + ",0.25".repeat(800_000);
        String large = "{\"classification\":\"Moth\",\"scores\":[" + scores + "],\"algorithm\":"
                + "{\"key\":\"random-species-classifier\"},\"timestamp\":\"2026-04-16T22:00\"}";
        rig.execute("INSERT INTO results.job (id, project_id, pipeline_id) SELECT n, 1, 1 FROM generate_series(4, "
                + JOBS + ") n");
        for (int job = 1; job <= JOBS; job++) {
            rig.publish("results." + job, Messages.result(job, Messages.detection(job, 1, large)));
        }
        Ingestor ingestor =
                rig.ingest(IngestSettings.defaults().withBatch(200, DataSize.ofMegabytes(8), Duration.ofMillis(10)));
        long[] most = {0};
        Eventually.await(
                "every message is acked",
                () -> {
                    most[0] = Math.max(most[0], ingestor.metrics().snapshot().heldBytes());
                    return rig.left();
                },
                left -> left == 0);
        assertThat(ingestor.metrics().snapshot().redelivered()).isZero();
        assertThat(most[0]).isLessThan(80 * MEGABYTE);
        assertThat(rig.number("SELECT count(*) FROM results.detection")).isEqualTo(JOBS);
    }
}
