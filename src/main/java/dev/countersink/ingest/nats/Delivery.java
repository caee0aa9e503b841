package dev.countersink.ingest.nats;

import dev.countersink.ingest.message.DecodedMessage;
import dev.countersink.ingest.message.MessageDecoder;
import io.nats.client.Message;
import io.nats.client.impl.Headers;
import io.nats.client.impl.NatsJetStreamMetaData;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A message that the server has delivered and waits to have acked. */
public final class Delivery {
    private final Message message;
    private final List<DecodedMessage> results;
    private final long weight;
    private final long publishedMillis;
    private final long deliveries;
    private volatile long keptAliveNanos = System.nanoTime();

    Delivery(Message message, MessageDecoder decoder) {
        NatsJetStreamMetaData meta = message.metaData();
        this.message = message;
        this.results = DecodedMessage.decode(
                decoder,
                new DecodedMessage.Origin(
                        meta.getStream(),
                        meta.streamSequence(),
                        message.getSubject(),
                        headers(message.getHeaders()),
                        message.getData()));
        this.weight = results.stream().mapToLong(DecodedMessage::weight).sum();
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

    /** The results that the message holds, one at least. */
    public List<DecodedMessage> results() {
        return results;
    }

    public String subject() {
        return message.getSubject();
    }

    public long weight() {
        return weight;
    }

    public long publishedMillis() {
        return publishedMillis;
    }

    public long deliveries() {
        return deliveries;
    }

    public void ack() {
        message.ack();
    }

    /** Gives it back, so that another instance gets it at once. */
    public void giveBack() {
        message.nak();
    }

    /** Tells the server that it is in work, if that was last said so long ago. */
    public void keepAlive(long olderThanNanos) {
        long now = System.nanoTime();
        if (now - keptAliveNanos > olderThanNanos) {
            keptAliveNanos = now;
            message.inProgress();
        }
    }
}
