package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** An application copies rows in with their ids, and forgets the sequences. */
class SequencesTest {
    private static final int MESSAGES = 40;

    private Rig rig;

    @BeforeEach
    void open() {
        rig = new Rig();
        rig.seed(1000);
        rig.execute("INSERT INTO results.job (id, project_id, pipeline_id) VALUES (4, 1, 1)");
    }

    @AfterEach
    void close() {
        rig.close();
    }

    @Test
    void messagesThatFollowHistoryWriteRowsOfTheirOwn() throws Exception {
        copyHistory();
        rig.ingest();
        publish(1);
        verify(MESSAGES, 1);
    }

    @Test
    void soDoThoseThatFindHistoryCopiedInMeanwhile() throws Exception {
        rig.ingest();
        publish(1);
        rig.awaitFinished();
        copyHistory();
        publish(MESSAGES + 1);
        verify(2 * MESSAGES, 2);
    }

    /** Rows with the ids that the sequences give next, and one that the first of them leaves free. */
    private void copyHistory() {
        rig.execute("INSERT INTO results.taxon (id, name) SELECT s.last_value + n, 'Old ' || n"
                + " FROM results.taxon_id_seq s, generate_series(2, 60) n");
        rig.execute("INSERT INTO results.occurrence (id, project_id, deployment_id) SELECT s.last_value + n, 1, 1"
                + " FROM results.occurrence_id_seq s, generate_series(2, 900) n");
        rig.execute("INSERT INTO results.detection (id, capture_id, algorithm_id, bbox, detected_at)"
                + " SELECT s.last_value + n, 1000, 1, ARRAY[n, 0, 0, 0], now()"
                + " FROM results.detection_id_seq s, generate_series(2, 900) n");
        rig.execute(
                "INSERT INTO results.classification (id, detection_id, taxon_id, algorithm_id, score, classified_at)"
                        + " SELECT s.last_value + n, d.id, t.id, 2, n / 1000.0, now()"
                        + " FROM results.classification_id_seq s, generate_series(2, 900) n,"
                        + " (SELECT min(id) AS id FROM results.detection WHERE capture_id = 1000) d,"
                        + " (SELECT min(id) AS id FROM results.taxon WHERE name LIKE 'Old%') t");
        rig.execute(
                "INSERT INTO results.dead_letter (id, stream, stream_seq, subject, headers, payload, reason, sqlstate)"
                        + " SELECT s.last_value + n, 'OLD', n, 'results.1', '{}', '', 'Old.', 'RS010'"
                        + " FROM results.dead_letter_id_seq s, generate_series(2, 30) n");
    }

    private void publish(int from) throws Exception {
        for (int capture = from; capture < from + MESSAGES; capture++) {
            rig.publish("results.4", Messages.usual(capture, new Random(capture)));
        }
        rig.publish("results.4", "{}");
    }

    private void verify(int messages, int dead) {
        rig.awaitFinished();
        long boxes = 0;
        for (int capture = 1; capture <= messages; capture++) {
            boxes += new Random(capture).nextInt(12);
        }
        assertThat(rig.number("SELECT count(*) FROM results.job_capture WHERE status = 'processed'"))
                .isEqualTo(messages);
        assertThat(rig.number("SELECT count(*) FROM results.detection WHERE bbox IS NOT NULL AND capture_id < 1000"))
                .isEqualTo(boxes);
        assertThat(rig.number("SELECT count(DISTINCT occurrence_id) FROM results.detection WHERE capture_id < 1000"))
                .isEqualTo(boxes);
        assertThat(rig.rows("SELECT count(*), count(DISTINCT detection_id) FROM results.classification"
                        + " JOIN results.detection d ON d.id = detection_id WHERE d.capture_id = 1000"))
                .containsExactly(List.of(899L, 1L));
        assertThat(rig.rows("SELECT stream, count(*) FROM results.dead_letter GROUP BY 1 ORDER BY 1"))
                .containsExactly(List.of("OLD", 29L), List.of("RESULTS", (long) dead));
    }
}
