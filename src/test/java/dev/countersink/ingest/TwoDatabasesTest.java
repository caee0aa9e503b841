package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.DbSettings;
import dev.countersink.db.Database;
import dev.countersink.ingest.nats.ResultsStream;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import io.nats.client.JetStreamApiException;
import io.nats.client.api.ConsumerConfiguration;
import java.io.IOException;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Services of two databases on one stream: each message goes to the first, and the second says so. */
class TwoDatabasesTest {
    private final DbSettings other = TestPostgres.migrated();

    @AutoClose
    private final Rig rig = Rig.seeded(60);

    @Test
    void theMessagesOfAStreamGoToOneDatabase() throws Exception {
        Ingestor first = rig.ingest();
        Eventually.await("the stream has an owner", this::owner, owner -> !owner.isEmpty());
        Ingestor second = rig.ingestFrom(Database.unpooled(other));
        String told = Eventually.await("the second is told", () -> problem(second), problem -> !problem.isEmpty());
        assertThat(told).contains(identity(rig.database()), identity(other));
        publish();
        rig.awaitFinished();
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(60);
        assertThat(count(other, "results.dead_letter")).isZero();
        assertThat(problem(first)).isEmpty();
        assertThat(problem(second)).isEqualTo(told);
    }

    @Test
    void anotherDatabaseTakesOverOnceItIsPermitted() throws Exception {
        Ingestor first = rig.ingest();
        Eventually.await("the stream has an owner", this::owner, owner -> !owner.isEmpty());
        Ingestor second = rig.ingestFrom(Database.unpooled(other));
        Eventually.await("the second is told", () -> problem(second), problem -> !problem.isEmpty());
        first.close();
        rig.management().deleteConsumer(ResultsStream.NAME, ResultsStream.OWNER);
        publish();
        rig.awaitFinished(); // there is no such job
        assertThat(count(other, "results.dead_letter")).isEqualTo(60);
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isZero();
        Eventually.await("nothing is wrong", () -> problem(second), String::isEmpty);
    }

    /** Somebody else becomes the owner while this instance runs. */
    @Test
    void whoLosesTheStreamTakesNoMoreOfItsMessages() throws Exception {
        Ingestor first = rig.ingest();
        publish();
        rig.awaitFinished();
        ConsumerConfiguration claim = rig.management()
                .getConsumerInfo(ResultsStream.NAME, ResultsStream.OWNER)
                .getConsumerConfiguration();
        rig.management()
                .addOrUpdateConsumer(
                        ResultsStream.NAME,
                        ConsumerConfiguration.builder(claim)
                                .description("archive, 1/2")
                                .build());
        assertThat(Eventually.await("it is told", () -> problem(first), problem -> !problem.isEmpty()))
                .contains("archive, 1/2");
        rig.publish("results.1", Messages.result(1));
        rig.management().deleteConsumer(ResultsStream.NAME, ResultsStream.OWNER);
        rig.awaitFinished();
        Eventually.await("nothing is wrong", () -> problem(first), String::isEmpty);
    }

    /** Otherwise the server would remove the consumer, and a restarted service of another database would come first. */
    @Test
    void whoHasNothingToDoKeepsTheStream() {
        rig.ingest();
        Eventually.await("the stream has an owner", this::owner, owner -> !owner.isEmpty());
        Eventually.await(
                "it pulls from the consumer",
                () -> rig.management()
                        .getConsumerInfo(ResultsStream.NAME, ResultsStream.OWNER)
                        .getNumWaiting(),
                waiting -> waiting == 1);
    }

    @Test
    void aMessageToTheOwnersSubjectIsADeadLetter() throws Exception {
        rig.ingest();
        rig.publish("results.countersink.owner", Messages.result(1));
        rig.awaitFinished();
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter WHERE sqlstate = 'RS001'"))
                .isOne();
    }

    private void publish() throws IOException, JetStreamApiException {
        for (int capture = 1; capture <= 60; capture++) {
            rig.publish("results." + (1 + capture % 3), Messages.result(capture));
        }
    }

    private String owner() throws IOException, JetStreamApiException {
        return rig.management().getConsumerNames(ResultsStream.NAME).contains(ResultsStream.OWNER) ? "there" : "";
    }

    private static String problem(Ingestor ingestor) {
        String problem = ingestor.metrics().snapshot().problem();
        return problem == null ? "" : problem;
    }

    private static String identity(DbSettings db) throws Exception {
        try (Sql sql = new Sql(db)) {
            return sql.text("SELECT results.database_identity()");
        }
    }

    private static long count(DbSettings db, String table) throws Exception {
        try (Sql sql = new Sql(db)) {
            return sql.number("SELECT count(*) FROM " + table);
        }
    }
}
