package dev.countersink.ingest.message;

import java.io.IOException;

/** Content has more bytes than allowed. */
public final class TooLargeException extends IOException {
    private static final long serialVersionUID = 1L;

    private final long most;

    public TooLargeException(long most) {
        this.most = most;
    }

    long most() {
        return most;
    }
}
