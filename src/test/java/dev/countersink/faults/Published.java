package dev.countersink.faults;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.ingest.Messages;
import dev.countersink.ingest.Rig;
import dev.countersink.testing.Eventually;
import java.time.Duration;
import java.util.Random;

/** The messages that a test has published, one for each capture from 1, and the rows that they must lead to. */
final class Published {
    private static final Duration PATIENCE = Duration.ofMinutes(3);

    private final Rig rig;
    private int count;

    Published(Rig rig) {
        this.rig = rig;
    }

    int count() {
        return count;
    }

    void publish(int messages) throws Exception {
        for (int i = 0; i < messages; i++) {
            count++;
            rig.publish("results." + (1 + count % 3), Messages.usual(count, new Random(count)));
        }
    }

    long done() {
        return rig.number("SELECT count(*) FROM results.job_capture");
    }

    /** Everything published was applied, no row exists twice, and the counts equal their oracles. */
    void verify() {
        Eventually.await("every message is acked", PATIENCE, rig::left, left -> left == 0);
        assertThat(done()).isEqualTo(count);
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
        long boxes = 0;
        for (int capture = 1; capture <= count; capture++) {
            boxes += new Random(capture).nextInt(12);
        }
        assertThat(rig.number("SELECT count(*) FROM results.detection WHERE bbox IS NOT NULL"))
                .isEqualTo(boxes);
        assertThat(rig.number("SELECT count(*) FROM results.occurrence")).isEqualTo(boxes);
        assertThat(rig.number("SELECT count(*) FROM (SELECT FROM results.classification"
                        + " GROUP BY detection_id, taxon_id, algorithm_id, score HAVING count(*) > 1) c"))
                .isZero();
        rig.refreshAll();
        assertThat(
                        rig.number(
                                "SELECT count(*) FROM (TABLE results.job_progress EXCEPT ALL TABLE results.job_progress_def) d"))
                .isZero();
        assertThat(
                        rig.number(
                                "SELECT count(*) FROM (TABLE results.job_progress_def EXCEPT ALL TABLE results.job_progress) d"))
                .isZero();
        System.out.println("published and applied once: " + count + " messages, " + boxes + " detections");
    }
}
