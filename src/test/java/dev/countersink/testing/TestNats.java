package dev.countersink.testing;

import dev.countersink.config.NatsSettings;
import dev.countersink.embedded.EmbeddedNats;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.stream.Stream;

/** A private NATS server with JetStream for a test; it can crash and restart at the same address. */
public final class TestNats implements AutoCloseable {
    private final Path dir = TestFolder.create("nats");
    private EmbeddedNats server = EmbeddedNats.start(dir);

    public NatsSettings settings() {
        return server.settings();
    }

    /** Ends the server as a crash would. */
    public void kill() {
        server.kill();
    }

    /** Starts it again on the same port, with what it kept. */
    public void restart() {
        server = EmbeddedNats.start(dir, server.port());
    }

    /** Copies a stream's messages from disk, for {@link #bringBackMessages}. */
    public Path keepMessages(String stream) {
        Path copy = TestFolder.create("kept");
        copy(messages(stream), copy);
        return copy;
    }

    /** Call it while the server is down: restores a stream's messages, as if their deletion had not been written to disk. */
    public void bringBackMessages(String stream, Path kept) {
        TestFolder.delete(messages(stream));
        copy(kept, messages(stream));
    }

    /** Call it while the server is down: it restarts as a new one, with the same token. */
    public void loseEverything() {
        TestFolder.delete(dir.resolve("jetstream"));
    }

    private Path messages(String stream) {
        return dir.resolve("jetstream/jetstream/$G/streams").resolve(stream).resolve("msgs");
    }

    private static void copy(Path from, Path to) {
        try (Stream<Path> files = Files.walk(from)) {
            for (Path file : files.toList()) {
                Path target = to.resolve(from.relativize(file).toString());
                if (Files.isDirectory(file)) {
                    Files.createDirectories(target);
                } else {
                    Files.copy(file, target, StandardCopyOption.REPLACE_EXISTING);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        server.close();
        TestFolder.delete(dir);
    }
}
