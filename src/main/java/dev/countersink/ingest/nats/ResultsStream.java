package dev.countersink.ingest.nats;

import dev.countersink.config.StartupException;
import dev.countersink.ingest.message.Subjects;
import io.nats.client.Connection;
import io.nats.client.JetStreamApiException;
import io.nats.client.JetStreamManagement;
import io.nats.client.JetStreamOptions;
import io.nats.client.api.AckPolicy;
import io.nats.client.api.ConsumerConfiguration;
import io.nats.client.api.ConsumerInfo;
import io.nats.client.api.DeliverPolicy;
import io.nats.client.api.DiscardPolicy;
import io.nats.client.api.MessageInfo;
import io.nats.client.api.ReplayPolicy;
import io.nats.client.api.RetentionPolicy;
import io.nats.client.api.StorageType;
import io.nats.client.api.StreamConfiguration;
import io.nats.client.api.StreamInfo;
import io.nats.client.api.StreamInfoOptions;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The stream and its consumers, as the server keeps them. */
public final class ResultsStream {
    private static final Logger LOG = LoggerFactory.getLogger(ResultsStream.class);

    public static final String NAME = "RESULTS";
    /** After this time the messages of a crashed instance are delivered again. A running instance extends it more often. */
    public static final Duration ACK_WAIT = Duration.ofSeconds(3);

    /** The consumer whose description names the database of those who take messages. */
    public static final String OWNER = "countersink-owner";

    private static final Duration EXPIRE_AFTER = Duration.ofMinutes(5);
    /** Practically unlimited: the requests of an instance already bound what it holds. */
    private static final long MAX_ACK_PENDING = 1_000_000;

    private static final int STREAM_NOT_FOUND = 10059;
    private static final int NAME_IN_USE = 10058;
    private static final int CONSUMER_NOT_FOUND = 10014;
    private static final int MESSAGE_NOT_FOUND = 10037;
    private static final int TOO_MANY_CONSUMERS = 10026;
    private static final int ACK_PENDING_EXCEEDED = 10121;

    /** To tell the messages of so many subjects apart takes the server a second, and this program its memory. */
    private static final long MOST_SUBJECTS = 5_000;
    /** From so many on they are told apart again. */
    private static final long FEW_SUBJECTS = 1_000;

    private final JetStreamManagement management;
    private boolean crowded;
    /** When it was looked at last; the first look is careful. */
    private long subjects = Long.MAX_VALUE;
    /** 0 if the server permits fewer: then as many as it gives by itself. */
    private volatile long maxAckPending = MAX_ACK_PENDING;
    /** How many messages may be requested at once, as the server has set it; not positive for any number. */
    private volatile long maxBatch = -1;

    public ResultsStream(Connection connection, JetStreamOptions options) {
        try {
            this.management = connection.jetStreamManagement(options);
        } catch (IOException e) {
            throw new StartupException(
                    "JetStream cannot be used: " + e.getMessage() + ".", "Is the server reachable?", e);
        }
    }

    /**
     * The stream at one moment.
     *
     * @param backlog the number of messages of each subject that has any, with those in work; unknown if crowded
     * @param crowded whether there are too many subjects to tell them apart
     * @param messages of all subjects, including those that are none of Countersink's
     * @param created if this changes, the stream was made again
     * @param problem why it is unsuitable, as a sentence, or null
     */
    record State(
            Map<String, Long> backlog,
            boolean crowded,
            long subjects,
            long messages,
            ZonedDateTime created,
            long firstSequence,
            long lastSequence,
            @Nullable String problem) {}

