package dev.countersink.ingest.message;

/** A result that can never be applied, however often it is tried: what is wrong with it, and where. */
public final class DecodeException extends Exception {
    private static final long serialVersionUID = 1L;

    static final String UNDECODABLE = "RS010";
    static final String NO_SCORES = "RS011";
    static final String TOO_LARGE = "RS012";
    static final String NO_OBJECT = "RS014";
    /** Not of decoding: the program has ended again and again while it was tried. */
    public static final String NO_OUTCOME = "RS013";

    private final String sqlState;
    private final String replySubject;

    DecodeException(String sqlState, String reason) {
        this(sqlState, reason, null);
    }

    private DecodeException(String sqlState, String reason, String replySubject) {
        // Garbage may come by the thousand; a stack trace says nothing that the reason does not.
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

    DecodeException withReplySubject(String subject) {
        return new DecodeException(sqlState, getMessage(), subject);
    }

    /** Whether what follows in the message must not be read either. */
    boolean endsTheMessage() {
        return sqlState.equals(TOO_LARGE);
    }

    /** The code under which the message becomes a dead letter. */
    public String sqlState() {
        return sqlState;
    }

    /** Where the sender waits for {@code +ACK}, or null: not asked for, or not read before the fault. */
    public String replySubject() {
        return replySubject;
    }
}
