package dev.countersink.testing;

import dev.countersink.Countersink;
import dev.countersink.config.DbSettings;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.HashMap;
import java.util.Map;
import org.springframework.context.ConfigurableApplicationContext;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A whole instance in this JVM, with the admin API on a free port. */
public final class TestInstance implements AutoCloseable {
    private static final String TOKEN = "a-token-for-the-tests";
    private static final JsonMapper JSON = JsonMapper.shared();

    private final HttpClient http = HttpClient.newHttpClient();
    private final ConfigurableApplicationContext context;
    private final String base;

    private TestInstance(ConfigurableApplicationContext context) {
        this.context = context;
        this.base = "http://127.0.0.1:" + context.getEnvironment().getProperty("local.server.port");
    }

    /** What the API answered. */
    public record Answer(int status, HttpResponse<String> response) {
        public JsonNode json() {
            return JSON.readTree(response.body());
        }

        public String header(String name) {
            return response.headers().firstValue(name).orElse("");
        }
    }

    public static TestInstance start(DbSettings db, TestNats nats) {
        return start(db, nats, Map.of());
    }

    public static TestInstance start(DbSettings db, TestNats nats, Map<String, Object> more) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("countersink.http.port", 0);
        settings.put("countersink.http.address", "127.0.0.1");
        settings.put("countersink.api.token", TOKEN);
        settings.put("countersink.db.url", db.url());
        settings.put("countersink.db.user", db.user());
        settings.put("countersink.db.password", db.password());
        settings.put("countersink.nats.url", nats.settings().url());
        settings.put("countersink.nats.token", nats.settings().token());
        settings.put("countersink.refresh.interval", "100ms");
        settings.put("countersink.refresh.follow", "100ms");
        settings.putAll(more);
        return new TestInstance(Countersink.start(settings));
    }

    public ConfigurableApplicationContext context() {
        return context;
    }

    /** The port of its API. */
    public int port() {
        return URI.create(base).getPort();
    }

    public Answer get(String path) {
        return send(request(path).GET().header("Authorization", "Bearer " + TOKEN));
    }

    public Answer delete(String path) {
        return send(request(path).DELETE().header("Authorization", "Bearer " + TOKEN));
    }

    public Answer post(String path) {
        return send(request(path).POST(HttpRequest.BodyPublishers.noBody()).header("Authorization", "Bearer " + TOKEN));
    }

    /** A POST of bytes with only these headers, each a name and a value. */
    public Answer post(String path, byte[] body, String... headers) {
        HttpRequest.Builder request = request(path).POST(HttpRequest.BodyPublishers.ofByteArray(body));
        return send(headers.length == 0 ? request : request.headers(headers));
    }

    /** The token of its API. */
    public static String token() {
        return TOKEN;
    }

    /** A PATCH with a JSON body. If-Match is not sent if it is null. */
    public Answer patch(String path, String ifMatch, String body) {
        HttpRequest.Builder request = request(path)
                .method("PATCH", HttpRequest.BodyPublishers.ofString(body))
                .header("Content-Type", "application/json")
                .header("Authorization", "Bearer " + TOKEN);
        return send(ifMatch == null ? request : request.header("If-Match", ifMatch));
    }

    /** A GET with If-None-Match. */
    public Answer getUnlessMatching(String path, String etag) {
        return send(
                request(path).GET().header("Authorization", "Bearer " + TOKEN).header("If-None-Match", etag));
    }

    /** A GET with only these headers, each a name and a value. */
    public Answer getWith(String path, String... headers) {
        return send(request(path).GET().headers(headers));
    }

    public Answer getWithToken(String path, String token) {
        HttpRequest.Builder request = request(path).GET();
        return send(token == null ? request : request.header("Authorization", "Bearer " + token));
    }

    /** Any request with a token, or without one if it is null, and a JSON body unless it is null. */
    public Answer send(String method, String path, String token, String body, String... headers) {
        HttpRequest.Builder request = request(path)
                .method(
                        method,
                        body == null ? HttpRequest.BodyPublishers.noBody() : HttpRequest.BodyPublishers.ofString(body));
        if (body != null) {
            request.header("Content-Type", "application/json");
        }
        if (token != null) {
            request.header("Authorization", "Bearer " + token);
        }
        return send(headers.length == 0 ? request : request.headers(headers));
    }

    /** Stops it before its test ends. */
    public void stop() {
        context.close();
    }

    @Override
    public void close() {
        stop();
    }

    private HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create(base + path));
    }

    private Answer send(HttpRequest.Builder request) {
        try {
            HttpResponse<String> response = http.send(request.build(), HttpResponse.BodyHandlers.ofString());
            return new Answer(response.statusCode(), response);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }
}
