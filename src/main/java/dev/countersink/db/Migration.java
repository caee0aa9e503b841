package dev.countersink.db;

import dev.countersink.config.StartupException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import liquibase.Contexts;
import liquibase.LabelExpression;
import liquibase.Liquibase;
import liquibase.Scope;
import liquibase.UpdateSummaryEnum;
import liquibase.analytics.configuration.AnalyticsArgs;
import liquibase.changelog.ChangeSet;
import liquibase.changelog.DatabaseChangeLog;
import liquibase.changelog.RanChangeSet;
import liquibase.changelog.visitor.AbstractChangeExecListener;
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
    /** It logs every file, and each failure with its whole file. The field keeps a strong reference, so that the level stays set. */
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
    private static final long BETWEEN_ATTEMPTS_MILLIS = 1_000;
    private static final Duration TOLD_EVERY = Duration.ofSeconds(30);
    private static final Duration PROGRESS_EVERY = Duration.ofSeconds(5);
    private static final String LOCK_NOT_AVAILABLE = "55P03";

    private static final String SHORT_WAITS = """
            SELECT set_config('lock_timeout', s.setting::bigint + 500 || 'ms', false) FROM pg_settings s WHERE s.name = 'deadlock_timeout'""";
    /** A connection pool may pass the session to somebody else. */
    private static final String USUAL_WAITS =
            "SELECT set_config('lock_timeout', s.reset_val, false) FROM pg_settings s WHERE s.name = 'lock_timeout'";

    /** The engine's own function for this may not be there yet. */
    private static final String HOLDERS = """
            SELECT coalesce(string_agg(DISTINCT format('process %s holds %s', l.pid, l.relation::regclass), ', '), 'other transactions hold its tables')
            FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
            WHERE l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) AND l.granted AND l.pid <> pg_backend_pid()
              AND c.relkind IN ('r', 'p', 'v') AND c.oid >= 16384""";

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
        LIQUIBASE.setLevel(Level.OFF); // what fails is thrown, too
        lock(connection);
        try {
            requireRights(connection);
            connection.setNetworkTimeout(Runnable::run, 0);
            Map<String, Object> scope = new HashMap<>();
            // By default Liquibase prints to standard output and sends usage data to its vendor.
            scope.put(Scope.Attr.ui.name(), new LoggerUIService());
            scope.put(AnalyticsArgs.ENABLED.getKey(), false);
            withLocks(connection, () -> Scope.child(scope, () -> migrate(connection)));
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
            isTrue(connection, "SELECT pg_advisory_unlock(hashtextextended(?, 0))");
            call(connection, USUAL_WAITS);
        }
    }

    /**
     * Runs a step again until it got all its locks. Whoever reads or writes the table waits behind each attempt, so one waits only as
     * long as PostgreSQL takes to cancel an autovacuum.
     */
    private static void withLocks(Connection connection, Callable<Boolean> step) throws Exception {
        call(connection, SHORT_WAITS);
        long told = System.nanoTime() - TOLD_EVERY.toNanos();
        while (!hadLocks(connection, step)) {
            if (System.nanoTime() - told >= TOLD_EVERY.toNanos()) {
                LOG.warn(
                        "The schema cannot be brought up to date yet: {}. It is tried again until these have ended",
                        holders(connection));
                told = System.nanoTime();
            }
            pause(BETWEEN_ATTEMPTS_MILLIS);
        }
    }

    private static boolean hadLocks(Connection connection, Callable<Boolean> step) throws Exception {
        try {
            return step.call();
        } catch (Exception e) {
            if (Stream.iterate((Throwable) e, Objects::nonNull, Throwable::getCause)
                    .noneMatch(cause ->
                            cause instanceof SQLException sql && LOCK_NOT_AVAILABLE.equals(sql.getSQLState()))) {
                throw e;
            }
            if (!connection.getAutoCommit()) {
                connection.rollback();
            }
            return false;
        }
    }

    private static String holders(Connection connection) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(HOLDERS);
                ResultSet row = statement.executeQuery()) {
            row.next();
            return row.getString(1);
        }
    }

    private static void pause(long millis) {
        try {
            TimeUnit.MILLISECONDS.sleep(millis);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new StartupException("The start was interrupted.", "Start it again.", e);
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
            pause(LOCK_PAUSE_MILLIS);
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

    private static boolean migrate(Connection connection) throws LiquibaseException {
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
        int files = liquibase
                .listUnrunChangeSets(new Contexts(), new LabelExpression())
                .size();
        if (files > 0) {
            LOG.info("Bringing the schema up to date; new or changed files: {}", files);
            liquibase.setChangeExecListener(new Progress(files));
        }
        liquibase.update(new Contexts(), new LabelExpression());
        LOG.info("The schema is up to date");
        return true;
    }

    /** On a busy machine it takes a minute, on which nobody should have to guess. */
    private static final class Progress extends AbstractChangeExecListener {
        private final int files;
        private int done;
        private long told = System.nanoTime();

        Progress(int files) {
            this.files = files;
        }

        @Override
        public void ran(
                ChangeSet changeSet, DatabaseChangeLog changeLog, Database database, ChangeSet.ExecType execType) {
            done++;
            if (System.nanoTime() - told >= PROGRESS_EVERY.toNanos()) {
                LOG.info("Bringing the schema up to date; {} of {} files are done", done, files);
                told = System.nanoTime();
            }
        }
    }

    /** Generates the code again that an older engine generated: each derived view in a transaction of its own. */
    private static void regenerate(Connection connection) throws Exception {
        withLocks(connection, () -> {
            boolean all = true;
            for (int view : outdated(connection)) {
                all &= regenerated(connection, view);
            }
            return all;
        });
        call(connection, "SELECT tally.regenerate()"); // snapshots; and it warns of views of other owners
    }

    private static List<Integer> outdated(Connection connection) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SELECT id FROM tally.outdated(true)");
                ResultSet row = statement.executeQuery()) {
            List<Integer> ids = new ArrayList<>();
            while (row.next()) {
                ids.add(row.getInt(1));
            }
            return ids;
        }
    }

    /** Whether it could be made anew. */
    private static boolean regenerated(Connection connection, int view) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SELECT tally.regenerate_view(?)")) {
            statement.setInt(1, view);
            try (ResultSet row = statement.executeQuery()) {
                row.next();
                String name = row.getString(1);
                if (name != null) {
                    LOG.info("{} was made anew for this version of the engine", name);
                }
                return name != null;
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
