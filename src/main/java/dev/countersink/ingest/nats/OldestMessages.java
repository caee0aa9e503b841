package dev.countersink.ingest.nats;

import dev.countersink.ingest.message.Subjects;
import io.nats.client.JetStreamApiException;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Knows when the oldest message of each subject was published. The server answers with the whole message, and for one subject at
 * a time, so it is asked seldom: answers may be some time old if there are many subjects. Not thread-safe.
 */
public final class OldestMessages {
    private static final Logger LOG = LoggerFactory.getLogger(OldestMessages.class);
    /** So many subjects at once. */
    private static final int MOST_QUESTIONS = 16;

    private static final long SHORTEST_NANOS = Duration.ofSeconds(1).toNanos();
    /** An answer is taken to hold for so long. */
    private static final long FRESH_NANOS = Duration.ofSeconds(3).toNanos();
    /** Questions take at most one part in so many of the time. */
    private static final int RESTS = 20;

    private static final long AFTER_ERROR_NANOS = Duration.ofSeconds(15).toNanos();
    private static final int ERROR_DOUBLINGS = 5;

    private final ResultsStream stream;
    private final Map<String, Answer> answers = new HashMap<>();
    private int errors;

    public OldestMessages(ResultsStream stream) {
        this.stream = stream;
    }

    private record Answer(Optional<Instant> published, long askedNanos) {}

    /**
     * Asks about those of which least is known.
     *
     * @param subjects those that have messages; all of them together are asked about too
     * @return how long to wait before the next questions
     */
    public Duration look(Collection<String> subjects) {
        List<String> wanted = new ArrayList<>(subjects);
        if (!wanted.isEmpty() && !wanted.contains(Subjects.ALL)) {
            wanted.add(Subjects.ALL);
        }
        answers.keySet().retainAll(wanted);
        long begin = System.nanoTime();
        try {
            for (String subject : due(wanted, begin)) {
                answers.put(subject, new Answer(stream.oldest(subject), System.nanoTime()));
            }
            errors = 0;
            return Duration.ofNanos(Math.max(SHORTEST_NANOS, RESTS * (System.nanoTime() - begin)));
        } catch (IOException | JetStreamApiException | IllegalStateException e) {
            LOG.debug("The age of messages is not known: {}", e.getMessage());
            answers.clear();
            errors = Math.min(errors + 1, ERROR_DOUBLINGS);
            return Duration.ofNanos(AFTER_ERROR_NANOS << (errors - 1));
        }
    }

    /** The subjects that were asked about first, those never asked about before them. */
    private List<String> due(List<String> wanted, long now) {
        return wanted.stream()
                .filter(subject -> Subjects.isFilterable(subject) || subject.equals(Subjects.ALL))
                .filter(subject -> now - askedNanos(subject, now) > FRESH_NANOS)
                .sorted(Comparator.comparingLong(subject -> askedNanos(subject, now) - now))
                .limit(MOST_QUESTIONS)
                .toList();
    }

    private long askedNanos(String subject, long now) {
        Answer answer = answers.get(subject);
        return answer == null ? now - Long.MAX_VALUE / 2 : answer.askedNanos();
    }

    /** When the oldest message of each subject was published, where that is known. */
    public Map<String, Instant> published() {
        Map<String, Instant> published = new HashMap<>();
        answers.forEach((subject, answer) -> answer.published().ifPresent(time -> published.put(subject, time)));
        return published;
    }
}
