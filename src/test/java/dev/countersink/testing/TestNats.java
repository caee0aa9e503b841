package dev.countersink.testing;

import dev.countersink.config.NatsSettings;
import dev.countersink.embedded.EmbeddedNats;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.stream.Stream;

/** A NATS server with JetStream of a test's own; it can crash and come back where it was. */
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

    /** Copies the messages of a stream as they are on disk; the result is for {@link #bringBackMessages}. */
    public Path keepMessages(String stream) {
        Path copy = TestFolder.create("kept");
        copy(messages(stream), copy);
        return copy;
    }

    /** While the server is down: gives a stream the messages that it had, as if their deletion had not reached the disk. */
    public void bringBackMessages(String stream, Path kept) {
        TestFolder.delete(messages(stream));
        copy(kept, messages(stream));
    }

    /** While the server is down: it comes back as a new one, with its token. */
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
