package dev.countersink.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.ingest.Rig;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Four real nights of one camera give exactly the published counts. */
class VermontTest {
    private static final Path DATA = Path.of("..", "shared", "data");
    private static final List<List<Object>> NIGHTS = List.of(
            List.of("2022-06-20", 38L, 143L, 104L, 104L, 15L),
            List.of("2022-06-21", 26L, 63L, 50L, 50L, 9L),
            List.of("2022-06-22", 34L, 77L, 66L, 66L, 18L),
            List.of("2022-06-23", 22L, 50L, 48L, 48L, 10L));
    private static final String BY_NIGHT = "SELECT e.group_by, c.captures::bigint,"
            + " (SELECT count(*) FROM results.detection d JOIN results.capture p ON p.id = d.capture_id"
            + "   WHERE p.event_id = e.id AND d.bbox IS NOT NULL),"
            + " c.detections::bigint, c.occurrences::bigint, c.taxa::bigint"
            + " FROM results.event_counts%s c JOIN results.event e ON e.id = c.event_id ORDER BY 1";

    private Rig rig;

    @BeforeEach
    void open() {
        assumeTrue(Files.isDirectory(DATA), "there is no folder " + DATA.toAbsolutePath());
        rig = new Rig();
    }

    @AfterEach
    void close() {
        if (rig != null) {
            rig.close();
        }
    }

    @Test
    void fourNightsGiveExactlyTheirCountsAndTwiceTheSame() throws Exception {
        seed();
        rig.ingest();
        publish();
        assertCounts();
        String rows =
                "SELECT d, c, o FROM results.detection d LEFT JOIN results.classification c ON c.detection_id = d.id"
                        + " LEFT JOIN results.occurrence o ON o.id = d.occurrence_id ORDER BY d.id, c.id";
        String once = rig.rows(rows).toString();
        publish();
        assertCounts();
        assertThat(rig.rows(rows)).hasToString(once);
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
    }

    private void assertCounts() {
        assertThat(rig.rows(BY_NIGHT.formatted("_live"))).isEqualTo(NIGHTS);
        assertThat(rig.rows(BY_NIGHT.formatted("_def"))).isEqualTo(NIGHTS);
        rig.refreshAll();
        assertThat(rig.rows(BY_NIGHT.formatted(""))).isEqualTo(NIGHTS);
        for (String suffix : List.of("", "_live", "_def")) {
            assertThat(rig.rows("SELECT captures::bigint, detections::bigint, occurrences::bigint, taxa::bigint"
                            + " FROM results.project_counts" + suffix))
                    .isEqualTo(List.of(List.of(120L, 268L, 268L, 35L)));
        }
    }

    private void publish() throws Exception {
        for (String message : Files.readAllLines(DATA.resolve("vermont-messages.ndjson"))) {
            rig.publish("results.1", message);
        }
        rig.awaitFinished();
    }

    private void seed() throws Exception {
        String captures = Files.readAllLines(DATA.resolve("vermont-captures.ndjson")).stream()
                .collect(Collectors.joining(",", "'[", "]'"));
        rig.execute("INSERT INTO results.project (id, name, score_threshold) VALUES (1, 'Vermont', 0.5)");
        rig.execute("INSERT INTO results.deployment (id, project_id, name) VALUES (1, 1, 'Vermont-Snapshots-Sample')");
        rig.execute("INSERT INTO results.event (project_id, deployment_id, group_by)"
                + " SELECT DISTINCT 1, 1, event FROM jsonb_to_recordset(" + captures + ") AS c (event text)");
        rig.execute(
                "INSERT INTO results.capture (id, project_id, deployment_id, event_id, path, captured_at, byte_size)"
                        + " SELECT c.id, 1, 1, e.id, c.path, c.captured_at, c.byte_size FROM jsonb_to_recordset("
                        + captures
                        + ") AS c (id bigint, event text, path text, captured_at timestamptz, byte_size bigint)"
                        + " JOIN results.event e ON e.group_by = c.event");
        rig.execute("INSERT INTO results.algorithm (id, key, name, task_type) VALUES"
                + " (1, 'vermont-localizer', 'Vermont localizer', 'localization'),"
                + " (2, 'quebec-vermont-species', 'Quebec Vermont species', 'classification')");
        rig.execute("INSERT INTO results.pipeline (id, slug, name) VALUES (1, 'quebec_vermont_moths', 'Moths')");
        rig.execute("INSERT INTO results.pipeline_algorithm (pipeline_id, algorithm_id) VALUES (1, 1), (1, 2)");
        rig.execute(
                "INSERT INTO results.job (id, project_id, pipeline_id, name, total_captures) VALUES (1, 1, 1, 'all', 120)");
    }
}
