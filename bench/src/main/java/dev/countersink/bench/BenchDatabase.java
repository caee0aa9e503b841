package dev.countersink.bench;

import dev.countersink.config.DbSettings;
import dev.countersink.db.Database;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import org.postgresql.PGConnection;

/** A migrated and seeded database, and its twin without anything derived; both of the bench's own. */
public final class BenchDatabase {
    /** What a batch of messages writes, in the order in which foreign keys allow. */
    public static final List<String> WRITTEN = List.of("occurrence", "detection", "classification", "job_capture");

    private final DbSettings settings;

    private BenchDatabase(DbSettings settings) {
        this.settings = settings;
    }

    /** Migrates the database of the settings and seeds it, unless an earlier run has done so. */
    public static BenchDatabase seeded(DbSettings settings, int captures) throws SQLException {
        Database.open(settings).close();
        BenchDatabase database = new BenchDatabase(settings);
        try (Connection connection = database.connect()) {
            if (call(connection, "count(*) FROM pg_namespace WHERE nspname = 'bench'") == 0) {
                database.run(resource("bench/workload.sql"));
                database.run("SELECT bench.seed(" + captures + ")");
                database.run("SELECT tally.refresh('results.fact')");
                database.run("SELECT tally.refresh('results.job_fact')");
                database.run("CALL bench.settle()");
            } else if (call(connection, "count(*) FROM results.capture") < captures) {
                throw new IllegalStateException(
                        "The database was seeded for a smaller bench: give this one an empty database.");
            }
        }
        return database;
    }

    /** A new database beside that of the settings, migrated and seeded. */
    public static BenchDatabase beside(DbSettings settings, String suffix, int captures) throws SQLException {
        BenchDatabase model = new BenchDatabase(settings);
        String name = model.name() + "_" + suffix;
        model.execute("CREATE DATABASE " + name);
        return seeded(model.with(model.inDatabase(name)), captures);
    }

    /** A copy of it, as it is now, without triggers and derived views. */
    public BenchDatabase plainTwin() throws SQLException {
        BenchDatabase twin = copy("plain");
        twin.withoutTriggers();
        return twin;
    }

    /** Removes what is derived; no checkpoint shall come in the middle of a measurement. */
    public void withoutTriggers() throws SQLException {
        run("SELECT bench.without_triggers()");
        run("CALL bench.settle()");
    }

    public void run(String sql) throws SQLException {
        try (Connection connection = connect();
                Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    /** A copy of it, as it is now, beside it; nobody may be connected to it. */
    public BenchDatabase copy(String suffix) throws SQLException {
        String name = name();
        execute("CREATE DATABASE " + name + "_" + suffix + " TEMPLATE " + name);
        return new BenchDatabase(with(inDatabase(name + "_" + suffix)));
    }

    /** Removes a copy, with whoever is connected to it. */
    public void drop() throws SQLException {
        execute("DROP DATABASE " + name() + " WITH (FORCE)");
    }

    private void execute(String ofServer) throws SQLException {
        try (Connection admin = Database.connect(with(inDatabase("template1")));
                Statement statement = admin.createStatement()) {
            statement.execute(ofServer);
        }
    }

    private String name() {
        String url = settings.url();
        return url.substring(url.lastIndexOf('/') + 1).replaceFirst("\\?.*", "");
    }

    private String inDatabase(String name) {
        String url = settings.url();
        int slash = url.lastIndexOf('/');
        int end = url.indexOf('?', slash) < 0 ? url.length() : url.indexOf('?', slash);
        return url.substring(0, slash + 1) + name + url.substring(end);
    }

    private DbSettings with(String url) {
        return new DbSettings(url, settings.user(), settings.password(), settings.poolSize());
    }

    public DbSettings settings() {
        return settings;
    }

    public Connection connect() {
        return Database.connect(settings);
    }

    /** The first column of the first row of a function call. */
    public static long call(Connection connection, String function) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT " + function)) {
            rows.next();
            return rows.getLong(1);
        }
    }

    /** Writes the rows of a table to a file, as text, in the order in which they are stored. */
    public void copyOut(String table, Path file) throws SQLException, IOException {
        try (Connection connection = connect();
                var out = java.nio.file.Files.newOutputStream(file)) {
            connection.unwrap(PGConnection.class).getCopyAPI().copyOut("COPY results." + table + " TO STDOUT", out);
        }
    }

    /** Reads the rows of a table from a file, in one COPY; returns how many. */
    public long copyIn(String table, Path file) throws SQLException, IOException {
        try (Connection connection = connect();
                var in = java.nio.file.Files.newInputStream(file)) {
            return connection
                    .unwrap(PGConnection.class)
                    .getCopyAPI()
                    .copyIn("COPY results." + table + " FROM STDIN", in, 1 << 20);
        }
    }

    private static String resource(String name) {
        try (InputStream in = BenchDatabase.class.getClassLoader().getResourceAsStream(name)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
