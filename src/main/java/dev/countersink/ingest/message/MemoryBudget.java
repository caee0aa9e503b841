package dev.countersink.ingest.message;

import dev.countersink.config.MessageSettings;

/** Adds up the memory of the message that is being decoded, and refuses the message before it exceeds the limit. */
final class MemoryBudget {
    static final int DETECTION_BYTES = 80;
    static final int BOX_BYTES = 48;
    static final int CLASSIFICATION_BYTES = 120;
    static final int LIST_BYTES = 64;
    private static final int STRING_BYTES = 48;
    private static final int ARRAY_BYTES = 24;

    private final MessageSettings settings;
    private long used;
    private int numbers;

    MemoryBudget(MessageSettings settings) {
        this.settings = settings;
    }

    long used() {
        return used;
    }

    void take(long bytes) throws DecodeException {
        used += bytes;
        requireRoom(0);
    }

    /** Checks memory that is needed only temporarily. */
    void requireRoom(long bytes) throws DecodeException {
        if (used + bytes > settings.memory().toBytes()) {
            throw DecodeException.tooLarge(
                    "takes more than " + settings.memory().toMegabytes() + " MB of memory", "MEMORY");
        }
    }

    void text(String text) throws DecodeException {
        take(STRING_BYTES + (isLatin1(text) ? text.length() : 2L * text.length()));
    }

    /** Takes an array with elements of this many bytes. */
    void array(int length, int each) throws DecodeException {
        take(ARRAY_BYTES + (long) each * length);
    }

    /** Counts a score or a logit, whether it is stored or not. */
    void number() throws DecodeException {
        if (++numbers > settings.maxScores()) {
            throw DecodeException.tooLarge(
                    "has more than " + settings.maxScores() + " scores and logits", "MAX_SCORES");
        }
    }

    /** The JVM stores such strings with one byte a character, others with two. */
    private static boolean isLatin1(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (text.charAt(i) > 0xff) {
                return false;
            }
        }
        return true;
    }
}
