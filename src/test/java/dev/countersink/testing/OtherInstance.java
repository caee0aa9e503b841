package dev.countersink.testing;

import dev.countersink.cli.Main;
import dev.countersink.config.DbSettings;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Map;

/** A second instance, in a separate process, because Quartz allows one scheduler of a name in a JVM. */
public final class OtherInstance implements AutoCloseable {
    private final Process process;

    private OtherInstance(Process process) {
        this.process = process;
    }

    /** Starts it, without waiting until it is ready. */
    public static OtherInstance start(DbSettings db, TestNats nats) {
        ProcessBuilder builder = new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                Main.class.getName(),
                "run");
        // The class path may have an empty entry, which means the current folder.
        // So that folder must not contain the changelog.
        builder.directory(TestFolder.create("other").toFile());
        builder.environment()
                .putAll(Map.of(
                        "COUNTERSINK_HTTP_PORT", "0",
                        "COUNTERSINK_DB_URL", db.url(),
                        "COUNTERSINK_DB_USER", db.user(),
                        "COUNTERSINK_NATS_URL", nats.settings().url(),
                        "COUNTERSINK_NATS_TOKEN", nats.settings().token(),
                        "COUNTERSINK_REFRESH_INTERVAL", "100ms",
                        "COUNTERSINK_REFRESH_FOLLOW", "100ms"));
        try {
            return new OtherInstance(builder.inheritIO()
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Kills it, as kill -9 does. */
    public void kill() {
        process.destroyForcibly().onExit().join();
    }

    @Override
    public void close() {
        kill();
    }
}
