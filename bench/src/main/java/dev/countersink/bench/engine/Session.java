package dev.countersink.bench.engine;

import dev.countersink.config.DbSettings;
import dev.countersink.db.Database;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/** A database connection. */
final class Session implements AutoCloseable {
    private final Connection connection;

    Session(DbSettings db) {
        this.connection = Database.connect(db);
    }

    Connection connection() {
        return connection;
    }

    void run(String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    /** Runs a statement and returns how long it took. */
    double seconds(String sql) throws SQLException {
        long start = System.nanoTime();
        run(sql);
        return (System.nanoTime() - start) / 1e9;
    }

    String text(String query) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(query)) {
            rows.next();
            return rows.getString(1);
        }
    }

    long number(String query) throws SQLException {
        return Long.parseLong(text(query));
    }

    @Override
    public void close() throws SQLException {
        connection.close();
    }
}
