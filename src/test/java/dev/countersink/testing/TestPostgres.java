package dev.countersink.testing;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.config.DbSettings;
import dev.countersink.db.Database;
import dev.countersink.embedded.EmbeddedPostgres;
import dev.countersink.embedded.PostgresBinaries;
import io.zonky.test.db.postgres.embedded.DefaultPostgresBinaryResolver;
import io.zonky.test.db.postgres.embedded.PgBinaryResolver;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.jar.JarFile;
import java.util.stream.Stream;

/**
 * The one PostgreSQL server of this JVM. Its version is that of the system property {@code postgres.version} (18 by default), unless
 * an existing server is used: see {@link PostgresServer#pick}. Each caller gets its own database.
 */
public final class TestPostgres {
    private static final String TEMPLATE = "countersink_template";
    private static final AtomicInteger NUMBER = new AtomicInteger();
    private static PostgresServer server;
    private static boolean templated;

    private TestPostgres() {}

    /** The major version under test. */
    public static int version() {
        if (server().ours()) {
            return wanted();
        }
        try (Sql sql = new Sql(administration())) {
            return (int) sql.number("SELECT current_setting('server_version_num')::int / 10000");
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A new database with the whole schema in it. */
    public static synchronized DbSettings migrated() {
        if (!templated) {
            recreate(TEMPLATE, "");
            Database.open(server().settings(TEMPLATE)).close();
            templated = true;
        }
        return create("TEMPLATE " + TEMPLATE);
    }

    /** A new database with nothing in it. */
    public static synchronized DbSettings empty() {
        return create("");
    }

    /** A login role that, unlike the usual one, needs a password. */
    public static synchronized void createGuardedRole(String name, String password) {
        assumeTrue(server().ours(), "who must give a password is not for tests to say");
        execute("CREATE ROLE %s LOGIN PASSWORD '%s'".formatted(name, password));
        execute("""
                DO $$
                DECLARE
                    file  text := current_setting('hba_file');
                    rules text := E'host all %s all scram-sha-256\\n' || pg_read_file(file);
                BEGIN
                    EXECUTE format('COPY (SELECT line FROM string_to_table(%%L, E''\\n'') WITH ORDINALITY l(line, n) ORDER BY n) TO %%L', rules, file);
                END $$""".formatted(name));
        execute("SELECT pg_reload_conf()");
    }

    /** Executes a statement in the server's own database, outside any transaction. */
    public static void execute(String sql) {
        try (Connection connection = Database.connect(administration());
                Statement statement = connection.createStatement()) {
            statement.execute(sql);
        } catch (SQLException e) {
            throw new IllegalStateException(sql, e);
        }
    }

    /** Another server of the version under test, which a test may crash. */
    public static EmbeddedPostgres another(Path dir) {
        return another(dir, Map.of());
    }

    /** The same, with more settings. */
    public static EmbeddedPostgres another(Path dir, Map<String, String> more) {
        Map<String, String> settings = new HashMap<>(Map.of("fsync", "off", "synchronous_commit", "on"));
        settings.putAll(more);
        return EmbeddedPostgres.start(dir, settings, TestPostgres::binaries);
    }

    private static DbSettings create(String options) {
        String name = "test_" + NUMBER.incrementAndGet();
        recreate(name, options);
        return server().settings(name);
    }

    /** Drops it first: an earlier attempt may have failed half way, or an earlier run may have used the same server. */
    private static void recreate(String name, String options) {
        execute("DROP DATABASE IF EXISTS %s WITH (FORCE)".formatted(name));
        execute("CREATE DATABASE %s %s".formatted(name, options));
    }

    private static int wanted() {
        return Integer.getInteger("postgres.version", 18);
    }

    private static DbSettings administration() {
        return server().settings("postgres");
    }

    private static synchronized PostgresServer server() {
        if (server == null) {
            server = PostgresServer.pick(wanted());
            Runtime.getRuntime().addShutdownHook(new Thread(server::close));
        }
        return server;
    }

    static InputStream binaries(String system, String machine) throws IOException {
        String folder = System.getProperty("postgres.binaries");
        PgBinaryResolver packaged = DefaultPostgresBinaryResolver.INSTANCE;
        if (folder == null) {
            return packaged.getPgBinary(system, machine);
        }
        String name = PostgresBinaries.name(system, machine);
        try (Stream<Path> jars = Files.list(Path.of(folder))) {
            for (Path path : jars.toList()) {
                try (JarFile jar = new JarFile(path.toFile())) {
                    if (jar.getEntry(name) != null) {
                        return new ByteArrayInputStream(
                                jar.getInputStream(jar.getEntry(name)).readAllBytes());
                    }
                }
            }
        }
        throw new UncheckedIOException(new IOException("no %s in %s".formatted(name, folder)));
    }
}
