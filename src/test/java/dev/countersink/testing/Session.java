package dev.countersink.testing;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.DbSettings;
import dev.countersink.db.Database;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.StringJoiner;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.postgresql.core.NativeQuery;
import org.postgresql.core.Parser;
import org.postgresql.util.PSQLWarning;
import org.postgresql.util.ServerErrorMessage;

/** A script with its expected output: rows and notices, in comment lines that begin with {@code -->}. */
public final class Session {
    private static final String SHOWN = "-->";
    private static final Pattern MAJOR = Pattern.compile("(\\d+)\\.");

    private Session() {}

    /** The expected lines in the script. */
    public static List<String> shown(String script) {
        return script.lines()
                .filter(line -> line.startsWith(SHOWN))
                .map(line -> line.substring(SHOWN.length() + 1))
                .toList();
    }

    /** The lines that psql prints. It fails at the first error. */
    public static List<String> psql(DbSettings db, Path file) throws Exception {
        return run(db, "psql", "-X", "-q", "-A", "-t", "-F", " | ", "-v", "ON_ERROR_STOP=1", "-f", file.toString())
                .lines()
                .map(line -> line.replaceFirst("^psql:[^:]*:\\d+: ", ""))
                .filter(line -> !line.isEmpty())
                .toList();
    }

    /** Whether pg_dump can dump a server of this major version. */
    public static boolean dumps(int version) throws Exception {
        try {
            Process process = new ProcessBuilder("pg_dump", "--version").start();
            Matcher said = MAJOR.matcher(new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
            return said.find() && Integer.parseInt(said.group(1)) >= version && hasPsql();
        } catch (IOException e) {
            return false;
        }
    }

    /** A database as a script for psql. */
    public static String dump(DbSettings db) throws Exception {
        return run(db, "pg_dump", "--no-owner");
    }

    private static String run(DbSettings db, String... command) throws Exception {
        URI uri = URI.create(db.url().replaceFirst("^jdbc:", ""));
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment().put("PGHOST", uri.getHost());
        builder.environment().put("PGPORT", Integer.toString(uri.getPort()));
        builder.environment().put("PGUSER", db.user());
        builder.environment().put("PGDATABASE", uri.getPath().substring(1));
        builder.environment().put("PGPASSWORD", db.password() == null ? "" : db.password());
        builder.environment().put("PGCLIENTENCODING", "UTF8");
        builder.environment().put("PGOPTIONS", "-c statement_timeout=60s");
        Process process = builder.redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
        assertThat(process.exitValue()).as(said).isZero();
        return said;
    }

    public static boolean hasPsql() throws InterruptedException {
        try {
            return new ProcessBuilder("psql", "--version").start().waitFor() == 0;
        } catch (IOException e) {
            return false;
        }
    }

    /** Executes a script by JDBC, statement by statement like psql, and returns what psql would print. */
    public static List<String> jdbc(DbSettings db, String script) throws SQLException {
        List<String> said = new ArrayList<>();
        try (Connection connection = Database.connect(db);
                Statement statement = connection.createStatement()) {
            statement.execute("SET statement_timeout = '60s'");
            for (NativeQuery query : Parser.parseJdbcSql(script, true, false, true, false, false)) {
                try {
                    statement.clearWarnings();
                    boolean rows = statement.execute(query.nativeSql);
                    notices(statement.getWarnings(), said);
                    if (rows) {
                        rows(statement.getResultSet(), said);
                    }
                } catch (SQLException e) {
                    throw new SQLException(query.nativeSql, e);
                }
            }
        }
        return said;
    }

    private static void notices(SQLWarning first, List<String> said) {
        for (SQLWarning warning = first; warning != null; warning = warning.getNextWarning()) {
            ServerErrorMessage message = ((PSQLWarning) warning).getServerErrorMessage();
            said.add(message.getSeverity() + ":  " + message.getMessage());
            if (message.getHint() != null) {
                said.add("HINT:  " + message.getHint());
            }
        }
    }

    private static void rows(ResultSet rows, List<String> said) throws SQLException {
        while (rows.next()) {
            StringJoiner line = new StringJoiner(" | ");
            for (int i = 1; i <= rows.getMetaData().getColumnCount(); i++) {
                String value = rows.getString(i);
                line.add(value == null ? "" : value);
            }
            if (line.length() > 0) { // a function that returns nothing
                said.add(line.toString());
            }
        }
    }
}