    /**
     * Makes the stream if it does not exist.
     *
     * @throws StartupException if JetStream is off, or a stream of that name has another purpose
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
            Optional<Unsuitable> found = problem(findOrMake().getConfiguration());
            if (found.isPresent()) {
                throw new StartupException(found.get().sentence(), found.get().hint());
            }
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
                    // If somebody sets a limit later, publishers get an error, and no message is dropped.
                    .discardPolicy(DiscardPolicy.New)
                    .build());
        } catch (JetStreamApiException e) {
            if (e.getApiErrorCode() == NAME_IN_USE) {
                return management.getStreamInfo(NAME);
            }
            throw e;
        }
    }

    private record Unsuitable(String sentence, String hint) {}

    private static Optional<Unsuitable> problem(StreamConfiguration found) {
        if (!found.getSubjects().equals(List.of(Subjects.ALL))) {
            return foreign("the subjects " + found.getSubjects(), "[" + Subjects.ALL + "]");
        }
        if (found.getRetentionPolicy() != RetentionPolicy.WorkQueue) {
            return foreign("the retention '" + found.getRetentionPolicy() + "'", "'workqueue'");
        }
        if (found.getSealed()) {
            return Optional.of(new Unsuitable(
                    String.format(
                            Locale.ROOT,
                            "The stream %s is sealed, so that no message can leave it, and none can be published.",
                            NAME),
                    "That cannot be undone: remove the stream, and let Countersink make its own."));
        }
        if (found.getSubjectTransform() != null) {
            return foreign("a subject transform", "none");
        }
        if (found.getAllowRollup()) {
            return dropping("allow_rollup_hdrs, with which a message may remove others", "Set it to false.");
        }
        if (found.getStorageType() != StorageType.File) {
            return foreign("the storage '" + found.getStorageType() + "'", "'file'");
        }
        if (!found.getMaxAge().isZero()) {
            return dropping("a max_age of " + found.getMaxAge(), "Remove max_age.");
        }
        boolean limited = found.getMaxMsgs() > 0 || found.getMaxBytes() > 0;
        if (limited && found.getDiscardPolicy() != DiscardPolicy.New) {
            return dropping(
                    "a limit and discards old messages", "Set its discard policy to 'new', or remove the limit.");
        }
        if (found.getMaxMsgsPerSubject() > 0
                && !(found.getDiscardPolicy() == DiscardPolicy.New && found.isDiscardNewPerSubject())) {
            return dropping(
                    "max_msgs_per_subject and discards old messages",
                    "Set its discard policy to 'new' for each subject, or remove the limit.");
        }
        return Optional.empty();
    }

    private static Optional<Unsuitable> foreign(String has, String needed) {
        return Optional.of(new Unsuitable(
                String.format(Locale.ROOT, "The stream %s has %s, but Countersink needs %s.", NAME, has, needed),
                "It belongs to something else: use another NATS account,"
                        + " or remove the stream and let Countersink make its own."));
    }

    private static Optional<Unsuitable> dropping(String has, String hint) {
        return Optional.of(new Unsuitable(
                String.format(
                        Locale.ROOT,
                        "The stream %s has %s, so that messages are lost before they are applied.",
                        NAME,
                        has),
                hint));
    }

    /** The stream as it is now; empty if it does not exist. */
    Optional<State> state() throws IOException, JetStreamApiException {
        try {
            if (crowded || subjects > MOST_SUBJECTS / 2) {
                subjects = management.getStreamInfo(NAME).getStreamState().getSubjectCount();
                crowded = subjects > (crowded ? FEW_SUBJECTS : MOST_SUBJECTS);
            }
            StreamInfo info = crowded
                    ? management.getStreamInfo(NAME)
                    : management.getStreamInfo(NAME, StreamInfoOptions.filterSubjects(Subjects.ALL));
            subjects = info.getStreamState().getSubjectCount();
            Map<String, Long> backlog = info.getStreamState().getSubjectMap();
            String problem = problem(info.getConfiguration())
                    .map(found -> found.sentence() + " " + found.hint())
                    .orElse(null);
            return Optional.of(new State(
                    backlog == null ? Map.of() : backlog,
                    crowded,
                    subjects,
                    info.getStreamState().getMsgCount(),
                    info.getCreateTime(),
                    info.getStreamState().getFirstSequence(),
                    info.getStreamState().getLastSequence(),
                    problem));
        } catch (JetStreamApiException e) {
            if (e.getApiErrorCode() == STREAM_NOT_FOUND) {
                return Optional.empty();
            }
            throw e;
        }
    }

    /** The number of messages to other subjects, as they come from sources of the stream. */
    long foreignMessages() throws IOException, JetStreamApiException {
        Map<String, Long> all = management
                .getStreamInfo(NAME, StreamInfoOptions.allSubjects())
                .getStreamState()
                .getSubjectMap();
        return all.entrySet().stream()
                .filter(subject -> !subject.getKey().startsWith(Subjects.PREFIX))
                .mapToLong(Map.Entry::getValue)
                .sum();
    }

    /**
     * Makes the consumer of a subject if it does not exist, and sets it right if somebody has changed it. A consumer that nobody
     * pulls from expires by itself.
     *
     * @return how many messages may be requested at once; empty if there may be no more consumers
     */
    OptionalInt openConsumer(String subject) throws IOException, JetStreamApiException {
        try {
            return made(subject);
        } catch (JetStreamApiException e) {
            if (e.getApiErrorCode() == TOO_MANY_CONSUMERS) {
                return OptionalInt.empty();
            }
            if (e.getApiErrorCode() == ACK_PENDING_EXCEEDED && maxAckPending != 0) {
                maxAckPending = 0;
                return openConsumer(subject);
            }
            // Some of its settings cannot be changed.
            if (consumer(subject).filter(found -> !isAsMade(found, subject)).isEmpty()) {
                throw e;
            }
        }
        removeConsumer(subject);
        return made(subject);
    }

    /** The answer shows what limits the server has set by itself. */
    private OptionalInt made(String subject) throws IOException, JetStreamApiException {
        maxBatch = management
                .addOrUpdateConsumer(NAME, configuration(subject))
                .getConsumerConfiguration()
                .getMaxBatch();
        return OptionalInt.of(maxBatch <= 0 ? Integer.MAX_VALUE : (int) Math.min(maxBatch, Integer.MAX_VALUE));
    }

