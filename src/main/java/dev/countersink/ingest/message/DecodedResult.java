package dev.countersink.ingest.message;

/**
 * One result of a message, and what became of decoding it: exactly one of {@code body} and {@code fault} is set.
 *
 * @param place where it stands in a message that may hold several, as a JSON pointer; null if the message is the result
 * @param bytes where its bytes are in the uncompressed message; null if the message is the result
 * @param weight about how many bytes of memory it takes
 */
record DecodedResult(MessageBody body, DecodeException fault, String place, Span bytes, long weight) {
    record Span(long from, long to) {}

    /** The same with an address for the answer, unless it has one. */
    DecodedResult withReplySubject(String subject) {
        if (body != null) {
            String first = body.replySubject() != null ? body.replySubject() : subject;
            return new DecodedResult(new MessageBody(body.result(), body.error(), first), null, place, bytes, weight);
        }
        String first = fault.replySubject() != null ? fault.replySubject() : subject;
        return new DecodedResult(null, fault.withReplySubject(first), place, bytes, weight);
    }
}
