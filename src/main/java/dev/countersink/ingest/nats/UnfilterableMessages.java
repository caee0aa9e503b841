package dev.countersink.ingest.nats;

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
 * Messages whose subject looks like a wildcard, such as {@code results.>}. The server stores them, but no consumer can filter by
 * their subject. They are read from the stream by sequence number, and removed by that number instead of acked. Not thread-safe,
 * except for the receipts.
 */
final class UnfilterableMessages {
    private static final Logger LOG = LoggerFactory.getLogger(UnfilterableMessages.class);
    /** Bounds one call, because the stream may hold many other messages before the next one. */
    private static final int READS = 500;

    private final ResultsStream stream;
    private final Intake intake;
    private final MessageDecoder decoder;
    private final Set<Long> inWork = ConcurrentHashMap.newKeySet();
    private long next;

    UnfilterableMessages(ResultsStream stream, Intake intake, MessageDecoder decoder) {
        this.stream = stream;
        this.intake = intake;
        this.decoder = decoder;
    }

    /** Searches the next part of the stream for such messages. */
    void look(ResultsStream.State state) throws IOException, JetStreamApiException {
        long there = state.backlog().entrySet().stream()
                .filter(subject -> !Subjects.isFilterable(subject.getKey()))
                .mapToLong(Map.Entry::getValue)
                .sum();
        if (there == 0) {
            next = 0;
            return;
        }
        for (int reads = 0; reads < READS && inWork.size() < there; reads++) {
            Optional<MessageInfo> message = stream.nextMessage(Math.max(next, state.firstSequence()));
            if (message.isEmpty()) {
                next = 0;
                return;
            }
            next = message.get().getSeq() + 1;
            if (!Subjects.isFilterable(message.get().getSubject())
                    && inWork.add(message.get().getSeq())) {
                intake.delivered(
                        Delivery.of(
                                message.get(),
                                decoder,
                                new Removal(message.get().getSeq())),
                        0);
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
                inWork.remove(sequence);
            } catch (JetStreamApiException e) {
                // It stays in work: if it were read again, it would be a dead letter again and again.
                LOG.warn("Message {} is a dead letter, but cannot be removed: {}", sequence, e.getMessage());
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
