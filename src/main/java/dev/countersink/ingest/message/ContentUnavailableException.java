package dev.countersink.ingest.message;

/** Content cannot be read at present; that is not the message's fault, and it has to be tried again. */
public final class ContentUnavailableException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public ContentUnavailableException(String sentence, Exception cause) {
        super(sentence, cause);
    }
}
