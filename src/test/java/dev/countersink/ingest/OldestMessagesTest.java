package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.ingest.message.Subjects;
import dev.countersink.ingest.nats.NatsLink;
import dev.countersink.ingest.nats.OldestMessages;
import dev.countersink.ingest.nats.ResultsStream;
import dev.countersink.testing.Eventually;
import io.nats.client.api.PublishAck;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** How old the oldest message of each job is. */
class OldestMessagesTest {
    private Rig rig;
    private OldestMessages oldest;

    @BeforeEach
    void open() {
        rig = new Rig();
        oldest = new OldestMessages(new ResultsStream(
                rig.connection(), NatsLink.jetStream(rig.nats().settings())));
    }

    @AfterEach
    void close() {
        rig.close();
    }

    @Test
    void theOldestMessageOfEachSubjectIsFoundAmongThoseOfOthers() throws Exception {
        long first = publish("results.1");
        long other = publish("results.2");
        long second = publish("results.1");
        oldest.look(List.of("results.1", "results.2"));
        assertThat(oldest.published())
                .isEqualTo(Map.of("results.1", time(first), "results.2", time(other), Subjects.ALL, time(first)));
        Instant next = time(second);
        rig.management().deleteMessage(ResultsStream.NAME, first);
        Eventually.await("the next one is the oldest", () -> known("results.1", "results.2"), next::equals);
        oldest.look(List.of("results.2"));
        assertThat(oldest.published()).containsOnlyKeys("results.2", Subjects.ALL);
        oldest.look(List.of());
        assertThat(oldest.published()).isEmpty();
    }

    @Test
    void everySubjectHasItsTurnHoweverManyThereAre() throws Exception {
        List<String> subjects =
                IntStream.rangeClosed(1, 40).mapToObj(i -> "results." + i).toList();
        for (String subject : subjects) {
            publish(subject);
        }
        oldest.look(subjects);
        assertThat(oldest.published()).hasSizeLessThan(40);
        Eventually.await(
                "all are known",
                () -> {
                    oldest.look(subjects);
                    return oldest.published().keySet();
                },
                known -> known.containsAll(subjects));
    }

    @Test
    void aServerThatDoesNotAnswerIsAskedEverLessOften() throws Exception {
        publish("results.1");
        Duration usual = oldest.look(List.of("results.1"));
        rig.management().deleteStream(ResultsStream.NAME);
        Duration once = Eventually.await(
                "the stream is missed", () -> oldest.look(List.of("results.1")), pause -> pause.compareTo(usual) > 0);
        assertThat(oldest.published()).isEmpty();
        assertThat(oldest.look(List.of("results.1"))).isGreaterThan(once);
    }

    private Instant known(String... subjects) {
        oldest.look(List.of(subjects));
        return oldest.published().get(subjects[0]);
    }

    private long publish(String subject) throws Exception {
        PublishAck ack = rig.connection().jetStream().publish(subject, new byte[0]);
        return ack.getSeqno();
    }

    private Instant time(long sequence) throws Exception {
        return rig.management()
                .getMessage(ResultsStream.NAME, sequence)
                .getTime()
                .toInstant();
    }
}
