package dev.countersink.ingest.db;

import java.sql.SQLException;
import java.util.Set;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** What brought about a failure of the database. */
public final class SqlErrorClassifier {
    /**
     * What a row can bring about: cardinality, data, integrity and check-option violations, a program limit (a key too
     * long for its index), a raised exception, an internal error, and the schema's own.
     */
    private static final Set<String> OF_THE_MESSAGE = Set.of("21", "22", "23", "44", "54", "P0", "RS");

    private static final String INTERNAL_ERROR = "XX000";
    private static final String QUERY_CANCELED = "57014";
    /** Of class 53, these do not depend on the size of a batch. */
    private static final Set<String> OF_NO_SIZE = Set.of("53100", "53300");

    private SqlErrorClassifier() {}

    public enum Cause {
        /** A message is to blame, so that the batch is worth bisecting. */
        MESSAGE,
        /** A limit that a smaller batch may not meet: a timeout, memory, temporary files, the size of something. */
        LIMIT,
        /** All else (no connection, a deadlock, a full disk, a missing function, a standby): it says nothing of the messages. */
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

    /** Whether a message is to blame if it fails so when it is alone. */
    public static boolean isOfMessage(SQLException e) {
        String state = e.getSQLState();
        if (state == null || state.length() != 5) {
            return false;
        }
        return OF_THE_MESSAGE.contains(state.substring(0, 2)) || state.equals(INTERNAL_ERROR);
    }

    /** Whether the same connection may serve the next try. */
    public static boolean keepsConnection(SQLException e) {
        String state = e.getSQLState();
        return cause(e) != Cause.OTHER || (state != null && (state.startsWith("40") || state.startsWith("55")));
    }

    /** The server's message and its detail, without the statements that led to it. */
    public static String sentence(SQLException e) {
        ServerErrorMessage server = e instanceof PSQLException p ? p.getServerErrorMessage() : null;
        if (server == null || server.getMessage() == null) {
            return String.valueOf(e.getMessage()).replace('\n', ' ');
        }
        return server.getDetail() == null ? server.getMessage() : server.getMessage() + ": " + server.getDetail();
    }
}
