package dev.countersink.db;

import dev.countersink.config.StartupException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import liquibase.Contexts;
import liquibase.LabelExpression;
import liquibase.Liquibase;
import liquibase.Scope;
import liquibase.UpdateSummaryEnum;
import liquibase.analytics.configuration.AnalyticsArgs;
import liquibase.changelog.RanChangeSet;
import liquibase.database.Database;
import liquibase.database.DatabaseFactory;
import liquibase.database.jvm.JdbcConnection;
import liquibase.exception.LiquibaseException;
import liquibase.resource.ClassLoaderResourceAccessor;
import liquibase.ui.LoggerUIService;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Brings the schema up to this program's version. Any number of instances may start at the same time. */
final class Migration {
    private static final Logger LOG = LoggerFactory.getLogger(Migration.class);
    /** Liquibase logs every file and every try of its lock. The field keeps a strong reference, so that the level stays set. */
    private static final java.util.logging.Logger LIQUIBASE = java.util.logging.Logger.getLogger("liquibase");

    private static final String CHANGELOG = "liquibase/changelog.xml";
    /** Tables of its own, so that an application's Liquibase in the same database is not affected. */
    private static final String HISTORY = "countersink_changelog";

    private static final String LOCK = "countersink_changelog_lock";
    /** Run-on-change files may come and go. An unknown run-once file comes from a newer program. */
    private static final String ON_CHANGE = "sql/";

    private static final Pattern CHANGE = Pattern.compile("::(.+?)::countersink");
    private static final String LOCK_NAME = "countersink migration";

    private static final long LOCK_PAUSE_MILLIS = 200;

    private static final String RIGHTS = """
            SELECT to_regnamespace('tally') IS NOT NULL OR has_database_privilege(current_database(), 'CREATE') AS schemas,
                   to_regclass('countersink_changelog') IS NOT NULL
                       OR coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS history,
                   current_user AS role, current_database() AS base, coalesce(current_schema(), 'public') AS place,
                   format('GRANT CREATE ON DATABASE %I TO %I;', current_database(), current_user) AS grant_schemas,
                   format('GRANT USAGE, CREATE ON SCHEMA %I TO %I;', coalesce(current_schema(), 'public'), current_user)
                       AS grant_history
            """;

    private Migration() {}

    static void run(Connection connection) throws SQLException {
        LIQUIBASE.setLevel(Level.WARNING);
        lock(connection);
        try {
            requireRights(connection);
            connection.setNetworkTimeout(Runnable::run, 0);
            Map<String, Object> scope = new HashMap<>();
            // By default Liquibase prints to standard output and sends usage data to its vendor.
            scope.put(Scope.Attr.ui.name(), new LoggerUIService());
            scope.put(AnalyticsArgs.ENABLED.getKey(), false);
            Scope.child(scope, () -> migrate(connection));
            connection.setAutoCommit(true);
            regenerate(connection);
        } catch (StartupException e) {
            throw e;
        } catch (Exception e) {
            throw new StartupException(
                    String.format(Locale.ROOT, "The schema cannot be brought up to date: %s.", reason(e)),
                    "Nothing of the failing file is kept; correct the cause and start again.",
                    e);
        } finally {
            connection.setAutoCommit(true);
            call(connection, "SELECT pg_advisory_unlock(hashtextextended(?, 0))");
        }
    }

    /** Waits for other instances that start, in questions that are answered at once: a server that is silent is noticed. */
    private static void lock(Connection connection) throws SQLException {
        boolean told = false;
        while (!isTrue(connection, "SELECT pg_try_advisory_lock(hashtextextended(?, 0))")) {
            if (!told) {
                LOG.info("Another instance is bringing the schema up to date; waiting for it");
                told = true;
            }
            try {
                TimeUnit.MILLISECONDS.sleep(LOCK_PAUSE_MILLIS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new StartupException("The start was interrupted.", "Start it again.", e);
            }
        }
    }

    /** Says which right is missing, and who has to grant what. */
    private static void requireRights(Connection connection) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(RIGHTS);
                ResultSet row = statement.executeQuery()) {
            row.next();
            if (!row.getBoolean("schemas")) {
                throw new StartupException(
                        String.format(
                                Locale.ROOT,
                                "The role %s may not create schemas in the database %s.",
                                row.getString("role"),
                                row.getString("base")),
                        row.getString("grant_schemas") + " as the owner of the database; then start again.");
            }
            if (!row.getBoolean("history")) {
                throw new StartupException(
                        String.format(
                                Locale.ROOT,
                                "The role %s may not create tables in the schema %s, where the history of migrations is kept.",
                                row.getString("role"),
                                row.getString("place")),
                        row.getString("grant_history") + " as its owner; then start again.");
            }
        }
    }

    private static void migrate(Connection connection) throws LiquibaseException {
        Database database =
                DatabaseFactory.getInstance().findCorrectDatabaseImplementation(new JdbcConnection(connection));
        database.setDatabaseChangeLogTableName(HISTORY);
        database.setDatabaseChangeLogLockTableName(LOCK);
        // Closing it would close the connection, which belongs to the caller.
        @SuppressWarnings("resource")
        Liquibase liquibase = new Liquibase(CHANGELOG, new ClassLoaderResourceAccessor(), database);
        liquibase.setShowSummary(UpdateSummaryEnum.OFF);
        refuseNewer(liquibase);
        // An instance that crashed leaves Liquibase's lock behind. Under our own lock nobody else can hold it.
        liquibase.forceReleaseLocks();
        liquibase.update(new Contexts(), new LabelExpression());
        LOG.info("The schema is up to date");
    }

    /** Generates the code again that an older engine generated, one derived view at a time. */
    private static void regenerate(Connection connection) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SELECT tally.regenerate()");
                ResultSet names = statement.executeQuery()) {
            while (names.next()) {
                LOG.info("{} was made anew for this version of the engine", names.getString(1));
            }
        }
    }

    private static void refuseNewer(Liquibase liquibase) throws LiquibaseException {
        for (RanChangeSet known : liquibase.listUnexpectedChangeSets(new Contexts(), new LabelExpression())) {
            if (!known.getId().startsWith(ON_CHANGE)) {
                throw new StartupException(
                        String.format(
                                Locale.ROOT,
                                "The database's schema is newer than this program: it has '%s', which this program lacks.",
                                known.getId()),
                        "Start a program at least as new as the newest that has used this database.");
            }
        }
    }

    private static boolean isTrue(Connection connection, String sql) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setString(1, LOCK_NAME);
            try (ResultSet row = statement.executeQuery()) {
                return row.next() && row.getBoolean(1);
            }
        }
    }

    private static void call(Connection connection, String sql) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setString(1, LOCK_NAME);
            statement.execute();
        }
    }

    /** Liquibase's own message repeats the whole file. Its name and the server's message are enough. */
    static String reason(Throwable e) {
        String file = "";
        Throwable root = e;
        for (Throwable cause = e; cause != null; cause = cause.getCause()) {
            Matcher matcher = CHANGE.matcher(String.valueOf(cause.getMessage()));
            if (matcher.find()) {
                file = matcher.group(1) + ": ";
            }
            root = cause;
        }
        return file + String.valueOf(root.getMessage()).strip().replaceAll("\\s*\n\\s*", "; ");
    }
}
