package dev.countersink.testing;

import dev.countersink.config.NatsSettings;
import dev.countersink.embedded.EmbeddedNats;
import java.nio.file.Path;

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

    @Override
    public void close() {
        server.close();
        TestFolder.delete(dir);
    }
}
