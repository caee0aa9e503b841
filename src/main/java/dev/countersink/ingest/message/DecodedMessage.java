package dev.countersink.ingest.message;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One result as received, and the outcome of decoding it: exactly one of {@link #body} and {@link #fault} is set. A message
 * with several results makes several of these. The bytes are kept until the commit, because a dead letter needs them if the
 * database rejects the result.
 */
public final class DecodedMessage {
    private static final String CONTENT_ENCODING = "Content-Encoding";
    /** An estimate for the message object, its subject and its headers. */
    private static final long MESSAGE_BYTES = 500;

    private static final long HEADER_BYTES = 100;

    private final Origin origin;
    private final DecodedResult result;
    private final Content content;
    private final MessageDecoder decoder;
    private final long weight;

    private DecodedMessage(Origin origin, DecodedResult result, Content content, MessageDecoder decoder, long weight) {
        this.origin = origin;
        this.result = result;
        this.content = content;
        this.decoder = decoder;
        this.weight = weight;
    }

    /** A message as it was received, and where from. */
    public record Origin(
            String stream, long sequence, String subject, Map<String, List<String>> headers, byte[] payload) {

        /** Estimated bytes of heap: a sender may put as much into headers as into the content. */
        public long weight() {
            long text = subject.length();
            for (Map.Entry<String, List<String>> header : headers.entrySet()) {
                text += HEADER_BYTES + header.getKey().length();
                for (String value : header.getValue()) {
                    text += HEADER_BYTES + value.length();
                }
            }
            return MESSAGE_BYTES + payload.length + text;
        }

        /** The last value of a header, or null. */
        public @Nullable String header(String name) {
            for (Map.Entry<String, List<String>> header : headers.entrySet()) {
                if (header.getKey().equalsIgnoreCase(name) && !header.getValue().isEmpty()) {
                    return header.getValue().get(header.getValue().size() - 1);
                }
            }
            return null;
        }
    }

    /**
     * Decodes a message into its results. A result that cannot be decoded is kept with its fault.
     *
     * @return at least one; none if the message is known to be applied, because the object that it refers to was removed after that
     * @throws ContentUnavailableException if it refers to an object that cannot be read at present
     */
    public static List<DecodedMessage> decode(MessageDecoder decoder, Origin origin) {
        long weight = origin.weight();
        Content content = () -> new ByteArrayInputStream(origin.payload());
        List<DecodedResult> results;
        try {
            String object = origin.header(ObjectReference.HEADER);
            content = object == null ? content : decoder.object(object);
            results = decoder.decode(content, origin.header(CONTENT_ENCODING));
        } catch (DecodeException e) {
            if (content instanceof ObjectReference object && object.wasAppliedFor(origin.subject())) {
                return List.of();
            }
            results = List.of(new DecodedResult(null, e, null, null, 0));
        }
        if (results.size() == 1) {
            return List.of(of(decoder, origin, content, results.get(0), weight));
        }
        DecodedMessage[] messages = new DecodedMessage[results.size()];
        for (int i = 0; i < messages.length; i++) {
            messages[i] = of(decoder, origin, content, results.get(i), i == 0 ? weight : 0);
        }
        return List.of(messages);
    }

    private static DecodedMessage of(
            MessageDecoder decoder, Origin origin, Content content, DecodedResult result, long weight) {
        return new DecodedMessage(origin, result, content, decoder, weight + result.weight());
    }

    /** The message that holds the result. */
    public Origin origin() {
        return origin;
    }

    public @Nullable MessageBody body() {
        return result.body();
    }

    public @Nullable DecodeException fault() {
        return result.fault();
    }

    /** Where the sender waits for {@code +ACK}, or null. */
    public @Nullable String replySubject() {
        MessageBody body = result.body();
        return body != null
                ? body.replySubject()
                : Objects.requireNonNull(result.fault()).replySubject();
    }

    /** Estimated bytes of heap. If a message has several results, the first one includes the weight of the message. */
    public long weight() {
        return weight;
    }

    /** The object that holds the content, or null if the message itself does. */
    public @Nullable ObjectReference object() {
        return content instanceof ObjectReference object ? object : null;
    }

    /** The reason for a rejection; it names the result if the message has several. */
    public String explain(String reason) {
        return result.place() == null ? reason : "The result at " + result.place() + ": " + reason;
    }

    /** The content of the dead letter: the message, or, if it has several results, only this one, uncompressed. */
    public Origin letter() {
        if (result.place() == null) {
            return whole();
        }
        DecodedResult.Span span = Objects.requireNonNull(result.bytes());
        long length = span.to() - span.from();
        if (length > decoder.settings().memory().toBytes()) {
            return whole();
        }
        try (InputStream plain = Encodings.plain(content, origin.header(CONTENT_ENCODING), decoder.settings())) {
            plain.skipNBytes(span.from());
            byte[] alone = plain.readNBytes((int) length);
            return new Origin(origin.stream(), origin.sequence(), origin.subject(), plainHeaders(), alone);
        } catch (IOException | DecodeException e) {
            // It could be read before. If it cannot be read now, the whole message will do.
            return whole();
        }
    }

    private Origin whole() {
        content.keep();
        return origin;
    }

    private Map<String, List<String>> plainHeaders() {
        Map<String, List<String>> headers = new HashMap<>(origin.headers());
        headers.keySet()
                .removeIf(name ->
                        CONTENT_ENCODING.equalsIgnoreCase(name) || ObjectReference.HEADER.equalsIgnoreCase(name));
        return headers;
    }
}
