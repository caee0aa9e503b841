package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Eventually;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** More jobs at once than have an open consumer: to open consumers takes long, and nothing else waits for it. */
class ManyJobsTest {
    private static final int JOBS = 1_200;
    /** While looks at the stream waited ten times as long as consumers took to open, this took more than a minute. */
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private Rig rig;

    @BeforeEach
    void open() {
        rig = new Rig();
        rig.seed(JOBS + 1);
        rig.execute("INSERT INTO results.job (id, project_id, pipeline_id) SELECT n, 1, 1 FROM generate_series(4, "
                + JOBS + ") n");
    }

    @AfterEach
    void close() {
        rig.close();
    }

    @Test
    void jobsBeyondThoseThatAreOpenFollowAtOnceAndNothingIsDeliveredTwice() throws Exception {
        for (int job = 1; job <= JOBS; job++) {
            rig.connection().publish("results." + job, Messages.bytes(Messages.result(job)));
        }
        Eventually.await("every message is stored", rig::left, left -> left == JOBS);
        Ingestor ingestor = rig.ingest();
        Eventually.await("every message is acked", PATIENCE, rig::left, left -> left == 0);
        assertThat(ingestor.metrics().snapshot().redelivered()).isZero();
        assertThat(rig.number("SELECT count(*) FROM results.job_capture WHERE status = 'processed'"))
                .isEqualTo(JOBS);
        rig.publish("results.1", Messages.result(JOBS + 1));
        Eventually.await("the next message of the first job too", PATIENCE, rig::left, left -> left == 0);
    }
}
