package dev.countersink.ingest.db;

import java.sql.SQLException;
import java.util.Set;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** Classifies database errors by their cause. */
public final class SqlErrorClassifier {
    /**
     * Errors that a row can cause: cardinality, data, integrity and check-option violations, a program limit (a key too
     * long for its index), a raised exception, an internal error, and the schema's own.
     */
    private static final Set<String> OF_THE_MESSAGE = Set.of("21", "22", "23", "44", "54", "P0", "RS");

    private static final String INTERNAL_ERROR = "XX000";
    /** The stage has other columns than this program writes: a newer one has migrated the schema. */
    private static final String BAD_COPY = "22P04";

    private static final String QUERY_CANCELED = "57014";
    /** Errors of class 53 that do not depend on the size of a batch. */
    private static final Set<String> OF_NO_SIZE = Set.of("53100", "53300");

    private SqlErrorClassifier() {}

    public enum Cause {
        /** A message caused it, so the batch is bisected. */
        MESSAGE,
        /** A limit that a smaller batch may not reach: a timeout, memory, temporary files, the size of something. */
        LIMIT,
        /** Everything else (no connection, a deadlock, a full disk, a missing function, a standby). No message is to blame. */
        OTHER
    }

    public static Cause cause(SQLException e) {
        String state = e.getSQLState();
        if (state == null || state.length() != 5) {
            return Cause.OTHER;
        }
        boolean resources = state.startsWith("53") && !OF_NO_SIZE.contains(state);
        if (state.equals(QUERY_CANCELED) || resources || state.startsWith("54")) {
            return Cause.LIMIT;
        }
        return isOfMessage(e) ? Cause.MESSAGE : Cause.OTHER;
    }

    /** Whether the message is to blame if it fails with this error in a batch of its own. */
    public static boolean isOfMessage(SQLException e) {
        String state = e.getSQLState();
        if (state == null || state.length() != 5) {
            return false;
        }
        return (OF_THE_MESSAGE.contains(state.substring(0, 2)) && !state.equals(BAD_COPY))
                || state.equals(INTERNAL_ERROR);
    }

    /** Whether the next attempt can use the same connection. */
    public static boolean keepsConnection(SQLException e) {
        String state = e.getSQLState();
        return cause(e) != Cause.OTHER || (state != null && (state.startsWith("40") || state.startsWith("55")));
    }

    /** The server's message and detail, without the context. */
    public static String sentence(SQLException e) {
        ServerErrorMessage server = e instanceof PSQLException p ? p.getServerErrorMessage() : null;
        if (server == null || server.getMessage() == null) {
            return String.valueOf(e.getMessage()).replace('\n', ' ');
        }
        return server.getDetail() == null ? server.getMessage() : server.getMessage() + ": " + server.getDetail();
    }
}
