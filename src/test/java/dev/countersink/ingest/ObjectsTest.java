package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.MessageSettings;
import dev.countersink.ingest.db.Replays;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.ingest.message.MissingObjectException;
import dev.countersink.ingest.nats.NatsLink;
import dev.countersink.ingest.nats.NatsObjects;
import dev.countersink.ingest.nats.ResultsStream;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import io.nats.client.ObjectStore;
import io.nats.client.api.ObjectInfo;
import io.nats.client.api.ObjectStoreConfiguration;
import io.nats.client.impl.Headers;
import io.nats.client.impl.NatsMessage;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Messages whose content is an object of NATS's object store. */
class ObjectsTest {
    private Rig rig;
    private ObjectStore store;
    private MessageDecoder decoder;

    @BeforeEach
    void open() throws Exception {
        rig = new Rig();
        rig.seed(10);
        rig.connection()
                .objectStoreManagement()
                .create(ObjectStoreConfiguration.builder("payloads").build());
        store = rig.connection().objectStore("payloads");
        decoder = new MessageDecoder(
                MessageSettings.defaults(),
                new NatsObjects(rig.connection(), NatsLink.jetStream(rig.nats().settings())));
    }

    @AfterEach
    void close() {
        rig.close();
    }

    @Test
    void aMessageOfAnObjectIsAppliedAndItsObjectRemoved() throws Exception {
        byte[] text = Messages.bytes(Messages.result(1, Messages.detection(1, 1)));
        byte[] large = Arrays.copyOf(text, 3_000_000);
        Arrays.fill(large, text.length, large.length, (byte) ' ');
        store.put("nights/1.json", large);
        rig.ingest(decoder);
        publish("payloads/nights/1.json");
        rig.awaitFinished();
        assertThat(rig.rows("SELECT reason FROM results.dead_letter")).isEmpty();
        assertThat(rig.number("SELECT count(*) FROM results.detection WHERE bbox IS NOT NULL"))
                .isOne();
        Eventually.await(
                "the object is removed", Duration.ofSeconds(30), () -> isThere("nights/1.json"), there -> !there);
    }

    @Test
    void anObjectThatADeadLetterRefersToStaysAndIsReplayed() throws Exception {
        store.put("late", Messages.bytes(Messages.result(77)));
        store.put("part", Messages.bytes("[" + Messages.result(2) + "," + Messages.result(78) + "]"));
        rig.ingest(decoder);
        publish("payloads/late");
        publish("payloads/part");
        publish("payloads/none");
        publish("nowhere/none");
        publish("payloads");
        rig.awaitFinished();
        assertThat(rig.rows("SELECT sqlstate, reason, length(payload) FROM results.dead_letter ORDER BY stream_seq"))
                .containsExactly(
                        List.of("RS004", "There is no capture 77.", 0),
                        List.of(
                                "RS004",
                                "The result at /1: There is no capture 78.",
                                Messages.result(78).length()),
                        List.of("RS014", "There is no object \"none\" in bucket \"payloads\".", 0),
                        List.of("RS014", "There is no object \"none\" in bucket \"nowhere\".", 0),
                        List.of(
                                "RS010",
                                "The message cannot be decoded: its Countersink-Object is \"payloads\", not bucket/name.",
                                0));
        assertThat(rig.number("SELECT count(*) FROM results.job_capture WHERE capture_id = 2"))
                .isOne();
        Eventually.await(
                "the object of the parts is removed", Duration.ofSeconds(30), () -> isThere("part"), there -> !there);
        assertThat(isThere("late")).isTrue();
        rig.execute("INSERT INTO results.capture (id, project_id, deployment_id, path) VALUES (77, 1, 1, 'late.jpg')");
        long id = rig.number("SELECT id FROM results.dead_letter WHERE reason LIKE '%77%'");
        assertThat(new Replays(rig.dataSource(), decoder).replay(id)).isEmpty();
        assertThat(rig.number("SELECT count(*) FROM results.job_capture WHERE capture_id = 77"))
                .isOne();
    }

    @Test
    void aMessageThatComesAgainAfterItsObjectWasRemovedChangesNothing() throws Exception {
        store.put("night", Messages.bytes(Messages.result(1, Messages.detection(1, 1))));
        rig.ingest(decoder);
        publish("payloads/night");
        rig.awaitFinished();
        Eventually.await("the object is removed", () -> isThere("night"), there -> !there);
        publish("payloads/night");
        rig.awaitFinished();
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
        publish("results.2", "payloads/night"); // this job has not had it
        rig.awaitFinished();
        assertThat(rig.rows("SELECT sqlstate, subject FROM results.dead_letter"))
                .containsExactly(List.of("RS014", "results.2"));
        store.put("night", Messages.bytes(Messages.result(2)));
        store.delete("night");
        publish("payloads/night");
        rig.awaitFinished();
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter WHERE subject = 'results.1'"))
                .as("of what somebody else has removed")
                .isOne();
    }

    @Test
    void anObjectThatIsReplacedWhileItsMessageIsAppliedIsNotRemoved() throws Exception {
        store.put("latest", Messages.bytes(Messages.result(1)));
        Ingestor ingestor = rig.ingest(decoder);
        try (Sql locker = new Sql(rig.database())) {
            locker.run("BEGIN; LOCK TABLE results.job_capture IN ACCESS EXCLUSIVE MODE");
            publish("payloads/latest");
            Eventually.await("it is read", () -> ingestor.metrics().snapshot().held(), held -> held == 1);
            store.put("latest", Messages.bytes(Messages.result(2)));
            locker.run("COMMIT");
        }
        rig.awaitFinished();
        publish("payloads/latest");
        rig.awaitFinished();
        assertThat(rig.number("SELECT count(*) FROM results.job_capture WHERE capture_id IN (1, 2)"))
                .isEqualTo(2);
        Eventually.await("then it is removed", () -> isThere("latest"), there -> !there);
    }

    @Test
    void aSlowObjectDelaysNoMessageWithoutOne() throws Exception {
        CountDownLatch answered = new CountDownLatch(1);
        rig.ingest(new MessageDecoder(MessageSettings.defaults(), (bucket, name, most) -> {
            try {
                answered.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            throw new MissingObjectException(bucket, name);
        }));
        publish("payloads/slow");
        publish("payloads/slower");
        Eventually.await(
                "there is a consumer",
                () -> rig.management().getConsumerNames(ResultsStream.NAME),
                names -> names.contains("job-1"));
        Eventually.await(
                "they are delivered",
                () -> rig.management()
                        .getConsumerInfo(ResultsStream.NAME, "job-1")
                        .getNumAckPending(),
                pending -> pending == 2);
        rig.publish("results.1", Messages.result(1));
        rig.publish("results.2", Messages.result(2));
        Eventually.await("the others are applied", rig::left, left -> left == 2);
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(2);
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
        answered.countDown();
        rig.awaitFinished();
        assertThat(rig.rows("SELECT sqlstate FROM results.dead_letter"))
                .containsExactly(List.of("RS014"), List.of("RS014"));
    }

    private boolean isThere(String name) throws Exception {
        ObjectInfo info = store.getInfo(name);
        return info != null && !info.isDeleted();
    }

    private void publish(String object) throws Exception {
        publish("results.1", object);
    }

    private void publish(String subject, String object) throws Exception {
        rig.connection()
                .jetStream()
                .publish(NatsMessage.builder()
                        .subject(subject)
                        .headers(new Headers().add("Countersink-Object", object))
                        .build());
    }
}
