package dev.countersink.client;

import org.jspecify.annotations.Nullable;

/** A command that was not carried out, with a sentence that says why. */
public final class ClientException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** The instance has refused it, or it has failed there. */
    static final int REFUSED = 1;
    /** There is no answer. */
    static final int NO_ANSWER = 3;

    private final int status;
    private final @Nullable String hint;

    ClientException(int status, String message, @Nullable String hint) {
        super(message);
        this.status = status;
        this.hint = hint;
    }

    /** The exit status of the program. */
    public int status() {
        return status;
    }

    /** What to do, if there is something. */
    public @Nullable String hint() {
        return hint;
    }
}
