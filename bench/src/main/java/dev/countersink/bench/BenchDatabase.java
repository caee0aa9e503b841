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
final class BenchDatabase {
    /** What a batch of messages writes, in the order in which foreign keys allow. */
    static final List<String> WRITTEN = List.of("occurrence", "detection", "classification", "job_capture");

    private final DbSettings settings;

    private BenchDatabase(DbSettings settings) {
        this.settings = settings;
    }

    /** Migrates the database of the settings and seeds it. */
    static BenchDatabase seeded(DbSettings settings, int captures) throws SQLException {
        Database.open(settings).close();
        BenchDatabase database = new BenchDatabase(settings);
        try (Connection connection = database.connect();
                Statement statement = connection.createStatement()) {
            statement.execute(resource("bench/workload.sql"));
            statement.execute("SELECT bench.seed(" + captures + ")");
            statement.execute("SELECT tally.refresh('results.fact')");
            statement.execute("SELECT tally.refresh('results.job_fact')");
            statement.execute("CALL bench.settle()");
        }
        return database;
    }

    /** A copy of it, as it is now, without triggers and derived views. */
    BenchDatabase plainTwin() throws SQLException {
        String url = settings.url();
        int slash = url.lastIndexOf('/');
        int end = url.indexOf('?', slash) < 0 ? url.length() : url.indexOf('?', slash);
        String name = url.substring(slash + 1, end);
        String twinUrl = url.substring(0, slash + 1) + name + "_plain" + url.substring(end);
        String adminUrl = url.substring(0, slash + 1) + "template1" + url.substring(end);
        try (Connection admin = Database.connect(with(adminUrl));
                Statement statement = admin.createStatement()) {
            statement.execute("CREATE DATABASE " + name + "_plain TEMPLATE " + name);
        }
        BenchDatabase twin = new BenchDatabase(with(twinUrl));
        try (Connection connection = twin.connect();
                Statement statement = connection.createStatement()) {
            statement.execute("SELECT bench.without_triggers()");
            statement.execute("CALL bench.settle()");
        }
        return twin;
    }

    private DbSettings with(String url) {
        return new DbSettings(url, settings.user(), settings.password(), settings.poolSize());
    }

    DbSettings settings() {
        return settings;
    }

    Connection connect() {
        return Database.connect(settings);
    }

    /** The first column of the first row of a function call. */
    static long call(Connection connection, String function) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT " + function)) {
            rows.next();
            return rows.getLong(1);
        }
    }

    /** Writes the rows of a table to a file, as text, in the order in which they are stored. */
    void copyOut(String table, Path file) throws SQLException, IOException {
        try (Connection connection = connect();
                var out = java.nio.file.Files.newOutputStream(file)) {
            connection.unwrap(PGConnection.class).getCopyAPI().copyOut("COPY results." + table + " TO STDOUT", out);
        }
    }

    /** Reads the rows of a table from a file, in one COPY; returns how many. */
    long copyIn(String table, Path file) throws SQLException, IOException {
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
