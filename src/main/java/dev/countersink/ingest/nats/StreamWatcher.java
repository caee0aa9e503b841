package dev.countersink.ingest.nats;

import dev.countersink.config.StartupException;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.ingest.message.Subjects;
import io.nats.client.JetStreamApiException;
import io.nats.client.api.ConsumerInfo;
import java.io.IOException;
import java.time.Duration;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks at the stream periodically: opens a consumer for each subject with messages, and makes again what the server has lost.
 * Not thread-safe.
 */
public final class StreamWatcher {
    private static final Logger LOG = LoggerFactory.getLogger(StreamWatcher.class);
    private static final int MOST_OPEN = 256;
    private static final Duration IDLE_AFTER = Duration.ofMinutes(1);
    private static final Duration TURN = Duration.ofSeconds(2);
    /** A subject from which no messages arrive is checked after this time, then less and less often. */
    private static final long FIRST_CHECK_NANOS = Duration.ofMillis(1500).toNanos();

    private static final int CHECK_DOUBLINGS = 3;
    /** What cannot be made is tried again after at most 48 s. */
    private static final int TROUBLE_DOUBLINGS = 5;
    /** For how long fewer consumers are used after the server refused to make more. */
    private static final long LIMITED_NANOS = Duration.ofMinutes(5).toNanos();

    private static final int LOOKS_BEFORE_COUNT = 20;
    /** So often pulls are only renewed; that takes some 20 s. */
    private static final int CHECKS_IN_VAIN = 3;

    private final ResultsStream stream;
    private final Intake intake;
    private final Listener listener;
    private final long turnMessages;
    private final SequenceReader reader;
    private final Ownership ownership;
    private final Rotation rotation = new Rotation(MOST_OPEN);
    private final Map<String, Progress> progress = new HashMap<>();
    private final Map<String, Trouble> troubles = new HashMap<>();
    /** Subjects that gave way to others; their consumers are still there. */
    private final Set<String> gaveWay = new LinkedHashSet<>();

    private @Nullable ZonedDateTime created;
    private @Nullable String problem;
    private @Nullable String failure;
    private boolean crowded;
    private int looksWithMore;
    /** That there are messages which nobody applies, as a sentence, or null. */
    private @Nullable String foreign;

    private long limitedNanos = System.nanoTime();
    private volatile boolean stopped;

    /**
     * A subject with messages in the stream.
     *
     * @param open whether this instance pulls from it
     * @param stalledNanos for how long no instance has finished any of its messages
     */
    public record Subject(String name, long messages, boolean open, long stalledNanos) {}

    /** Is called with the result of each look. */
    public interface Listener {
        /** @param problem why the stream is not usable at present, as a sentence, or null */
        void looked(@Nullable List<Subject> subjects, @Nullable String problem);
    }

    /** Why the consumer of one subject cannot be made or looked at, and when to try again. The others do not depend on it. */
    private static final class Trouble {
        private String what = "";
        private int times;
        private long againNanos = System.nanoTime();
    }

    /** @param turnMessages how many messages a subject may deliver before another one replaces it */
    public StreamWatcher(
            ResultsStream stream,
            Intake intake,
            MessageDecoder decoder,
            long turnMessages,
            Ownership ownership,
            Listener listener) {
        this.stream = stream;
        this.ownership = ownership;
        this.intake = intake;
        this.listener = listener;
        this.turnMessages = turnMessages;
        this.reader = new SequenceReader(stream, intake, decoder);
    }

    /** The last known state of a subject. */
    private static final class Progress {
        private long messages;
        private long movedNanos = System.nanoTime();
        private long checkedNanos = movedNanos;
        private int checks;
        private long ackFloor = -1;
        private boolean leftOver;

        void moved(long now) {
            movedNanos = Math.max(movedNanos, now);
            checks = 0;
            leftOver = false;
        }
    }

    /**
     * Looks once. Errors of the server are logged, not raised.
     *
     * @return how long the server took to tell the state of the stream. The time to open consumers is no part of it: it is spent
     *     once for each subject, and a reason to look again soon
     */
    public Duration look() {
        long begin = System.nanoTime();
        Duration took = Duration.ZERO;
        try {
            Optional<ResultsStream.State> state = stream.state();
            took = Duration.ofNanos(System.nanoTime() - begin);
            if (state.isEmpty()) {
                LOG.warn("The stream {} is gone; it is made anew", ResultsStream.NAME);
                stream.ensure();
                return took;
            }
            look(state.get());
            failure = null;
        } catch (StartupException e) {
            complain(e.getMessage() + " " + e.hint());
        } catch (IOException | JetStreamApiException | IllegalStateException e) {
            complain("The stream cannot be looked at: " + e.getMessage());
        }
        return took;
    }

    /** From now on nothing is wrong if the stream cannot be looked at. */
    public void stop() {
        stopped = true;
    }

    private void complain(String what) {
        if (stopped) {
            return;
        }
        if (!Objects.equals(failure, what)) {
            LOG.warn("{}; trying again", what);
        }
        failure = what;
        listener.looked(null, what);
    }

