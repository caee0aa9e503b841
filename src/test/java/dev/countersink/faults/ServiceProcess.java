package dev.countersink.faults;

import dev.countersink.cli.Main;
import dev.countersink.config.DbSettings;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.TestFolder;
import java.io.IOException;
import java.io.InputStream;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/** The service in a separate process, which a test may kill. */
final class ServiceProcess implements AutoCloseable {
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    private final Process process;
    private final Path log;
    private final int port;

    private ServiceProcess(Process process, Path log, int port) {
        this.process = process;
        this.log = log;
        this.port = port;
    }

    /** Starts it, without waiting until it is ready. */
    static ServiceProcess start(DbSettings db, String natsUrl, String natsToken) throws IOException {
        return start(db, natsUrl, natsToken, List.of(), Map.of());
    }

    /**
     * Starts it, without waiting until it is ready.
     *
     * @param options additional JVM options
     * @param more additional settings, as environment variables
     */
    static ServiceProcess start(
            DbSettings db, String natsUrl, String natsToken, List<String> options, Map<String, String> more)
            throws IOException {
        int port;
        try (ServerSocket free = new ServerSocket(0)) {
            port = free.getLocalPort();
        }
        Path dir = TestFolder.create("service");
        Path log = dir.resolve("log");
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx256m",
                // The log that users see is also tested.
                "-Dlogging.config=" + Path.of("src/main/resources/logback.xml").toAbsolutePath(),
                "-XX:TieredStopAtLevel=1"));
        command.addAll(options);
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName(), "run"));
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.directory(dir.toFile()).redirectErrorStream(true).redirectOutput(log.toFile());
        builder.environment()
                .putAll(Map.of(
                        "COUNTERSINK_HTTP_PORT", Integer.toString(port),
                        "COUNTERSINK_DB_URL", db.url(),
                        "COUNTERSINK_DB_USER", db.user(),
                        "COUNTERSINK_DB_PASSWORD", String.valueOf(db.password()),
                        "COUNTERSINK_NATS_URL", natsUrl,
                        "COUNTERSINK_NATS_TOKEN", natsToken,
                        "COUNTERSINK_INGEST_BATCH_MESSAGES", "50"));
        builder.environment().putAll(more);
        return new ServiceProcess(builder.start(), log, port);
    }

    /** Of its API. */
    int port() {
        return port;
    }

    ServiceProcess awaitReady() {
        Eventually.await("the service is ready", Duration.ofMinutes(5), this::readiness, status -> status == 200);
        return this;
    }

    /** The HTTP status of its readiness, 0 while nobody listens. */
    int readiness() {
        try {
            return HTTP.send(
                            HttpRequest.newBuilder(
                                            URI.create("http://127.0.0.1:" + port + "/actuator/health/readiness"))
                                    .timeout(Duration.ofSeconds(20))
                                    .build(),
                            HttpResponse.BodyHandlers.discarding())
                    .statusCode();
        } catch (IOException e) {
            return 0;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return 0;
        }
    }

    /** A POST of a body that is generated while it is sent. */
    HttpResponse<String> post(String path, String token, Supplier<InputStream> body)
            throws IOException, InterruptedException {
        return HTTP.send(
                HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path))
                        .header("Authorization", "Token " + token)
                        .POST(HttpRequest.BodyPublishers.ofInputStream(body))
                        .build(),
                HttpResponse.BodyHandlers.ofString());
    }

    /** What a GET of the API answers. */
    String get(String path, String token) throws IOException, InterruptedException {
        HttpResponse<String> answer = HTTP.send(
                HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path))
                        .header("Authorization", "Bearer " + token)
                        .build(),
                HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IOException(path + " answers " + answer.statusCode() + ": " + answer.body());
        }
        return answer.body();
    }

    List<String> log() throws IOException {
        return Files.readAllLines(log);
    }

    /** Ends it like kill -9. */
    void kill() {
        process.destroyForcibly().onExit().join();
    }

    /** Asks it to end, as SIGTERM does; returns the exit status. */
    int terminate() throws InterruptedException {
        process.destroy();
        return awaitExit();
    }

    /** Waits until it has ended, and returns the exit status. */
    int awaitExit() throws InterruptedException {
        if (!process.waitFor(1, TimeUnit.MINUTES)) {
            throw new AssertionError("it does not end");
        }
        return process.exitValue();
    }

    @Override
    public void close() {
        kill();
    }
}
