package dev.countersink.ingest;

import io.nats.client.Message;
import io.nats.client.impl.Headers;
import io.nats.client.impl.NatsJetStreamMetaData;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A message that the server has delivered and waits to have acked. */
final class Delivery {
    private final Message message;
    private final Incoming incoming;
    private final long weight;
    private final long publishedMillis;
    private final long deliveries;
    private volatile long keptAliveNanos = System.nanoTime();

    Delivery(Message message, MessageDecoder decoder) {
        NatsJetStreamMetaData meta = message.metaData();
        this.message = message;
        this.incoming = Incoming.decode(
                decoder,
                new Incoming.Origin(
                        meta.getStream(),
                        meta.streamSequence(),
                        message.getSubject(),
                        headers(message.getHeaders()),
                        message.getData()));
        this.weight = incoming.weight();
        this.publishedMillis = meta.timestamp().toInstant().toEpochMilli();
        this.deliveries = meta.deliveredCount();
    }

    private static Map<String, List<String>> headers(Headers headers) {
        if (headers == null || headers.isEmpty()) {
            return Map.of();
        }
        Map<String, List<String>> map = new HashMap<>();
        headers.entrySet().forEach(header -> map.put(header.getKey(), List.copyOf(header.getValue())));
        return map;
    }

    Incoming incoming() {
        return incoming;
    }

    String subject() {
        return message.getSubject();
    }

    long weight() {
        return weight;
    }

    long publishedMillis() {
        return publishedMillis;
    }

    long deliveries() {
        return deliveries;
    }

    void ack() {
        message.ack();
    }

    /** Gives it back, so that another instance gets it at once. */
    void giveBack() {
        message.nak();
    }

    /** Tells the server that it is in work, if that was last said so long ago. */
    void keepAlive(long olderThanNanos) {
        long now = System.nanoTime();
        if (now - keptAliveNanos > olderThanNanos) {
            keptAliveNanos = now;
            message.inProgress();
        }
    }
}