    private void look(ResultsStream.State state) throws IOException, JetStreamApiException {
        noteProblem(state.problem());
        if (created != null && !created.equals(state.created())) {
            LOG.warn("The stream {} was made anew; so are its consumers", ResultsStream.NAME);
            rotation.opened().forEach(this::lose);
        }
        created = state.created();
        intake.takeLost().forEach(this::lose);
        if (!ownership.mayTake()) {
            List.copyOf(rotation.opened()).forEach(this::lose);
            watch(state.crowded() ? Map.of(Subjects.ALL, state.messages()) : state.backlog());
            return;
        }
        noteCrowd(state);
        if (state.crowded()) {
            // Consumers that are open go on.
            reader.look(state);
            watchCrowd(state);
            return;
        }
        if (System.nanoTime() - limitedNanos > LIMITED_NANOS) {
            rotation.limit(MOST_OPEN);
        }
        Map<String, Long> filterable = new HashMap<>(state.backlog());
        troubles.keySet().retainAll(filterable.keySet());
        filterable.keySet().removeIf(subject -> !Subjects.isFilterable(subject) || isPutOff(subject));
        Rotation.Change change = rotation.next(
                filterable.keySet(),
                subject -> intake.nothingSince(subject, IDLE_AFTER),
                subject -> intake.hasServed(subject, turnMessages, TURN));
        change.close().forEach(intake::close);
        gaveWay.addAll(change.close());
        change.open().forEach(this::open);
        lookForForeign(state);
        watch(state.backlog());
        reader.look(state);
    }

    private void noteProblem(@Nullable String found) {
        if (found != null && !found.equals(problem)) {
            LOG.error("{}", found);
        } else if (found == null && problem != null) {
            LOG.info("The stream {} is suitable again", ResultsStream.NAME);
        }
        problem = found;
    }

    /**
     * Messages to other subjects are delivered to nobody. That there are more messages than the subjects have may also come from acks
     * between the two figures; so it is looked into only if that lasts.
     */
    private void lookForForeign(ResultsStream.State state) throws IOException, JetStreamApiException {
        long known = state.backlog().values().stream().mapToLong(n -> n).sum();
        looksWithMore = state.messages() > known ? looksWithMore + 1 : 0;
        if (looksWithMore % LOOKS_BEFORE_COUNT != 0) {
            return;
        }
        long number = looksWithMore == 0 ? 0 : stream.foreignMessages();
        if (number > 0 && foreign == null) {
            LOG.warn(
                    "{} messages in {} are to subjects that do not begin with {}",
                    number,
                    ResultsStream.NAME,
                    Subjects.PREFIX);
        }
        foreign = number == 0
                ? null
                : String.format(
                        Locale.ROOT,
                        "The stream %s has %d messages to subjects that do not begin with %s, so that nobody applies"
                                + " them. Look at its sources, and purge those messages.",
                        ResultsStream.NAME,
                        number,
                        Subjects.PREFIX);
    }

    private @Nullable String firstProblem() {
        if (problem != null) {
            return problem;
        }
        if (ownership.refusal() != null) {
            return ownership.refusal();
        }
        return foreign == null ? firstTrouble() : foreign;
    }

    private void noteCrowd(ResultsStream.State state) {
        if (state.crowded() && !crowded) {
            LOG.warn(
                    "The messages in {} have {} subjects, too many for a consumer each; they are read one by one."
                            + " A subject is meant to be {}<job_id>",
                    ResultsStream.NAME,
                    state.subjects(),
                    Subjects.PREFIX);
        } else if (!state.crowded() && crowded) {
            LOG.info("The messages in {} have few subjects again", ResultsStream.NAME);
        }
        crowded = state.crowded();
    }

    /** All subjects together are told as one. */
    private void watchCrowd(ResultsStream.State state) {
        progress.keySet().retainAll(Set.of(Subjects.ALL));
        Progress seen = progress.computeIfAbsent(Subjects.ALL, name -> new Progress());
        long now = System.nanoTime();
        if (state.messages() < seen.messages) {
            seen.moved(now);
        }
        if (reader.removedNanos() - seen.movedNanos > 0) {
            seen.moved(reader.removedNanos());
        }
        seen.messages = state.messages();
        listener.looked(
                List.of(new Subject(Subjects.ALL, state.messages(), true, now - seen.movedNanos)), firstProblem());
    }

    private void lose(String subject) {
        intake.close(subject);
        rotation.lost(subject);
    }

    private void open(String subject) {
        try {
            OptionalInt mostAtOnce = stream.openConsumer(subject);
            if (mostAtOnce.isEmpty()) {
                makeRoom();
                mostAtOnce = stream.openConsumer(subject);
                if (mostAtOnce.isEmpty()) {
                    rotation.lost(subject);
                    rotation.limit(Math.max(1, rotation.opened().size()));
                    limitedNanos = System.nanoTime();
                    return;
                }
            }
            intake.open(subject, mostAtOnce.getAsInt());
            troubles.remove(subject);
            gaveWay.remove(subject);
        } catch (IOException | JetStreamApiException e) {
            rotation.lost(subject);
            trouble(subject, "A consumer for " + subject + " cannot be made: " + e.getMessage());
        }
    }

