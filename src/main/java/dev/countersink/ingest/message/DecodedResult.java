package dev.countersink.ingest.message;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One result of a message, and the outcome of decoding it: exactly one of {@code body} and {@code fault} is set.
 *
 * @param place the result in a message that may have several, as a JSON pointer; null if the message is the result
 * @param bytes the range of its bytes in the uncompressed message; null if the message is the result
 * @param weight estimated bytes of memory
 */
record DecodedResult(
        @Nullable MessageBody body,
        @Nullable DecodeException fault,
        @Nullable String place,
        @Nullable Span bytes,
        long weight) {
    record Span(long from, long to) {}

    /** The same result; it gets this reply subject if it has none. */
    DecodedResult withReplySubject(@Nullable String subject) {
        if (body != null) {
            String first = body.replySubject() != null ? body.replySubject() : subject;
            return new DecodedResult(new MessageBody(body.result(), body.error(), first), null, place, bytes, weight);
        }
        DecodeException why = Objects.requireNonNull(fault);
        String first = why.replySubject() != null ? why.replySubject() : subject;
        return new DecodedResult(null, why.withReplySubject(first), place, bytes, weight);
    }
}
