package dev.countersink.ingest.message;

import java.util.List;
import java.util.Map;

/**
 * A message as it came, and what became of decoding it: exactly one of {@code body} and {@code fault} is set. The bytes
 * are kept until the commit, for they go into the dead letter if the database rejects the message.
 */
public record DecodedMessage(Origin origin, MessageBody body, DecodeException fault) {

    /** Where a message came from. */
    public record Origin(
            String stream, long sequence, String subject, Map<String, List<String>> headers, byte[] payload) {

        String header(String name) {
            for (Map.Entry<String, List<String>> header : headers.entrySet()) {
                if (header.getKey().equalsIgnoreCase(name) && !header.getValue().isEmpty()) {
                    return header.getValue().get(header.getValue().size() - 1);
                }
            }
            return null;
        }
    }

    /** Decodes a message; one that cannot be decoded is kept with its fault. */
    public static DecodedMessage decode(MessageDecoder decoder, Origin origin) {
        try {
            return new DecodedMessage(
                    origin, decoder.decode(origin.payload(), origin.header("Content-Encoding")), null);
        } catch (DecodeException e) {
            return new DecodedMessage(origin, null, e);
        }
    }

    /** Where the sender waits for {@code +ACK}, or null. */
    public String replySubject() {
        return body != null ? body.replySubject() : fault.replySubject();
    }

    /** About how many bytes of heap this takes. */
    public long weight() {
        return 500 + origin.payload().length + (body == null ? 0 : body.weight());
    }
}
