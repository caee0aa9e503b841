package dev.countersink.ingest.db;

import java.sql.SQLException;
import java.util.Set;

/** Whose fault a failure of the database is. */
public final class SqlErrorClassifier {
    /**
     * What a row can bring about: cardinality, data, integrity and check-option violations, a program limit (a key too
     * long for its index), a raised exception, an internal error, and the schema's own.
     */
    private static final Set<String> OF_THE_MESSAGE = Set.of("21", "22", "23", "44", "54", "P0", "RS");

    private static final String INTERNAL_ERROR = "XX000";

    private SqlErrorClassifier() {}

    /**
     * Whether a message of the batch is to blame, so that the batch is worth bisecting. All else (no connection, a
     * deadlock, a full disk, a lock timeout, a missing function, a standby) says nothing about the messages.
     */
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
        return isOfMessage(e) || (state != null && (state.startsWith("40") || state.startsWith("55")));
    }
}
