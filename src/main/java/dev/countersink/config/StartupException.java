package dev.countersink.config;

import org.jspecify.annotations.Nullable;

/** Why the program cannot start, as a full sentence, and what to do. It ends the program with exit status 1. */
public final class StartupException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final String hint;

    public StartupException(String message, String hint) {
        super(message);
        this.hint = hint;
    }

    public StartupException(String message, String hint, @Nullable Throwable cause) {
        super(message, cause);
        this.hint = hint;
    }

    public String hint() {
        return hint;
    }
}
