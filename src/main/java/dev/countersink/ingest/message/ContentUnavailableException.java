package dev.countersink.ingest.message;

/** Content cannot be read at present. This is not the message's fault, so the message is tried again. */
public final class ContentUnavailableException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public ContentUnavailableException(String sentence, Exception cause) {
        super(sentence, cause);
    }
}
