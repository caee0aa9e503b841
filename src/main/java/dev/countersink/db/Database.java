package dev.countersink.db;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.countersink.config.DbSettings;
import dev.countersink.config.StartupException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.Locale;
import java.util.Properties;
import javax.sql.DataSource;
import org.postgresql.ds.PGSimpleDataSource;

/** Opens PostgreSQL: checks its version, brings the schema up to date, and creates the connection pool. */
public final class Database {
    private static final int OLDEST = 15;
    private static final String CONNECT_TIMEOUT_S = "10";
    private static final long KEEPALIVE_MILLIS = 30_000;
    private static final long VALIDATION_MILLIS = 2_500;

    private Database() {}

    /** A pool of connections to a server that has been checked and migrated. */
    public static HikariDataSource open(DbSettings settings) {
        try (Connection connection = connect(settings)) {
            checkVersion(connection.getMetaData().getDatabaseMajorVersion());
            Migration.run(connection);
        } catch (SQLException e) {
            throw refused(settings, e);
        }
        return pool(settings);
    }

    /** One connection without a pool. The version is not checked. */
    public static Connection connect(DbSettings settings) {
        JdbcUrl url = JdbcUrl.of(settings);
        try {
            return DriverManager.getConnection(url.url(), properties(url));
        } catch (SQLException e) {
            throw refused(settings, e);
        }
    }

    /** A connection pool as configured. It does not look at the schema. */
    public static HikariDataSource pool(DbSettings settings) {
        JdbcUrl url = JdbcUrl.of(settings);
        HikariConfig config = new HikariConfig();
        config.setPoolName("countersink");
        config.setJdbcUrl(url.url());
        config.setMaximumPoolSize(settings.poolSize());
        config.setMinimumIdle(Math.min(4, settings.poolSize()));
        config.setConnectionTimeout(10_000);
        // Idle connections that died unnoticed are removed before they are used.
        config.setKeepaliveTime(KEEPALIVE_MILLIS);
        config.setValidationTimeout(VALIDATION_MILLIS);
        // Independent of the database's default: merges are written for this level, and at SERIALIZABLE a merge could
        // make writers fail.
        config.setTransactionIsolation("TRANSACTION_READ_COMMITTED");
        config.setDataSourceProperties(properties(url));
        return new HikariDataSource(config);
    }

    /** Connections without a pool: each attempt connects at once, or fails at once with the reason. */
    public static DataSource unpooled(DbSettings settings) {
        JdbcUrl url = JdbcUrl.of(settings);
        PGSimpleDataSource source = new PGSimpleDataSource();
        source.setUrl(url.url());
        properties(url).forEach((name, value) -> {
            try {
                source.setProperty((String) name, (String) value);
            } catch (SQLException e) {
                throw new IllegalStateException("The driver does not know " + name + ".", e);
            }
        });
        return source;
    }

    private static Properties properties(JdbcUrl url) {
        Properties properties = new Properties();
        if (url.user() != null) {
            properties.setProperty("user", url.user());
        }
        if (url.password() != null) {
            properties.setProperty("password", url.password());
        }
        properties.setProperty("ApplicationName", "countersink");
        properties.setProperty("connectTimeout", CONNECT_TIMEOUT_S);
        properties.setProperty("loginTimeout", CONNECT_TIMEOUT_S);
        properties.setProperty("tcpKeepAlive", "true");
        properties.setProperty("reWriteBatchedInserts", "true");
        return properties;
    }

    static void checkVersion(int version) {
        if (version < OLDEST) {
            throw new StartupException(
                    String.format(
                            Locale.ROOT,
                            "The server is PostgreSQL %d, but Countersink needs PostgreSQL %d or newer.",
                            version,
                            OLDEST),
                    "Upgrade it, or point COUNTERSINK_DB_URL at a newer one.");
        }
    }

    private static StartupException refused(DbSettings settings, SQLException e) {
        String state = e.getSQLState() == null ? "" : e.getSQLState();
        String url = JdbcUrl.of(settings).url().replaceFirst("\\?.*", "");
        if (state.startsWith("28")) {
            return new StartupException(
                    String.format(Locale.ROOT, "PostgreSQL at %s refuses the login: %s.", url, sentence(e)),
                    "Check COUNTERSINK_DB_USER and COUNTERSINK_DB_PASSWORD.",
                    e);
        }
        if (state.startsWith("3D")) {
            return new StartupException(
                    String.format(Locale.ROOT, "PostgreSQL at %s has no such database: %s.", url, sentence(e)),
                    "Create it, or correct COUNTERSINK_DB_URL.",
                    e);
        }
        if (state.startsWith("08") || state.startsWith("57P03")) {
            return new StartupException(
                    String.format(Locale.ROOT, "PostgreSQL at %s cannot be reached: %s.", url, sentence(e)),
                    "Start it, or correct COUNTERSINK_DB_URL.",
                    e);
        }
        return new StartupException(
                String.format(
                        Locale.ROOT, "PostgreSQL at %s cannot be used: %s (SQLSTATE %s).", url, sentence(e), state),
                "See the server's log.",
                e);
    }

    private static String sentence(SQLException e) {
        return String.valueOf(e.getMessage()).strip().replace('\n', ' ').replaceFirst("(\\. Check that .*|\\.)$", "");
    }
}