    /** The account has as many consumers as it may: removes one from which this instance does not pull any more. */
    private void makeRoom() throws IOException, JetStreamApiException {
        for (String subject : List.copyOf(gaveWay)) {
            Intake.Activity activity = intake.activity(subject);
            if (activity == null || activity.held() == 0) {
                gaveWay.remove(subject);
                stream.removeConsumer(subject);
                return;
            }
        }
    }

    private boolean isPutOff(String subject) {
        Trouble trouble = troubles.get(subject);
        return trouble != null && System.nanoTime() - trouble.againNanos < 0;
    }

    private void trouble(String subject, String what) {
        Trouble trouble = troubles.computeIfAbsent(subject, name -> new Trouble());
        if (!what.equals(trouble.what) && !stopped) {
            LOG.warn("{}; trying again", what);
        }
        trouble.what = what;
        trouble.times = Math.min(trouble.times + 1, TROUBLE_DOUBLINGS);
        trouble.againNanos = System.nanoTime() + (FIRST_CHECK_NANOS << trouble.times);
    }

    /** The first trouble that came again: one answer that is late makes no instance unready. */
    private @Nullable String firstTrouble() {
        return troubles.values().stream()
                .filter(trouble -> trouble.times > 1)
                .map(trouble -> trouble.what)
                .findFirst()
                .orElse(null);
    }

    private void watch(Map<String, Long> backlog) {
        progress.keySet().retainAll(backlog.keySet());
        List<Subject> subjects = new ArrayList<>();
        long now = System.nanoTime();
        for (Map.Entry<String, Long> entry : backlog.entrySet()) {
            String subject = entry.getKey();
            Progress seen = progress.computeIfAbsent(subject, name -> new Progress());
            if (entry.getValue() < seen.messages) {
                seen.moved(now);
            }
            seen.messages = entry.getValue();
            Intake.Activity activity = intake.activity(subject);
            if (activity != null && activity.finishedNanos() - seen.movedNanos > 0) {
                seen.moved(activity.finishedNanos());
            }
            if (rotation.isOpen(subject) && activity != null && isDue(seen, activity, now)) {
                seen.checks++;
                seen.checkedNanos = now;
                tryToCheck(subject, seen, activity.asking());
            }
            subjects.add(new Subject(subject, entry.getValue(), rotation.isOpen(subject), now - seen.movedNanos));
        }
        listener.looked(subjects, firstProblem());
    }

    private void tryToCheck(String subject, Progress seen, boolean asking) {
        try {
            check(subject, seen, asking);
            troubles.remove(subject);
        } catch (IOException | JetStreamApiException e) {
            trouble(subject, "The consumer of " + subject + " cannot be looked at: " + e.getMessage());
        }
    }

    /** Whether messages should have arrived, but none has for a while. */
    private static boolean isDue(Progress seen, Intake.Activity activity, long now) {
        long wait = FIRST_CHECK_NANOS << Math.min(seen.checks, CHECK_DOUBLINGS);
        return activity.held() == 0
                && now - activity.deliveredNanos() > FIRST_CHECK_NANOS
                && now - Math.max(seen.movedNanos, seen.checkedNanos) > wait;
    }

    /** No messages arrive although the subject has some: other instances have them in work, or the server has lost something. */
    private void check(String subject, Progress seen, boolean asking) throws IOException, JetStreamApiException {
        Optional<ConsumerInfo> found = stream.consumer(subject);
        if (found.isEmpty()) {
            LOG.warn("The consumer of {} is gone; it is made anew", subject);
            stream.openConsumer(subject);
            intake.renewPull(subject);
            return;
        }
        ConsumerInfo consumer = found.get();
        long ackFloor = consumer.getAckFloor().getConsumerSequence();
        if (seen.ackFloor >= 0 && ackFloor != seen.ackFloor) {
            seen.moved(System.nanoTime());
        }
        seen.ackFloor = ackFloor;
        // After a crash the consumer may also wait for acks of messages that have left the stream.
        boolean leftOver = consumer.getNumPending() == 0 && seen.messages > consumer.getNumAckPending();
        if (leftOver && seen.leftOver && problem == null) { // a sealed stream keeps what is finished
            LOG.warn(
                    "{} has {} messages that its consumer takes for finished, as after a crash of the server;"
                            + " it is made anew, so that they come again",
                    subject,
                    seen.messages);
            stream.removeConsumer(subject);
            stream.openConsumer(subject);
        } else if (asking && consumer.getNumPending() > 0 && seen.checks > CHECKS_IN_VAIN) {
            LOG.warn("The consumer of {} delivers nothing although it has messages; it is made anew", subject);
            stream.removeConsumer(subject);
            stream.openConsumer(subject);
        } else if (!stream.isAsMade(consumer, subject)) {
            LOG.warn("Somebody has changed the consumer of {}, and it delivers nothing; it is set right", subject);
            stream.openConsumer(subject);
        }
        if (leftOver || consumer.getNumPending() > 0) {
            intake.renewPull(subject);
        }
        seen.leftOver = leftOver;
    }
}
