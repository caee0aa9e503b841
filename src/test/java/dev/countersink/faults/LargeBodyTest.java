package dev.countersink.faults;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.ingest.Messages;
import dev.countersink.ingest.Rig;
import dev.countersink.testing.TestPostgres;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.net.http.HttpResponse;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A service takes a request of 150 MB although its whole heap is smaller. */
class LargeBodyTest {
    private static final int RESULTS = 300;
    private static final int NOTE = 520_000;

    @Test
    void aBodyLargerThanTheHeapIsTakenWhole() throws Exception {
        assumeTrue(TestPostgres.version() >= 18, "it runs once, on the newest version");
        String token = "a-token-of-this-test";
        try (Rig rig = new Rig()) {
            rig.seed(RESULTS);
            try (ServiceProcess service = ServiceProcess.start(
                            rig.database(),
                            rig.nats().settings().url(),
                            rig.nats().settings().token(),
                            List.of("-Xmx128m"),
                            Map.of(
                                    "COUNTERSINK_API_TOKEN", token,
                                    "COUNTERSINK_HTTP_ADDRESS", "127.0.0.1",
                                    "COUNTERSINK_INGEST_BATCH_BYTES", "4MB"))
                    .awaitReady()) {
                String note = "x".repeat(NOTE);
                assertThat(RESULTS * NOTE).isGreaterThan(150_000_000);
                HttpResponse<String> answer = service.post("/api/v2/jobs/1/result/", token, () -> body(note));
                assertThat(answer.statusCode()).as(answer.body()).isEqualTo(202);
                JsonNode json = JsonMapper.shared().readTree(answer.body());
                assertThat(json.path("results_queued").asInt()).isEqualTo(RESULTS);
                rig.awaitFinished();
                assertThat(rig.number("SELECT count(*) FROM results.job_capture"))
                        .isEqualTo(RESULTS);
                assertThat(rig.number("SELECT count(*) FROM results.classification"))
                        .isEqualTo(RESULTS);
                assertThat(service.terminate()).isZero();
            }
        }
    }

    private static InputStream body(String note) {
        Stream<InputStream> parts = IntStream.rangeClosed(1, RESULTS).mapToObj(capture -> {
            String head = capture == 1 ? "[" : ",";
            String result = Messages.result(
                            capture, Messages.detection(capture, 1, Messages.classification("Moth", 0.75)))
                    .replace("\"total_time\"", "\"note\":\"" + note + "\",\"total_time\"");
            return new java.io.ByteArrayInputStream(Messages.bytes(head + result));
        });
        return new SequenceInputStream(Collections.enumeration(
                Stream.concat(parts, Stream.of(new java.io.ByteArrayInputStream(Messages.bytes("]"))))
                        .toList()));
    }
}