    private ConsumerConfiguration configuration(String subject) {
        ConsumerConfiguration.Builder builder = ConsumerConfiguration.builder()
                .durable(Subjects.consumerName(subject))
                .filterSubject(subject)
                .deliverPolicy(DeliverPolicy.All)
                .ackPolicy(AckPolicy.Explicit)
                .ackWait(ACK_WAIT)
                .maxDeliver(-1)
                .inactiveThreshold(EXPIRE_AFTER);
        return maxAckPending == 0
                ? builder.build()
                : builder.maxAckPending(maxAckPending).build();
    }

    /**
     * The database of those who take messages from the stream. If there is none, it is this one.
     *
     * @return empty if the server lets nobody say so: it may have no more consumers, or somebody's own takes all subjects
     */
    Optional<String> ownerOr(String identity) throws IOException, JetStreamApiException {
        try {
            return Optional.of(ownerIn(management.getConsumerInfo(NAME, OWNER)));
        } catch (JetStreamApiException e) {
            if (e.getApiErrorCode() != CONSUMER_NOT_FOUND) {
                throw e;
            }
        }
        try {
            return Optional.of(ownerIn(management.addOrUpdateConsumer(
                    NAME,
                    ConsumerConfiguration.builder()
                            .durable(OWNER)
                            .description(identity)
                            .filterSubject(Subjects.OWNER)
                            .ackPolicy(AckPolicy.Explicit)
                            .inactiveThreshold(EXPIRE_AFTER)
                            .build())));
        } catch (JetStreamApiException e) {
            if (e.getApiErrorCode() == STREAM_NOT_FOUND) {
                throw e;
            }
            LOG.debug("The stream's owner cannot be named: {}", e.getMessage());
            return Optional.empty();
        }
    }

    private static String ownerIn(ConsumerInfo consumer) {
        String description = consumer.getConsumerConfiguration().getDescription();
        return description == null ? "" : description;
    }

    /** Whoever comes first is the owner now. */
    public void disown() throws IOException, JetStreamApiException {
        remove(OWNER);
    }

    /** Whether a consumer has the settings on which it depends what is delivered and when. */
    boolean isAsMade(ConsumerInfo consumer, String subject) {
        ConsumerConfiguration found = consumer.getConsumerConfiguration();
        return subject.equals(found.getFilterSubject())
                && found.getDeliverSubject() == null
                && found.getDeliverPolicy() == DeliverPolicy.All
                && found.getAckPolicy() == AckPolicy.Explicit
                && found.getReplayPolicy() == ReplayPolicy.Instant
                && ACK_WAIT.equals(found.getAckWait())
                && found.getMaxDeliver() <= 0
                && (maxAckPending == 0 || found.getMaxAckPending() == maxAckPending)
                && Math.max(found.getMaxBatch(), 0) == Math.max(maxBatch, 0)
                && found.getMaxBytes() <= 0
                && found.getPauseUntil() == null
                && !found.isHeadersOnly();
    }

    /** The consumer of a subject as it is now; empty if it does not exist. */
    Optional<ConsumerInfo> consumer(String subject) throws IOException, JetStreamApiException {
        try {
            return Optional.of(management.getConsumerInfo(NAME, Subjects.consumerName(subject)));
        } catch (JetStreamApiException e) {
            if (e.getApiErrorCode() == CONSUMER_NOT_FOUND || e.getApiErrorCode() == STREAM_NOT_FOUND) {
                return Optional.empty();
            }
            throw e;
        }
    }

    /** Removes the consumer of a subject. A new one then delivers every message in the stream. */
    void removeConsumer(String subject) throws IOException, JetStreamApiException {
        remove(Subjects.consumerName(subject));
    }

    private void remove(String consumer) throws IOException, JetStreamApiException {
        try {
            management.deleteConsumer(NAME, consumer);
        } catch (JetStreamApiException e) {
            if (e.getApiErrorCode() != CONSUMER_NOT_FOUND) {
                throw e;
            }
        }
    }

    /** The first message from this sequence number on; empty if there is none. */
    Optional<MessageInfo> nextMessage(long sequence) throws IOException, JetStreamApiException {
        try {
            return Optional.of(management.getNextMessage(NAME, sequence, Subjects.ALL));
        } catch (JetStreamApiException e) {
            if (e.getApiErrorCode() == MESSAGE_NOT_FOUND) {
                return Optional.empty();
            }
            throw e;
        }
    }

    /** When the oldest message of a subject was published; empty if there is none. */
    Optional<Instant> oldest(String subject) throws IOException, JetStreamApiException {
        try {
            MessageInfo first = management.getFirstMessage(NAME, subject);
            return Optional.ofNullable(first.getTime()).map(ZonedDateTime::toInstant);
        } catch (JetStreamApiException e) {
            if (e.getApiErrorCode() == MESSAGE_NOT_FOUND) {
                return Optional.empty();
            }
            throw e;
        }
    }

    /** Removes a message by its sequence number. It is no error if it is gone already. */
    void removeMessage(long sequence) throws IOException, JetStreamApiException {
        try {
            management.deleteMessage(NAME, sequence, false);
        } catch (JetStreamApiException e) {
            if (nextMessage(sequence).filter(m -> m.getSeq() == sequence).isPresent()) {
                throw e;
            }
        }
    }
}
