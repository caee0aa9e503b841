package dev.countersink.db;

import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/**
 * An error as the server reported it.
 *
 * @param code SQLSTATE
 * @param message a sentence
 * @param hint what to do, or null
 */
public record SqlError(
        String code, String message, @Nullable String hint) {
    private static final String UNKNOWN = "XX000";

    /** The server's error in an exception's causes; empty if no database is involved. */
    public static Optional<SqlError> in(Throwable failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof SQLException e) {
                return Optional.of(of(e));
            }
        }
        return Optional.empty();
    }

    /** Why the pool had no connection: its own message has numbers that differ each time, and would be logged as something new. */
    private static SqlError of(SQLTransientConnectionException e, String code) {
        return e.getCause() instanceof SQLException why
                ? of(why)
                : new SqlError(code, "No connection of the pool has become free in time.", null);
    }

    /** Whether the pool had no connection to give. */
    public static boolean isOfPool(Throwable failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof SQLTransientConnectionException e && e.getCause() == null) {
                return true;
            }
        }
        return false;
    }

    /** Whether the connection failed, and not the call. */
    public boolean unreachable() {
        return code.startsWith("08") || code.startsWith("57P");
    }

    /** The server has refused the statement itself: neither the connection, nor the pool of them, nor the server as a whole is at fault. */
    public boolean ofStatement() {
        return !unreachable() && !code.startsWith("53") && !code.startsWith("58") && !UNKNOWN.equals(code);
    }

    private static SqlError of(SQLException e) {
        String code = e.getSQLState() == null ? UNKNOWN : e.getSQLState();
        if (e instanceof SQLTransientConnectionException noConnection) {
            return of(noConnection, code);
        }
        ServerErrorMessage server = e instanceof PSQLException p ? p.getServerErrorMessage() : null;
        return server == null
                ? new SqlError(code, String.valueOf(e.getMessage()), null)
                : new SqlError(code, server.getMessage(), server.getHint());
    }
}
