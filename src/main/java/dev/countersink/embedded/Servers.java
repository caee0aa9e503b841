package dev.countersink.embedded;

import dev.countersink.config.DbSettings;
import dev.countersink.config.EmbeddedSettings;
import dev.countersink.config.NatsSettings;
import dev.countersink.config.StartupException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** PostgreSQL and NATS: the user's own servers if an address is configured, otherwise embedded ones. */
public final class Servers implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Servers.class);

    private final Deque<AutoCloseable> owned = new ArrayDeque<>();
    private final DbSettings db;
    private final NatsSettings nats;

    public Servers(DbSettings db, NatsSettings nats, EmbeddedSettings embedded) {
        try {
            if (db.embedded() || nats.embedded()) {
                owned.push(lock(embedded.dir()));
            }
            this.db = db.embedded() ? startPostgres(embedded.dir(), db.poolSize()) : db;
            this.nats = nats.embedded() ? startNats(embedded.dir()) : nats;
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /** The database in use; its URL is never null. */
    public DbSettings db() {
        return db;
    }

    /** The NATS server in use; its URL is never null. */
    public NatsSettings nats() {
        return nats;
    }

    /** Stops the embedded servers, the last one first. */
    @Override
    public void close() {
        while (!owned.isEmpty()) {
            try {
                owned.pop().close();
            } catch (Exception e) {
                LOG.warn("An embedded server did not stop cleanly: {}", e.getMessage());
            }
        }
    }

    private DbSettings startPostgres(Path dir, int poolSize) {
        EmbeddedPostgres server = EmbeddedPostgres.start(dir.resolve("postgres"));
        owned.push(server);
        DbSettings settings = server.settings();
        LOG.info(
                "Embedded PostgreSQL: psql {} (data in {})",
                address(settings.url()).replace("jdbc:postgresql://", "postgres://" + settings.user() + "@"),
                dir.resolve("postgres"));
        return new DbSettings(settings.url(), settings.user(), settings.password(), poolSize);
    }

    private NatsSettings startNats(Path dir) {
        EmbeddedNats server = EmbeddedNats.start(dir.resolve("nats"));
        owned.push(server);
        LOG.info(
                "Embedded NATS: nats --server {} (data in {})",
                address(server.settings().url())
                        .replace("nats://", "nats://$(cat " + EmbeddedNats.tokenFile(dir.resolve("nats")) + ")@"),
                dir.resolve("nats"));
        return server.settings();
    }

    /** The settings of a server that runs have an address, unlike those of a user who leaves it out. */
    private static String address(@Nullable String url) {
        return Objects.requireNonNull(url, "address of an embedded server");
    }

    private static AutoCloseable lock(Path dir) {
        try {
            Files.createDirectories(dir);
            FileChannel channel =
                    FileChannel.open(dir.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            FileLock lock = tryLock(channel);
            if (lock == null) {
                channel.close();
                throw new StartupException(
                        String.format(
                                Locale.ROOT, "The embedded servers' folder %s is in use by another instance.", dir),
                        "Stop that one, or give this one a folder of its own: set COUNTERSINK_EMBEDDED_DIR.");
            }
            return channel;
        } catch (IOException e) {
            throw new StartupException(
                    String.format(
                            Locale.ROOT, "The embedded servers' folder %s cannot be used: %s.", dir, e.getMessage()),
                    "Choose another: set COUNTERSINK_EMBEDDED_DIR.",
                    e);
        }
    }

    private static @Nullable FileLock tryLock(FileChannel channel) throws IOException {
        try {
            return channel.tryLock();
        } catch (OverlappingFileLockException e) {
            return null;
        }
    }
}
