package dev.countersink.ingest.nats;

import dev.countersink.ingest.message.DecodedMessage;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.ingest.message.ObjectReference;
import io.nats.client.Message;
import io.nats.client.api.MessageInfo;
import io.nats.client.impl.Headers;
import io.nats.client.impl.NatsJetStreamMetaData;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/** A message that the server has delivered and that was not acked yet. */
public final class Delivery {
    /** A message that was delivered this often without any outcome may be what ended the program each time. */
    private static final long SUSPICIOUS_DELIVERIES = 3;

    private static final Duration CONFIRMATION_PATIENCE = Duration.ofSeconds(5);
    private static final long MILLION = 1_000_000;

    private final DecodedMessage.Origin origin;
    private final MessageDecoder decoder;
    private final Receipt receipt;
    private final Key key;
    private final long deliveries;
    private final boolean suspect;
    private final long weight;
    private @Nullable List<DecodedMessage> results;
    private volatile long keptAliveNanos = System.nanoTime();

    /** Tells the server the outcome of a message. */
    interface Receipt {
        void ack();

        /** Acks, and returns whether the server has confirmed it. */
        default boolean ackConfirmed() {
            ack();
            return false;
        }

        void giveBack();

        void keepAlive();
    }

    /** Identifies a message. A stream that was made again reuses sequence numbers, so the time is part of it. */
    record Key(long sequence, long publishedMicros) {
        static Key of(Message message) {
            NatsJetStreamMetaData meta = message.metaData();
            return new Key(meta.streamSequence(), micros(meta.timestamp()));
        }
    }

    private Delivery(
            DecodedMessage.Origin origin,
            long publishedMicros,
            long deliveries,
            MessageDecoder decoder,
            Receipt receipt) {
        this.origin = origin;
        this.decoder = decoder;
        this.receipt = receipt;
        this.key = new Key(origin.sequence(), publishedMicros);
        this.deliveries = deliveries;
        this.suspect = deliveries >= SUSPICIOUS_DELIVERIES;
        List<DecodedMessage> decoded = suspect ? null : DecodedMessage.decode(decoder, origin);
        this.results = decoded;
        this.weight = decoded == null
                ? origin.weight()
                : decoded.stream().mapToLong(DecodedMessage::weight).sum();
    }

    /** A message that a consumer has delivered. */
    static Delivery of(Message message, MessageDecoder decoder) {
        NatsJetStreamMetaData meta = message.metaData();
        return new Delivery(
                new DecodedMessage.Origin(
                        meta.getStream(),
                        meta.streamSequence(),
                        message.getSubject(),
                        headers(message.getHeaders()),
                        message.getData()),
                micros(meta.timestamp()),
                meta.deliveredCount(),
                decoder,
                new Receipt() {
                    @Override
                    public void ack() {
                        message.ack();
                    }

                    @Override
                    public boolean ackConfirmed() {
                        return Delivery.ackConfirmed(message);
                    }

                    @Override
                    public void giveBack() {
                        message.nak();
                    }

                    @Override
                    public void keepAlive() {
                        message.inProgress();
                    }
                });
    }

    private static boolean ackConfirmed(Message message) {
        try {
            message.ackSync(CONFIRMATION_PATIENCE);
            return true;
        } catch (TimeoutException | IllegalStateException e) {
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    /** A message that was read from the stream by its sequence number. */
    static Delivery of(MessageInfo message, MessageDecoder decoder, Receipt receipt) {
        return new Delivery(
                new DecodedMessage.Origin(
                        ResultsStream.NAME,
                        message.getSeq(),
                        message.getSubject(),
                        headers(message.getHeaders()),
                        message.getData() == null ? new byte[0] : message.getData()),
                micros(message.getTime()),
                1,
                decoder,
                receipt);
    }

    private static long micros(java.time.ZonedDateTime time) {
        return time.toEpochSecond() * MILLION + time.getNano() / 1000;
    }

    private static Map<String, List<String>> headers(@Nullable Headers headers) {
        if (headers == null || headers.isEmpty()) {
            return Map.of();
        }
        Map<String, List<String>> map = new HashMap<>();
        headers.entrySet().forEach(header -> map.put(header.getKey(), List.copyOf(header.getValue())));
        return map;
    }

    public DecodedMessage.Origin origin() {
        return origin;
    }

    /** The results in the message; none if it is known to be applied. A suspect message is decoded only when this is first called. */
    public List<DecodedMessage> results() {
        if (results == null) {
            results = DecodedMessage.decode(decoder, origin);
        }
        return results;
    }

    /** Whether it has to be tried alone, with each attempt stored before it is decoded. */
    public boolean isSuspect() {
        return suspect;
    }

    /** Where senders wait for {@code +ACK}; empty if the message was not decoded. */
    public List<String> replySubjects() {
        return results == null
                ? List.of()
                : results.stream()
                        .map(DecodedMessage::replySubject)
                        .filter(Objects::nonNull)
                        .toList();
    }

    Key key() {
        return key;
    }

    public String subject() {
        return origin.subject();
    }

    public long weight() {
        return weight;
    }

    public long publishedMicros() {
        return key.publishedMicros();
    }

    public long deliveries() {
        return deliveries;
    }

    public void ack() {
        receipt.ack();
    }

    /** Acks, and returns whether the server has confirmed it. If so, the message is not delivered again. */
    public boolean ackConfirmed() {
        return receipt.ackConfirmed();
    }

    /** The object that can be removed once the message is acked; null if there is none. */
    public @Nullable ObjectReference removableObject() {
        ObjectReference object =
                results == null || results.isEmpty() ? null : results.get(0).object();
        return object == null || object.isNeededLater() ? null : object;
    }

    /** Gives the message back, so that another instance gets it at once. */
    public void giveBack() {
        receipt.giveBack();
    }

    /** Sends in-progress if the last one is older than {@code olderThanNanos}. */
    void keepAlive(long olderThanNanos) {
        long now = System.nanoTime();
        if (now - keptAliveNanos > olderThanNanos) {
            keptAliveNanos = now;
            receipt.keepAlive();
        }
    }
}
