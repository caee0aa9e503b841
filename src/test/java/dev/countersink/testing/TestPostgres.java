package dev.countersink.testing;

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
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.jar.JarFile;
import java.util.stream.Stream;

/**
 * The one PostgreSQL of this JVM: of the version that the system property {@code postgres.version} names (18 without
 * it), or the server at {@code postgres.url}. Each caller gets a database of its own.
 */
public final class TestPostgres {
    private static final String TEMPLATE = "countersink_template";
    private static final AtomicInteger NUMBER = new AtomicInteger();
    private static EmbeddedPostgres server;
    private static Path dir;
    private static boolean templated;

    private TestPostgres() {}

    /** The major version under test. */
    public static int version() {
        return Integer.getInteger("postgres.version", 18);
    }

    /** A new database with the whole schema in it. */
    public static synchronized DbSettings migrated() {
        if (!templated) {
            // An earlier try may have failed half way; each test shall show why.
            execute("DROP DATABASE IF EXISTS %s WITH (FORCE)".formatted(TEMPLATE));
            execute("CREATE DATABASE " + TEMPLATE);
            Database.open(server().settings(TEMPLATE)).close();
            templated = true;
        }
        return create("TEMPLATE " + TEMPLATE);
    }

    /** A new database with nothing in it. */
    public static synchronized DbSettings empty() {
        return create("");
    }

    /** A login role that, unlike the usual one, must give its password. */
    public static synchronized void createGuardedRole(String name, String password) {
        execute("CREATE ROLE %s LOGIN PASSWORD '%s'".formatted(name, password));
        Path rules = dir.resolve("data").resolve("pg_hba.conf");
        try {
            Files.writeString(rules, "host all %s all scram-sha-256%n%s".formatted(name, Files.readString(rules)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        execute("SELECT pg_reload_conf()");
    }

    /** A statement on the server's own database, outside any transaction. */
    public static void execute(String sql) {
        try (Connection connection = Database.connect(server().settings());
                Statement statement = connection.createStatement()) {
            statement.execute(sql);
        } catch (SQLException e) {
            throw new IllegalStateException(sql, e);
        }
    }

    /** Another server of the version under test, which a test may crash. */
    public static EmbeddedPostgres another(Path dir) {
        return EmbeddedPostgres.start(dir, Map.of("fsync", "off", "synchronous_commit", "on"), TestPostgres::binaries);
    }

    private static DbSettings create(String options) {
        String name = "test_" + NUMBER.incrementAndGet();
        execute("CREATE DATABASE %s %s".formatted(name, options));
        return server().settings(name);
    }

    private static synchronized EmbeddedPostgres server() {
        if (server == null) {
            dir = TestFolder.create("postgres");
            server = EmbeddedPostgres.start(
                    dir, Map.of("fsync", "off", "full_page_writes", "off"), TestPostgres::binaries);
            Runtime.getRuntime().addShutdownHook(new Thread(TestPostgres::stop));
        }
        return server;
    }

    private static void stop() {
        server.close();
        TestFolder.delete(dir);
    }

    private static InputStream binaries(String system, String machine) throws IOException {
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
