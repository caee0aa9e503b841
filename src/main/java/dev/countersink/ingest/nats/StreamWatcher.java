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
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
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

    private final ResultsStream stream;
    private final Intake intake;
    private final Listener listener;
    private final long turnMessages;
    private final UnfilterableMessages unfilterable;
    private final Rotation rotation = new Rotation(MOST_OPEN);
    private final Map<String, Progress> progress = new HashMap<>();
    private final Map<String, Trouble> troubles = new HashMap<>();
    /** Subjects that gave way to others; their consumers are still there. */
    private final Set<String> gaveWay = new LinkedHashSet<>();

    private @Nullable ZonedDateTime created;
    private @Nullable String problem;
    private @Nullable String failure;
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
            ResultsStream stream, Intake intake, MessageDecoder decoder, long turnMessages, Listener listener) {
        this.stream = stream;
        this.intake = intake;
        this.listener = listener;
        this.turnMessages = turnMessages;
        this.unfilterable = new UnfilterableMessages(stream, intake, decoder);
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
        watch(state.backlog());
        unfilterable.look(state);
    }

    private void noteProblem(@Nullable String found) {
        if (found != null && !found.equals(problem)) {
            LOG.error("{}", found);
        } else if (found == null && problem != null) {
            LOG.info("The stream {} is suitable again", ResultsStream.NAME);
        }
        problem = found;
    }

    private void lose(String subject) {
        intake.close(subject);
        rotation.lost(subject);
    }

    private void open(String subject) {
        try {
            if (!stream.openConsumer(subject)) {
                makeRoom();
                if (!stream.openConsumer(subject)) {
                    rotation.lost(subject);
                    rotation.limit(Math.max(1, rotation.opened().size()));
                    limitedNanos = System.nanoTime();
                    return;
                }
            }
            intake.open(subject);
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
                tryToCheck(subject, seen);
            }
            subjects.add(new Subject(subject, entry.getValue(), rotation.isOpen(subject), now - seen.movedNanos));
        }
        listener.looked(subjects, problem == null ? firstTrouble() : problem);
    }

    private void tryToCheck(String subject, Progress seen) {
        try {
            check(subject, seen);
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
    private void check(String subject, Progress seen) throws IOException, JetStreamApiException {
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
        boolean leftOver = consumer.getNumPending() == 0 && consumer.getNumAckPending() == 0;
        if (leftOver && seen.leftOver && problem == null) { // a sealed stream keeps what is finished
            LOG.warn(
                    "{} has {} messages that its consumer takes for finished, as after a crash of the server;"
                            + " it is made anew, so that they come again",
                    subject,
                    seen.messages);
            stream.removeConsumer(subject);
            stream.openConsumer(subject);
        } else if (!ResultsStream.isAsMade(consumer, subject)) {
            LOG.warn("Somebody has changed the consumer of {}, and it delivers nothing; it is set right", subject);
            stream.openConsumer(subject);
        }
        if (leftOver || consumer.getNumPending() > 0) {
            intake.renewPull(subject);
        }
        seen.leftOver = leftOver;
    }
}
