package dev.countersink.db;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.countersink.config.DbSettings;
import dev.countersink.config.StartupException;
import java.net.ConnectException;
import java.net.NoRouteToHostException;
import java.net.SocketTimeoutException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Locale;
import java.util.Properties;
import javax.sql.DataSource;
import org.postgresql.ds.PGSimpleDataSource;
import org.postgresql.util.PSQLState;

/** Opens PostgreSQL: checks its version, brings the schema up to date, and creates the connection pool. */
public final class Database {
    private static final int OLDEST = 15;
    private static final String CONNECT_TIMEOUT_S = "10";
    /** For the questions before the migration; a migration itself may take long. */
    private static final int FIRST_ANSWERS_MILLIS = 10_000;
    /** Between two poolings of the same session by other clients one of these is enough. */
    private static final int LOOKS = 5;

    private static final long KEEPALIVE_MILLIS = 30_000;
    private static final long VALIDATION_MILLIS = 2_500;

    private Database() {}

    /** A pool of connections to a server that has been checked and migrated. */
    public static HikariDataSource open(DbSettings settings) {
        try (Connection connection = connect(settings)) {
            checkVersion(connection.getMetaData().getDatabaseMajorVersion());
            connection.setNetworkTimeout(Runnable::run, FIRST_ANSWERS_MILLIS);
            refuseSharedSessions(settings, connection);
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
        return new Pool(config);
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
        properties.setProperty("socketFactory", WatchedSockets.class.getName());
        properties.setProperty("reWriteBatchedInserts", "true");
        return properties;
    }

    /**
     * Refuses a pooler that gives a session to another client after each transaction: prepared statements, locks and temporary
     * tables of one would be another's. It shows in two connections that have the same session, or in one that changes it.
     */
    private static void refuseSharedSessions(DbSettings settings, Connection one) throws SQLException {
        try (Connection other = connect(settings)) {
            other.setNetworkTimeout(Runnable::run, FIRST_ANSWERS_MILLIS);
            int session = session(one);
            for (int look = 0; look < LOOKS; look++) {
                // Asked twice, or two sessions that are given out in turn would not be noticed.
                if (session(other) == session || session(one) != session || session(one) != session) {
                    throw new StartupException(
                            String.format(
                                    Locale.ROOT,
                                    "Between Countersink and PostgreSQL at %s is a connection pooler in transaction mode,"
                                            + " in which a session belongs to nobody.",
                                    JdbcUrl.of(settings).shown()),
                            "Let COUNTERSINK_DB_URL name PostgreSQL itself, or a pool with pool_mode = session.");
                }
            }
        }
    }

    private static int session(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("SELECT pg_backend_pid()")) {
            row.next();
            return row.getInt(1);
        }
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
        JdbcUrl url = JdbcUrl.of(settings);
        String state = e.getSQLState() == null ? "" : e.getSQLState();
        String sentence = url.withoutSecrets(sentence(e));
        if ("08004".equals(state) && url.password() == null) {
            return new StartupException(
                    String.format(
                            Locale.ROOT, "PostgreSQL at %s asks for a password, but none is configured.", url.shown()),
                    "Set COUNTERSINK_DB_PASSWORD, or write it in COUNTERSINK_DB_URL: postgres://user:password@host/database.",
                    e);
        }
        if ("08P01".equals(state) && sentence.contains("startup parameter")) {
            return new StartupException(
                    String.format(
                            Locale.ROOT,
                            "What listens at %s is a connection pooler that refuses the login: %s.",
                            url.shown(),
                            sentence),
                    "Leave this parameter out of COUNTERSINK_DB_URL, or have the pooler pass it over (ignore_startup_parameters"
                            + " of PgBouncer); or let the URL name PostgreSQL itself.",
                    e);
        }
        if (state.startsWith("28")) {
            return new StartupException(
                    String.format(Locale.ROOT, "PostgreSQL at %s refuses the login: %s.", url.shown(), sentence),
                    "Check COUNTERSINK_DB_USER and COUNTERSINK_DB_PASSWORD.",
                    e);
        }
        if (state.startsWith("3D")) {
            return new StartupException(
                    String.format(Locale.ROOT, "PostgreSQL at %s has no such database: %s.", url.shown(), sentence),
                    "Create it, or correct COUNTERSINK_DB_URL.",
                    e);
        }
        if (isSilent(e)) {
            return new StartupException(
                    String.format(
                            Locale.ROOT,
                            "PostgreSQL at %s accepts a connection, but does not answer within %s s.",
                            url.shown(),
                            CONNECT_TIMEOUT_S),
                    "Look at the server, which may be stopped or overloaded, and whether COUNTERSINK_DB_URL names PostgreSQL at all.",
                    e);
        }
        if (state.startsWith("08") || state.startsWith("57P03")) {
            return new StartupException(
                    String.format(Locale.ROOT, "PostgreSQL at %s cannot be reached: %s.", url.shown(), sentence),
                    "Start it, or correct COUNTERSINK_DB_URL.",
                    e);
        }
        return new StartupException(
                String.format(
                        Locale.ROOT,
                        "PostgreSQL at %s cannot be used: %s (SQLSTATE %s).",
                        url.shown(),
                        sentence,
                        state),
                "See the server's log.",
                e);
    }

    /** The login, or a statement, has run into its time-out; a connection that is not accepted is another matter. */
    private static boolean isSilent(SQLException e) {
        for (Throwable cause = e; cause != null; cause = cause.getCause()) {
            if (cause instanceof ConnectException || cause instanceof NoRouteToHostException) {
                return false;
            }
            if (cause instanceof SocketTimeoutException) {
                return !String.valueOf(cause.getMessage())
                        .toLowerCase(Locale.ROOT)
                        .startsWith("connect");
            }
        }
        return PSQLState.CONNECTION_UNABLE_TO_CONNECT.getState().equals(e.getSQLState()) && e.getCause() == null;
    }

    private static String sentence(SQLException e) {
        return String.valueOf(e.getMessage()).strip().replace('\n', ' ').replaceFirst("(\\. Check that .*|\\.)$", "");
    }
}
