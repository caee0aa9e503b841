package dev.countersink.embedded;

import dev.countersink.config.NatsSettings;
import dev.countersink.config.StartupException;
import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** A private NATS server with JetStream, started from the nats-server on the PATH, on a free port of the loopback address. */
public final class EmbeddedNats implements AutoCloseable {
    private static final String LOOPBACK = "127.0.0.1";
    private static final long PATIENCE_S = 30;

    private final Process process;
    private final int port;
    private final String token;

    private EmbeddedNats(Process process, int port, String token) {
        this.process = process;
        this.port = port;
        this.token = token;
    }

    /** Starts a server on a free port that keeps its streams in the folder. */
    public static EmbeddedNats start(Path dir) {
        return start(dir, freePort());
    }

    /** Starts a server on a given port: after a crash, clients find it at the same address. */
    public static EmbeddedNats start(Path dir, int port) {
        String program = Programs.find("nats-server")
                .orElseThrow(() -> new StartupException(
                        "There is no nats-server on the PATH.",
                        "Install it ('apt-get install nats-server' on Debian and Ubuntu),"
                                + " or use a server of your own: set COUNTERSINK_NATS_URL."))
                .toString();
        Path log = dir.resolve("nats.log");
        try {
            Files.createDirectories(dir);
            StaleProcess.stop(dir.resolve("nats.pid"), "nats-server");
            String token = token(dir);
            Path config = writeConfig(dir, port, token);
            List<String> command = new ArrayList<>();
            // Ctrl-C goes to every process of a terminal, but the server must run until the current batches are
            // finished.
            Programs.find("setsid").map(Path::toString).ifPresent(command::add);
            command.addAll(List.of(program, "-c", config.toString()));
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
                    .start();
            process.getOutputStream().close();
            EmbeddedNats server = new EmbeddedNats(process, port, token);
            server.awaitReady(log);
            return server;
        } catch (IOException e) {
            throw failed(log, String.valueOf(e.getMessage()), e);
        }
    }

    public NatsSettings settings() {
        return NatsSettings.of(String.format(Locale.ROOT, "nats://%s:%d", LOOPBACK, port), token);
    }

    public int port() {
        return port;
    }

    /** Ends the server at once, as a crash would. */
    public void kill() {
        process.destroyForcibly().onExit().join();
    }

    @Override
    public void close() {
        process.destroy();
        try {
            if (!process.waitFor(PATIENCE_S, TimeUnit.SECONDS)) {
                kill();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            kill();
        }
    }

    private void awaitReady(Path log) {
        boolean ready = Await.until(
                () -> !process.isAlive() || PortProbe.speaks(LOOPBACK, port, "INFO "),
                TimeUnit.SECONDS.toMillis(PATIENCE_S));
        if (!ready || !process.isAlive()) {
            process.destroyForcibly();
            throw failed(log, process.isAlive() ? "it does not answer" : "it ended at once", null);
        }
    }

    private static StartupException failed(Path log, String why, @Nullable Throwable cause) {
        return new StartupException(
                String.format(Locale.ROOT, "The embedded NATS server did not start: %s.", why),
                String.format(Locale.ROOT, "Read %s, or use a server of your own: set COUNTERSINK_NATS_URL.", log),
                cause);
    }

    private static Path writeConfig(Path dir, int port, String token) throws IOException {
        String text = String.format(
                Locale.ROOT, """
                host: "%s"
                port: %d
                pid_file: "%s"
                # A message with the scores of 5 x 29,000 classes has some 6 MB.
                max_payload: 64MB
                max_pending: 256MB
                authorization { token: "%s" }
                jetstream { store_dir: "%s" }
                """, LOOPBACK, port, dir.resolve("nats.pid"), token, dir.resolve("jetstream"));
        return writePrivately(dir.resolve("nats.conf"), text);
    }

    /** The file with the token for clients. Only its owner may read it. */
    static Path tokenFile(Path dir) {
        return dir.resolve("nats.token");
    }

    private static String token(Path dir) throws IOException {
        Path file = tokenFile(dir);
        if (Files.exists(file)) {
            return Files.readString(file).strip();
        }
        byte[] random = new byte[16];
        new SecureRandom().nextBytes(random);
        String token = HexFormat.of().formatHex(random);
        writePrivately(file, token);
        return token;
    }

    private static Path writePrivately(Path file, String text) throws IOException {
        Files.deleteIfExists(file);
        Files.createFile(file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        return Files.write(file, text.getBytes(StandardCharsets.UTF_8));
    }

    private static int freePort() {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getByName(LOOPBACK))) {
            return socket.getLocalPort();
        } catch (IOException e) {
            throw new StartupException(
                    String.format(Locale.ROOT, "There is no free port on %s.", LOOPBACK), "Close some program.", e);
        }
    }

    /** Finds programs on the PATH, and where Debian installs some servers that are not on an ordinary user's PATH. */
    private static final class Programs {
        private static final String ALSO = "/usr/local/sbin:/usr/sbin:/sbin";

        static Optional<Path> find(String name) {
            String path = System.getenv().getOrDefault("PATH", "") + File.pathSeparator + ALSO;
            for (String folder : path.split(File.pathSeparator)) {
                Path program = Path.of(folder.isEmpty() ? "." : folder, name);
                if (Files.isExecutable(program) && Files.isRegularFile(program)) {
                    return Optional.of(program);
                }
            }
            return Optional.empty();
        }
    }
}
