package dev.countersink.ingest.nats;

import java.util.List;

/**
 * The subjects to which answers may be published. A message names its reply subject, so a sender could otherwise make the service
 * publish to the server's API, to the stream of results or to other users' subjects.
 */
public final class ReplySubjects {
    private static final String ACKS = "$JS.ACK.";
    /** The index of the stream in {@code $JS.ACK.<stream>.…} and in {@code $JS.ACK.<domain>.<account>.<stream>.…}. */
    private static final int[] STREAM_TOKENS = {2, 4};

    private static final int LONG_FORM_TOKENS = 11;

    private final List<String[]> allowed;

    /** @param patterns subjects with the wildcards {@code *} and {@code >} */
    public ReplySubjects(List<String> patterns) {
        this.allowed = patterns.stream()
                .map(pattern -> pattern.strip().split("\\.", -1))
                .toList();
    }

    public boolean allows(String subject) {
        String[] tokens = subject.split("\\.", -1);
        return !isOwnAck(subject, tokens) && allowed.stream().anyMatch(pattern -> matches(pattern, tokens));
    }

    /** Whether it acks the stream of results itself, which would remove messages that nobody has applied. */
    private static boolean isOwnAck(String subject, String[] tokens) {
        if (!subject.startsWith(ACKS)) {
            return false;
        }
        int place = tokens.length >= LONG_FORM_TOKENS ? STREAM_TOKENS[1] : STREAM_TOKENS[0];
        return tokens.length > place && tokens[place].equals(ResultsStream.NAME);
    }

    private static boolean matches(String[] pattern, String[] tokens) {
        for (int i = 0; i < pattern.length; i++) {
            if (pattern[i].equals(">")) {
                return tokens.length > i;
            }
            if (i >= tokens.length || !(pattern[i].equals("*") || pattern[i].equals(tokens[i]))) {
                return false;
            }
        }
        return pattern.length == tokens.length;
    }
}
