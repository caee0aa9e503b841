package dev.countersink.ingest.nats;

import dev.countersink.config.StartupException;
import dev.countersink.ingest.message.Subjects;
import io.nats.client.Connection;
import io.nats.client.JetStreamApiException;
import io.nats.client.JetStreamManagement;
import io.nats.client.api.AckPolicy;
import io.nats.client.api.ConsumerConfiguration;
import io.nats.client.api.DeliverPolicy;
import io.nats.client.api.RetentionPolicy;
import io.nats.client.api.StorageType;
import io.nats.client.api.StreamConfiguration;
import io.nats.client.api.StreamInfo;
import io.nats.client.api.StreamInfoOptions;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The stream and its consumers, as the server keeps them. */
public final class ResultsStream {
    public static final String NAME = "RESULTS";
    public static final Duration ACK_WAIT = Duration.ofSeconds(30);
    private static final Duration EXPIRE_AFTER = Duration.ofMinutes(5);
    /** No bound that is ever met: what an instance holds is bounded by what it asks for. */
    private static final long MAX_ACK_PENDING = 1_000_000;

    private static final int STREAM_NOT_FOUND = 10059;
    private static final int NAME_IN_USE = 10058;

    private final JetStreamManagement management;

    public ResultsStream(Connection connection) {
        try {
            this.management = connection.jetStreamManagement();
        } catch (IOException e) {
            throw new StartupException(
                    "JetStream cannot be used: " + e.getMessage() + ".", "Is the server reachable?", e);
        }
    }

    /**
     * Makes the stream unless it is there.
     *
     * @throws StartupException if JetStream is off, or there is a stream of that name for something else
     */
    public void ensure() {
        try {
            management.getAccountStatistics();
        } catch (IOException | JetStreamApiException e) {
            throw new StartupException(
                    String.format(
                            Locale.ROOT, "The NATS server has no JetStream for this account: %s.", e.getMessage()),
                    "Start the server with JetStream ('nats-server -js', or a jetstream block in its configuration),"
                            + " and enable it for the account.",
                    e);
        }
        try {
            check(findOrMake().getConfiguration());
        } catch (IOException | JetStreamApiException e) {
            throw new StartupException(
                    String.format(Locale.ROOT, "The stream %s can neither be read nor made: %s.", NAME, e.getMessage()),
                    "Look for another stream with subjects under 'results.', and at the account's rights and limits.",
                    e);
        }
    }

    private StreamInfo findOrMake() throws IOException, JetStreamApiException {
        try {
            return management.getStreamInfo(NAME);
        } catch (JetStreamApiException e) {
            if (e.getApiErrorCode() != STREAM_NOT_FOUND) {
                throw e;
            }
        }
        try {
            return management.addStream(StreamConfiguration.builder()
                    .name(NAME)
                    .description("Results of ML pipelines for Countersink; a message leaves when it is acked")
                    .subjects(Subjects.ALL)
                    .storageType(StorageType.File)
                    .retentionPolicy(RetentionPolicy.WorkQueue)
                    .build());
        } catch (JetStreamApiException e) {
            if (e.getApiErrorCode() == NAME_IN_USE) {
                return management.getStreamInfo(NAME);
            }
            throw e;
        }
    }

    private static void check(StreamConfiguration found) {
        if (!found.getSubjects().equals(List.of(Subjects.ALL))) {
            throw unsuitable("the subjects " + found.getSubjects(), "[" + Subjects.ALL + "]");
        }
        if (found.getRetentionPolicy() != RetentionPolicy.WorkQueue) {
            throw unsuitable("the retention '" + found.getRetentionPolicy() + "'", "'workqueue'");
        }
        if (found.getStorageType() != StorageType.File) {
            throw unsuitable("the storage '" + found.getStorageType() + "'", "'file'");
        }
    }

    private static StartupException unsuitable(String has, String needed) {
        return new StartupException(
                String.format(Locale.ROOT, "The stream %s has %s, but Countersink needs %s.", NAME, has, needed),
                "It belongs to something else: use another NATS account,"
                        + " or remove the stream and let Countersink make its own.");
    }

    /** The subjects that have messages, with how many, those in work included. */
    public Map<String, Long> backlog() throws IOException, JetStreamApiException {
        return management
                .getStreamInfo(NAME, StreamInfoOptions.filterSubjects(Subjects.ALL))
                .getStreamState()
                .getSubjectMap();
    }

    /** Makes the consumer of a subject unless it is there; one that nobody pulls from expires by itself. */
    public void openConsumer(String subject) throws IOException, JetStreamApiException {
        management.addOrUpdateConsumer(
                NAME,
                ConsumerConfiguration.builder()
                        .durable(Subjects.consumerName(subject))
                        .filterSubject(subject)
                        .deliverPolicy(DeliverPolicy.All)
                        .ackPolicy(AckPolicy.Explicit)
                        .ackWait(ACK_WAIT)
                        .maxDeliver(-1)
                        .maxAckPending(MAX_ACK_PENDING)
                        .inactiveThreshold(EXPIRE_AFTER)
                        .build());
    }
}
