package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.ingest.Messages;
import dev.countersink.ingest.Rig;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.TestInstance;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Jobs from their first result to their last. */
class JobsTest {
    private static Rig rig;
    private static TestInstance instance;

    @BeforeAll
    static void start() {
        rig = new Rig();
        rig.seed(100);
        rig.execute("UPDATE results.job SET total_captures = 4");
        instance = TestInstance.start(rig.database(), rig.nats(), Map.of("countersink.ingest.failed-share", "0.25"));
    }

    @AfterAll
    static void stop() {
        if (instance != null) {
            instance.close();
        }
        rig.close();
    }

    @Test
    void aJobRunsFromItsFirstResultToItsLast() throws Exception {
        JsonNode pending = awaitState(1, "pending");
        assertThat(pending.path("started_at").isNull()).isTrue();
        rig.publish("results.1", Messages.result(1));
        JsonNode running = awaitState(1, "running");
        assertThat(running.path("started_at").isNull()).isFalse();
        assertThat(running.path("finished_at").isNull()).isTrue();
        assertThat(running.path("idle_seconds").isNumber()).isTrue();
        rig.publish("results.1", Messages.result(2));
        rig.publish("results.1", Messages.result(3));
        rig.publish("results.1", Messages.error(4, "blurred"));
        JsonNode done = awaitState(1, "succeeded"); // a quarter has failed, and that is allowed
        assertThat(done.path("processed").asInt()).isEqualTo(3);
        assertThat(done.path("failed").asInt()).isEqualTo(1);
        assertThat(done.path("started_at")).isEqualTo(running.path("started_at"));
        assertThat(done.path("finished_at").isNull()).isFalse();
        assertThat(done.path("idle_seconds").isNull()).isTrue();
        assertThat(done.path("status").asString()).isEqualTo("created");

        rig.execute("UPDATE results.job SET total_captures = 5 WHERE id = 1");
        assertThat(awaitState(1, "running").path("finished_at").isNull()).isTrue();
    }

    @Test
    void aJobWithTooManyFailedCapturesHasFailedUntilTheySucceed() throws Exception {
        for (int capture = 11; capture <= 14; capture++) {
            rig.publish(
                    "results.2", capture < 13 ? Messages.result(capture) : Messages.error(capture, "out of memory"));
        }
        JsonNode failed = awaitState(2, "failed");
        assertThat(failed.path("failed").asInt()).isEqualTo(2);
        rig.publish("results.2", Messages.result(13));
        assertThat(awaitState(2, "succeeded").path("failed").asInt()).isEqualTo(1);
    }

    @Test
    void jobsAreListedPageByPage() {
        JsonNode first = instance.get("/api/jobs?limit=2&fields=id,state").json();
        assertThat(first.path("items").get(1).path("id").asLong()).isEqualTo(2);
        JsonNode second = instance.get(first.path("next").asString()).json();
        assertThat(second.path("items").get(0).path("id").asLong()).isEqualTo(3);
        assertThat(instance.get("/api/jobs/999").status()).isEqualTo(404);
    }

    @Test
    void aJobWithMessagesIsShownWithItsState() throws Exception {
        try (java.sql.Connection holder = rig.dataSource().getConnection()) {
            holder.setAutoCommit(false);
            holder.createStatement().execute("LOCK TABLE results.job_capture IN ACCESS EXCLUSIVE MODE");
            rig.publish("results.3", Messages.error(31, "blurred"));
            JsonNode job = Eventually.await(
                    "the job has a backlog",
                    () -> instance.get("/api/ingest").json().path("jobs").path(0),
                    found -> found.path("jobId").asLong(0) == 3);
            assertThat(job.path("messages").asInt()).isEqualTo(1);
            assertThat(job.path("state").asString()).isEqualTo("pending");
            assertThat(job.path("total").asInt()).isEqualTo(4);
            assertThat(job.has("etaSeconds")).isTrue();
            holder.rollback();
        }
        awaitState(3, "running");
    }

    private static JsonNode awaitState(int job, String state) {
        return Eventually.await(
                "job " + job + " is " + state,
                () -> instance.get("/api/jobs/" + job).json(),
                found -> found.path("state").asString("").equals(state));
    }
}
