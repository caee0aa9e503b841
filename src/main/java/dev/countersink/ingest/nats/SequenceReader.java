package dev.countersink.ingest.nats;

import dev.countersink.ingest.message.ContentUnavailableException;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.ingest.message.Subjects;
import io.nats.client.JetStreamApiException;
import io.nats.client.api.MessageInfo;
import java.io.IOException;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads messages from the stream by sequence number, and removes them by that number instead of acking them. So it does with those
 * whose subject looks like a wildcard, such as {@code results.>}: the server stores them, but no consumer can filter by it. And with
 * all, if there are too many subjects for a consumer each. Not thread-safe, except for the receipts.
 */
final class SequenceReader {
    private static final Logger LOG = LoggerFactory.getLogger(SequenceReader.class);
    /** Bounds one call, because the stream may hold many other messages before the next one. */
    private static final int READS = 500;

    private final ResultsStream stream;
    private final Intake intake;
    private final MessageDecoder decoder;
    private final Set<Long> inWork = ConcurrentHashMap.newKeySet();
    private volatile long removedNanos = System.nanoTime();
    private long next;

    SequenceReader(ResultsStream stream, Intake intake, MessageDecoder decoder) {
        this.stream = stream;
        this.intake = intake;
        this.decoder = decoder;
    }

    /** When a message was last removed, by {@link System#nanoTime}. */
    long removedNanos() {
        return removedNanos;
    }

    /** Searches the next part of the stream for such messages. */
    void look(ResultsStream.State state) throws IOException, JetStreamApiException {
        long there = state.crowded() ? state.messages() : unfilterable(state.backlog());
        if (there == 0) {
            next = 0;
            return;
        }
        for (int reads = 0; reads < READS && inWork.size() < there; reads++) {
            if (!inWork.isEmpty() && !intake.hasRoom()) {
                return;
            }
            Optional<MessageInfo> message = stream.nextMessage(Math.max(next, state.firstSequence()));
            if (message.isEmpty()) {
                next = 0;
                return;
            }
            next = message.get().getSeq() + 1;
            if (state.crowded() || !Subjects.isFilterable(message.get().getSubject())) {
                deliver(message.get());
            }
        }
    }

    private static long unfilterable(Map<String, Long> backlog) {
        return backlog.entrySet().stream()
                .filter(subject -> !Subjects.isFilterable(subject.getKey()))
                .mapToLong(Map.Entry::getValue)
                .sum();
    }

    private void deliver(MessageInfo message) {
        long sequence = message.getSeq();
        if (inWork.add(sequence)) {
            boolean taken = false;
            try {
                taken = intake.delivered(Delivery.of(message, decoder, new Removal(sequence)), 0);
            } catch (ContentUnavailableException e) {
                LOG.debug("{} Its message will be read again", e.getMessage());
            } finally {
                if (!taken) {
                    inWork.remove(sequence);
                }
            }
        }
    }

    private final class Removal implements Delivery.Receipt {
        private final long sequence;

        Removal(long sequence) {
            this.sequence = sequence;
        }

        @Override
        public void ack() {
            try {
                stream.removeMessage(sequence);
                removedNanos = System.nanoTime();
                inWork.remove(sequence);
            } catch (JetStreamApiException e) {
                // It stays in work: if it were read again, it would be applied, or a dead letter, again and again.
                LOG.warn("Message {} is finished, but cannot be removed: {}", sequence, e.getMessage());
            } catch (IOException e) {
                LOG.debug("Message {} could not be removed, it will be read again: {}", sequence, e.toString());
                inWork.remove(sequence);
            }
        }

        @Override
        public void giveBack() {
            inWork.remove(sequence);
        }

        @Override
        public void keepAlive() {
            // Nothing to do: the server does not know that the message is in work.
        }
    }
}
