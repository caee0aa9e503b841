package dev.countersink.faults;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.ingest.Messages;
import dev.countersink.ingest.Rig;
import dev.countersink.testing.Eventually;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Part of the long form: many jobs whose first message is large, in a service with a small heap. */
class LargeJobsTest {
    private static final int JOBS = 120;
    private static final int BOXES = 10;
    private static final int CLASSES = 29_000;
    private static final int BYTES = 6_000_000;

    @Test
    void largeMessagesOfManyJobsComeOnceEach() throws Exception {
        assumeTrue("long".equals(System.getProperty("countersink.faults")), "part of the long form");
        String token = "a-token-of-this-test";
        try (Rig rig = new Rig()) {
            rig.seed(1000);
            rig.execute("INSERT INTO results.job (id, project_id, pipeline_id) SELECT n, 1, 1 FROM generate_series(4, "
                    + JOBS + ") n");
            String scores = "0.75" + ",0.00003448275862069".repeat(CLASSES - 1);
            for (int job = 1; job <= JOBS; job++) {
                String message = message(job, scores);
                assertThat(message.length()).isBetween(BYTES - 300_000, BYTES + 300_000);
                rig.publish("results." + job, message);
            }
            try (ServiceProcess service = ServiceProcess.start(
                            rig.database(),
                            rig.nats().settings().url(),
                            rig.nats().settings().token(),
                            List.of("-Xmx512m"),
                            Map.of("COUNTERSINK_API_TOKEN", token, "COUNTERSINK_HTTP_ADDRESS", "127.0.0.1"))
                    .awaitReady()) {
                long start = System.nanoTime();
                Eventually.await("every message is acked", Duration.ofMinutes(6), rig::left, left -> left == 0);
                System.out.printf(
                        Locale.ROOT,
                        "%d jobs with a message of 6 MB each at -Xmx512m: %d s%n",
                        JOBS,
                        TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - start));
                JsonNode ingest = JsonMapper.shared().readTree(service.get("/api/ingest", token));
                assertThat(ingest.path("redelivered").asLong(-1)).isZero();
                assertThat(rig.number("SELECT count(*) FROM results.dead_letter"))
                        .isZero();
                assertThat(rig.number("SELECT count(*) FROM results.classification"))
                        .isEqualTo(JOBS * BOXES);
                assertThat(service.terminate()).isZero();
            }
        }
    }

    private static String message(int job, String scores) {
        String[] detections = new String[BOXES];
        for (int i = 0; i < BOXES; i++) {
            detections[i] = Messages.detection(
                    job,
                    i,
                    "{\"classification\":\"Moth\",\"scores\":[" + scores
                            + "],\"algorithm\":{\"key\":\"random-species-classifier\"},\"timestamp\":\"2026-04-16T22:00\"}");
        }
        return Messages.result(job, detections);
    }
}
