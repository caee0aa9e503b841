package dev.countersink.db;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import com.zaxxer.hikari.HikariPoolMXBean;
import com.zaxxer.hikari.pool.HikariPool;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.sql.Statement;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import org.postgresql.util.PSQLState;

/** A pool of connections that knows of {@link Hurry}. */
final class Pool extends HikariDataSource {
    private static final int STATEMENT_SECONDS = 20;
    /** Longer, so that a server that answers at all is told to cancel first: a statement that nobody waits for may hold up others. */
    private static final int ANSWER_MILLIS = (int) Duration.ofSeconds(25).toMillis();

    Pool(HikariConfig config) {
        super(config);
    }

    @Override
    public Connection getConnection() throws SQLException {
        @Nullable Duration patience = Hurry.ofThisThread();
        if (patience == null) {
            return super.getConnection();
        }
        Connection connection = within(patience);
        try {
            connection.setNetworkTimeout(Runnable::run, ANSWER_MILLIS); // the pool sets it back
            return bounded(connection);
        } catch (SQLException e) {
            connection.close();
            throw e;
        }
    }

    private Connection within(Duration patience) throws SQLException {
        if (isClosed() || !(getHikariPoolMXBean() instanceof HikariPool pool)) {
            return super.getConnection();
        }
        try {
            return pool.getConnection(patience.toMillis());
        } catch (SQLTransientConnectionException e) {
            throw e.getCause() == null && !isExhausted(pool) ? silent(e) : e;
        }
    }

    private boolean isExhausted(HikariPoolMXBean pool) {
        return pool.getActiveConnections() >= getMaximumPoolSize();
    }

    /** The pool tells only one of those who wait why it cannot connect. */
    private static SQLException silent(SQLTransientConnectionException e) {
        String state = PSQLState.CONNECTION_UNABLE_TO_CONNECT.getState();
        return new SQLTransientConnectionException(
                e.getMessage(), state, new SQLException("The database does not answer.", state));
    }

    /** Its statements are cancelled when they take too long, unless whoever prepares one says how long it may take. */
    private static Connection bounded(Connection connection) {
        return (Connection) Proxy.newProxyInstance(
                Pool.class.getClassLoader(), new Class<?>[] {Connection.class}, (proxy, method, arguments) -> {
                    try {
                        Object result = method.invoke(connection, arguments);
                        if (result instanceof Statement statement) {
                            statement.setQueryTimeout(STATEMENT_SECONDS);
                        }
                        return result;
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
    }
}
