package dev.countersink.ingest;

import java.sql.Connection;
import java.sql.SQLException;
import javax.sql.DataSource;
import org.springframework.jdbc.datasource.DelegatingDataSource;

/** The real database, behind a data source that raises an error, as when memory is full. */
final class UnusableSource extends DelegatingDataSource {
    private final Error error;

    UnusableSource(DataSource real, Error error) {
        super(real);
        this.error = error;
    }

    @Override
    public Connection getConnection() throws SQLException {
        throw error;
    }
}
