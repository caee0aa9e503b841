package dev.countersink.embedded;

import dev.countersink.config.DbSettings;
import dev.countersink.config.StartupException;
import io.zonky.test.db.postgres.embedded.PgBinaryResolver;
import io.zonky.test.db.postgres.util.LinuxUtils;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A private PostgreSQL server on a free port of the loopback address, with its data in a folder. */
public final class EmbeddedPostgres implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(EmbeddedPostgres.class);
    private static final String USER = "postgres";
    private static final String PID_FILE = "postmaster.pid";
    private static final String PROGRAM = "postgres";
    /** The last checkpoint may have to write gigabytes. */
    private static final long STOP_S = 600;

    /** For a machine that runs everything. A user's own server keeps its own settings. */
    private static final Map<String, String> TUNING = Map.of(
            "max_connections", "100",
            "shared_buffers", "256MB",
            "work_mem", "32MB",
            "maintenance_work_mem", "256MB",
            "max_wal_size", "4GB",
            "checkpoint_timeout", "15min",
            "random_page_cost", "1.1",
            "jit", "off",
            "listen_addresses", "127.0.0.1",
            "unix_socket_directories", "''");

    private final io.zonky.test.db.postgres.embedded.EmbeddedPostgres server;
    private final Path data;

    private EmbeddedPostgres(io.zonky.test.db.postgres.embedded.EmbeddedPostgres server, Path data) {
        this.server = server;
        this.data = data;
    }

    /** Starts the version that is in the jar, on the existing data in the folder. Commits are durable. */
    public static EmbeddedPostgres start(Path dir) {
        return start(dir, Map.of("fsync", "on", "synchronous_commit", "on"));
    }

    /**
     * Starts the version that is in the jar.
     *
     * @param settings server settings that override the usual ones
     */
    public static EmbeddedPostgres start(Path dir, Map<String, String> settings) {
        return start(dir, settings, EmbeddedPostgres::packaged);
    }

    /**
     * @param settings server settings that override the usual ones
     * @param binaries where the server's programs come from
     */
    public static EmbeddedPostgres start(Path dir, Map<String, String> settings, PgBinaryResolver binaries) {
        refuseRoot();
        try {
            Files.createDirectories(dir);
            Path data = dir.resolve("data");
            StaleProcess.stop(data.resolve(PID_FILE), PROGRAM);
            var builder = io.zonky.test.db.postgres.embedded.EmbeddedPostgres.builder()
                    .setDataDirectory(data)
                    .setCleanDataDirectory(false)
                    .setRegisterShutdownHook(false)
                    .setOverrideWorkingDirectory(Cache.dir().toFile())
                    .setPGStartupWait(Duration.ofSeconds(60))
                    .setLocaleConfig("locale", "C.UTF-8")
                    .setOutputRedirector(
                            Redirect.appendTo(dir.resolve("postgres.log").toFile()))
                    .setPgBinaryResolver(binaries);
            TUNING.forEach(builder::setServerConfig);
            settings.forEach(builder::setServerConfig);
            return new EmbeddedPostgres(builder.start(), data);
        } catch (IOException | RuntimeException | ExceptionInInitializerError e) {
            throw new StartupException(
                    String.format(Locale.ROOT, "The embedded PostgreSQL did not start in %s: %s.", dir, e.getMessage()),
                    String.format(
                            Locale.ROOT,
                            "Read %s, or use a server of your own: set COUNTERSINK_DB_URL.",
                            dir.resolve("postgres.log")),
                    e);
        }
    }

    public DbSettings settings() {
        return settings("postgres");
    }

    public DbSettings settings(String database) {
        return DbSettings.of(
                String.format(Locale.ROOT, "jdbc:postgresql://127.0.0.1:%d/%s", server.getPort(), database),
                USER,
                "unused");
    }

    /** Returns once the server has ended. */
    @Override
    public void close() {
        try {
            Optional<ProcessHandle> process = StaleProcess.running(data.resolve(PID_FILE), PROGRAM);
            server.close(); // which waits for a few seconds only
            if (process.isPresent() && process.get().isAlive()) {
                LOG.info("The embedded PostgreSQL writes its last checkpoint …");
                StaleProcess.awaitEnd(process.get(), STOP_S);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Ends the server without a last checkpoint, as a crash would; returns once it has ended. */
    public void kill() {
        try {
            ProcessHandle process =
                    StaleProcess.running(data.resolve(PID_FILE), PROGRAM).orElse(null);
            if (process != null) {
                new ProcessBuilder("kill", "-QUIT", Long.toString(process.pid())).start();
                StaleProcess.awaitEnd(process, STOP_S);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** PostgreSQL refuses to run as root. In a user namespace it believes that it is another user. */
    private static void refuseRoot() {
        if ("root".equals(System.getProperty("user.name")) && !LinuxUtils.isUnshareAvailable()) {
            throw new StartupException(
                    "The embedded PostgreSQL cannot run as root here, for this machine allows no user namespaces.",
                    "Start Countersink as an ordinary user, or use a server of your own: set COUNTERSINK_DB_URL.");
        }
    }

    private static InputStream packaged(String system, String machine) throws IOException {
        String name = PostgresBinaries.name(system, machine);
        InputStream found = EmbeddedPostgres.class.getResourceAsStream("/" + name);
        if (found == null) {
            throw new IOException(
                    String.format(Locale.ROOT, "there is no PostgreSQL for %s on %s in this jar", system, machine));
        }
        return found;
    }
}
