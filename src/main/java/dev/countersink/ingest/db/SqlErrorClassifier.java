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

    private static final String UNIQUE_VIOLATION = "23505";
    private static final String LOST_DETECTION = "RS007";
    /** Their ids come from sequences, which may be behind what somebody has copied in with its ids. */
    private static final Set<String> NUMBERED =
            Set.of("taxon", "detection", "occurrence", "classification", "dead_letter");

    private static final String QUERY_CANCELED = "57014";
    private static final String TRANSACTION_TIMEOUT = "25P04";
    private static final String LOCK_NOT_AVAILABLE = "55P03";
    /** Errors of class 53 that do not depend on the size of a batch. */
    private static final Set<String> OF_NO_SIZE = Set.of("53100", "53300");

    /** No connection, a refused login, no such database, a read-only or idle transaction, the operator's intervention. */
    private static final Set<String> OF_THE_DATABASE = Set.of("08", "28", "3D", "25", "57");
    /** A connection that was cut or ended; if that happens each time, perhaps by what was sent over it. */
    private static final Set<String> CUT = Set.of("08006", "08003", "57P01", "57P02");

    private SqlErrorClassifier() {}

    public enum Cause {
        /** A message caused it, so the batch is bisected. */
        MESSAGE,
        /** A limit that a smaller batch may not reach: a timeout, memory, temporary files, the size of something. */
        LIMIT,
        /** A row or a table that another session has locked for long. */
        LOCK,
        /** Nothing can be written at present: no connection, a full disk, a standby. No message is to blame. */
        DATABASE,
        /** Everything else (a deadlock, a missing function, a damaged page): a smaller batch may avoid it. */
        OTHER
    }

    public static Cause cause(SQLException e) {
        String state = e.getSQLState();
        if (state == null || state.length() != 5) {
            return Cause.DATABASE;
        }
        boolean resources = state.startsWith("53") && !OF_NO_SIZE.contains(state);
        boolean timeout = state.equals(QUERY_CANCELED) || state.equals(TRANSACTION_TIMEOUT);
        if (timeout || resources || state.startsWith("54")) {
            return Cause.LIMIT;
        }
        if (state.equals(LOCK_NOT_AVAILABLE)) {
            return Cause.LOCK;
        }
        if (isOfMessage(e)) {
            return Cause.MESSAGE;
        }
        boolean database = OF_THE_DATABASE.contains(state.substring(0, 2)) || OF_NO_SIZE.contains(state);
        return database ? Cause.DATABASE : Cause.OTHER;
    }

    /** Whether the connection was lost in a way that what was sent over it may have caused. */
    public static boolean isCut(SQLException e) {
        return e.getSQLState() != null && CUT.contains(e.getSQLState());
    }

    /** Whether the message is to blame if it fails with this error in a batch of its own. */
    public static boolean isOfMessage(SQLException e) {
        String state = e.getSQLState();
        if (state == null || state.length() != 5) {
            return false;
        }
        return (OF_THE_MESSAGE.contains(state.substring(0, 2)) && !state.equals(BAD_COPY) && !isOfSequence(e))
                || state.equals(INTERNAL_ERROR);
    }

    /** Whether a row got an id that another one has. The next connection moves the sequence. */
    private static boolean isOfSequence(SQLException e) {
        if (LOST_DETECTION.equals(e.getSQLState())) {
            return true;
        }
        ServerErrorMessage server = e instanceof PSQLException p ? p.getServerErrorMessage() : null;
        return UNIQUE_VIOLATION.equals(e.getSQLState())
                && server != null
                && "results".equals(server.getSchema())
                && NUMBERED.contains(String.valueOf(server.getTable()))
                && (server.getTable() + "_pkey").equals(server.getConstraint());
    }

    /** Whether the next attempt can use the same connection. */
    public static boolean keepsConnection(SQLException e) {
        String state = String.valueOf(e.getSQLState());
        return switch (cause(e)) {
            case MESSAGE, LOCK -> true;
            case LIMIT -> !state.equals(TRANSACTION_TIMEOUT);
            case DATABASE -> false;
            case OTHER -> state.startsWith("40") || state.startsWith("55");
        };
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
