package dev.countersink.bench;

import dev.countersink.config.DbSettings;
import dev.countersink.config.NatsSettings;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** The service as a process of its own, {@code run} with the class path of this one. */
public final class ServiceProcess implements AutoCloseable {
    private static final long POLL_NANOS = TimeUnit.MILLISECONDS.toNanos(2);

    private final Process process;
    private final Path log;

    private ServiceProcess(Process process, Path log) {
        this.process = process;
        this.log = log;
    }

    /**
     * Starts it.
     *
     * @param dir its working directory, in which it also writes its log
     */
    public static ServiceProcess start(Path dir, DbSettings db, NatsSettings nats) throws IOException {
        Path log = dir.resolve("service.log");
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m",
                // Its log says when it ingests, also where the class path has a quieter one.
                "-Dlogging.config=classpath:logback.xml"));
        String classes = System.getProperty("java.class.path");
        if (classes.contains(File.pathSeparator)) {
            command.addAll(List.of("-cp", classes, "dev.countersink.cli.Main"));
        } else {
            command.addAll(List.of("-jar", Path.of(classes).toAbsolutePath().toString()));
        }
        command.add("run");
        ProcessBuilder builder =
                new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
        // A class path of tests has an empty entry, which means the current folder: the changelog must not be there
        // too.
        builder.directory(dir.toFile());
        builder.environment()
                .putAll(Map.of(
                        "COUNTERSINK_HTTP_PORT", "0",
                        "COUNTERSINK_DB_URL", db.url(),
                        "COUNTERSINK_NATS_URL", nats.url()));
        put(builder, "COUNTERSINK_DB_USER", db.user());
        put(builder, "COUNTERSINK_DB_PASSWORD", db.password());
        put(builder, "COUNTERSINK_NATS_TOKEN", nats.token());
        return new ServiceProcess(builder.start(), log);
    }

    private static void put(ProcessBuilder builder, String name, String value) {
        if (value != null) {
            builder.environment().put(name, value);
        }
    }

    /** Waits until its log says that it ingests; returns {@link System#nanoTime} then. */
    public long awaitIngesting() throws IOException {
        while (!Files.readString(log).contains("Ingesting from")) {
            requireAlive();
            LockSupport.parkNanos(POLL_NANOS);
        }
        return System.nanoTime();
    }

    public void requireAlive() {
        if (!process.isAlive()) {
            throw new IllegalStateException("The service has ended with status " + process.exitValue());
        }
    }

    public void kill() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }

    /** Sends SIGTERM; returns the exit status. */
    public int stop() throws InterruptedException {
        process.destroy();
        return process.waitFor();
    }

    @Override
    public void close() {
        process.destroyForcibly();
    }
}
