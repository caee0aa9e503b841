package dev.countersink.testing;

import dev.countersink.config.DbSettings;
import dev.countersink.db.Database;
import java.sql.Connection;
import java.sql.SQLException;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.datasource.SingleConnectionDataSource;

/** A test's own connection, as an application has one. */
public final class Sql implements AutoCloseable {
    private final Connection connection;
    private final JdbcClient jdbc;

    public Sql(DbSettings db) {
        this.connection = Database.connect(db);
        this.jdbc = JdbcClient.create(new SingleConnectionDataSource(connection, true));
    }

    public void run(String script) {
        try (var statement = connection.createStatement()) {
            statement.execute(script);
        } catch (SQLException e) {
            throw new IllegalStateException(e.getMessage() + "\nin: " + script, e);
        }
    }

    public long number(String query) {
        return jdbc.sql(query).query(Long.class).single();
    }

    public String text(String query) {
        return jdbc.sql(query).query(String.class).single();
    }

    @Override
    public void close() throws SQLException {
        connection.close();
    }
}
