package dev.countersink.ingest;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/** A message to send, possibly broken. */
record Mutant(String subject, byte[] payload, String contentEncoding) {
    Map<String, List<String>> headers() {
        return contentEncoding == null ? Map.of() : Map.of("Content-Encoding", List.of(contentEncoding));
    }

    @Override
    public String toString() {
        return "the message of " + subject + " (" + contentEncoding + ") "
                + new String(payload, 0, Math.min(payload.length, 2000), StandardCharsets.UTF_8);
    }
}
