package dev.countersink.ingest.message;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** A result that can never be applied: what is wrong with it, and where. */
public final class DecodeException extends Exception {
    private static final long serialVersionUID = 1L;

    static final String UNDECODABLE = "RS010";
    static final String NO_SCORES = "RS011";
    static final String TOO_LARGE = "RS012";
    public static final String NO_OBJECT = "RS014";
    /** Not about decoding: the program has ended each time this message was tried. */
    public static final String NO_OUTCOME = "RS013";

    private final String sqlState;
    private final @Nullable String replySubject;

    DecodeException(String sqlState, String reason) {
        this(sqlState, reason, null);
    }

    private DecodeException(String sqlState, String reason, @Nullable String replySubject) {
        // There may be thousands of broken messages, and a stack trace adds nothing to the reason.
        super(reason, null, false, false);
        this.sqlState = sqlState;
        this.replySubject = replySubject;
    }

    static DecodeException undecodable(String sentence) {
        return new DecodeException(UNDECODABLE, "The message cannot be decoded: " + sentence);
    }

    static DecodeException tooLarge(String what, String setting) {
        return new DecodeException(
                TOO_LARGE, "The message " + what + ", the most that COUNTERSINK_MESSAGE_" + setting + " allows.");
    }

    static DecodeException noObject(String sentence) {
        return new DecodeException(NO_OBJECT, sentence);
    }

    /** The sentence that says why. */
    public String reason() {
        return Objects.requireNonNull(getMessage());
    }

    DecodeException withReplySubject(@Nullable String subject) {
        return new DecodeException(sqlState, reason(), subject);
    }

    /** Whether the rest of the message must not be read either. */
    boolean endsTheMessage() {
        return sqlState.equals(TOO_LARGE);
    }

    /** The SQLSTATE of the dead letter. */
    public String sqlState() {
        return sqlState;
    }

    /** Where the sender waits for {@code +ACK}; null if it did not ask for that, or if this was not read before the fault. */
    public @Nullable String replySubject() {
        return replySubject;
    }
}
