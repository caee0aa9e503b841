package dev.countersink.ingest;

import java.util.List;
import java.util.Map;

/**
 * A message as it came, and what became of decoding it: exactly one of {@code decoded} and {@code fault} is set. The bytes
 * are kept until the commit, for they go into the dead letter if the database rejects the message.
 */
public record Incoming(Origin origin, Decoded decoded, DecodeException fault) {

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
    public static Incoming decode(MessageDecoder decoder, Origin origin) {
        try {
            return new Incoming(origin, decoder.decode(origin.payload(), origin.header("Content-Encoding")), null);
        } catch (DecodeException e) {
            return new Incoming(origin, null, e);
        }
    }

    /** Where the sender waits for {@code +ACK}, or null. */
    String replySubject() {
        return decoded != null ? decoded.replySubject() : fault.replySubject();
    }

    /** About how many bytes of heap this takes. */
    long weight() {
        return 500 + origin.payload().length + (decoded == null ? 0 : decoded.weight());
    }
}
