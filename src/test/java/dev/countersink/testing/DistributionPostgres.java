package dev.countersink.testing;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.config.DbSettings;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The PostgreSQL of the distribution's packages, with its default settings, which include jit, and a time zone that is not
 * UTC. The build's own binaries have no LLVM and no plpgsql_check.
 */
public final class DistributionPostgres implements AutoCloseable {
    private static final Path PACKAGES = Path.of("/usr/lib/postgresql");

    private final Path bin;
    private final Path data;
    private final int port;

    private DistributionPostgres(Path bin, Path data, int port) {
        this.bin = bin;
        this.data = data;
        this.port = port;
    }

    /** Starts it with its data in a folder, or skips the test if no package is installed. */
    public static DistributionPostgres start(Path dir) throws IOException, InterruptedException {
        Optional<Path> bin = programs();
        assumeTrue(bin.isPresent(), "no PostgreSQL server of the distribution's is installed");
        Path data = dir.resolve("distribution");
        int port;
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = socket.getLocalPort();
        }
        var server = new DistributionPostgres(bin.get(), data, port);
        server.run("initdb", "-D", data.toString(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8");
        String options = String.format(
                Locale.ROOT,
                "-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c timezone=Asia/Kathmandu",
                port);
        server.run(
                "pg_ctl",
                "-D",
                data.toString(),
                "-w",
                "-l",
                dir.resolve("distribution.log").toString(),
                "-o",
                options,
                "start");
        return server;
    }

    /** Its major version; 0 if no package is installed. */
    public static int version() throws IOException {
        return programs()
                .map(bin -> Integer.parseInt(bin.getParent().getFileName().toString()))
                .orElse(0);
    }

    private static Optional<Path> programs() throws IOException {
        if (!Files.isDirectory(PACKAGES)) {
            return Optional.empty();
        }
        try (Stream<Path> versions = Files.list(PACKAGES)) {
            return versions.map(version -> version.resolve("bin"))
                    .filter(bin -> Files.isExecutable(bin.resolve("initdb")))
                    .min(Path::compareTo);
        }
    }

    public DbSettings settings(String database) {
        return DbSettings.of(
                String.format(Locale.ROOT, "jdbc:postgresql://127.0.0.1:%d/%s", port, database), "postgres", "unused");
    }

    /** PostgreSQL refuses to run as root. In a user namespace it believes that it is another user. */
    private void run(String program, String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        if ("root".equals(System.getProperty("user.name"))) {
            command.addAll(List.of("unshare", "-U"));
        }
        command.add(bin.resolve(program).toString());
        command.addAll(Arrays.asList(arguments));
        Path said = Files.createTempFile("countersink", ".log"); // a server would hold a pipe open
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(said.toFile())
                .start();
        int status = process.waitFor();
        String text = Files.readString(said, StandardCharsets.UTF_8);
        Files.delete(said);
        if (status != 0) {
            throw new IOException(String.format(Locale.ROOT, "%s ended with %d: %s", program, status, text));
        }
    }

    @Override
    public void close() throws IOException {
        try {
            run("pg_ctl", "-D", data.toString(), "-m", "immediate", "stop");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
