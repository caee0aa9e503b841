package dev.countersink.client;

import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Locale;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLHandshakeException;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.cfg.JsonNodeFeature;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Calls the API of a running instance. */
final class ApiClient {
    /** Numbers of rows keep every digit. */
    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
            .build();

    private static final Duration CONNECT = Duration.ofSeconds(10);
    private static final Duration ANSWER = Duration.ofSeconds(60);
    private static final int FIRST_ERROR = 300;

    private final String url;
    private final @Nullable String token;
    private final HttpClient http;

    /**
     * A client of one instance.
     *
     * @param url without the path of the API, and without a slash at its end
     * @param tls null: whom Java trusts
     */
    ApiClient(String url, @Nullable String token, @Nullable SSLContext tls) {
        this.url = url;
        this.token = token;
        HttpClient.Builder client = HttpClient.newBuilder().connectTimeout(CONNECT);
        this.http = (tls == null ? client : client.sslContext(tls)).build();
    }

    JsonNode get(String path) {
        return send("GET", path, null);
    }

    /**
     * All rows of a list, or the first of them.
     *
     * @param path with a query, at least the beginning of one
     * @param most rows
     */
    ObjectNode list(String path, int most) {
        ArrayNode items = JSON.createArrayNode();
        String query = "";
        while (true) {
            JsonNode page = get(path + query);
            for (JsonNode item : page.path("items")) {
                if (items.size() < most) {
                    items.add(item);
                }
            }
            // The parameters of the next page, and not its path: a proxy may serve the API under another.
            String next = page.path("next").isString() ? page.path("next").asString() : "";
            if (next.isEmpty() || items.size() >= most) {
                ObjectNode all = JSON.createObjectNode();
                all.set("items", items);
                return all;
            }
            query = "&" + next.replaceFirst("^[^?]*\\?", "");
        }
    }

    /**
     * Sends a request.
     *
     * @param body as JSON, null for none
     * @return the answer's body, a missing node if it has none
     * @throws ClientException if the instance does not answer, or with an error
     */
    JsonNode send(String method, String path, @Nullable JsonNode body) {
        HttpResponse<String> response = answer(request(method, path, body));
        JsonNode json = parse(response.body());
        if (response.statusCode() >= FIRST_ERROR) {
            JsonNode detail = json.path("detail");
            throw new ClientException(
                    ClientException.REFUSED,
                    detail.isString()
                            ? detail.asString()
                            : String.format(Locale.ROOT, "%s answers %d.", url, response.statusCode()),
                    json.path("hint").isString() ? json.path("hint").asString() : null);
        }
        return json;
    }

    private HttpRequest request(String method, String path, @Nullable JsonNode body) {
        try {
            HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url + path))
                    .timeout(ANSWER)
                    .header("Accept", "application/json")
                    .method(
                            method,
                            body == null
                                    ? HttpRequest.BodyPublishers.noBody()
                                    : HttpRequest.BodyPublishers.ofString(body.toString()));
            if (body != null) {
                request.header("Content-Type", "application/json");
            }
            if (token != null) {
                request.header("Authorization", "Bearer " + token);
            }
            return request.build();
        } catch (IllegalArgumentException e) {
            throw new ClientException(
                    ClientException.NO_ANSWER,
                    String.format(Locale.ROOT, "%s is no address of an instance.", url),
                    "Write --url as in http://localhost:8080.");
        }
    }

    private HttpResponse<String> answer(HttpRequest request) {
        try {
            return http.send(request, HttpResponse.BodyHandlers.ofString());
        } catch (SSLHandshakeException e) {
            throw new ClientException(
                    ClientException.NO_ANSWER,
                    String.format(Locale.ROOT, "The certificate of %s is not trusted: %s", url, e.getMessage()),
                    "If your own authority has signed it, name that one's certificate with --ca-file. --url has to name the server as its certificate does.");
        } catch (IOException e) {
            throw new ClientException(
                    ClientException.NO_ANSWER,
                    String.format(
                            Locale.ROOT,
                            "Countersink does not answer at %s%s.",
                            url,
                            e.getMessage() == null ? "" : ": " + e.getMessage()),
                    "Start it with ./countersink run, or name another instance with --url.");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new ClientException(ClientException.NO_ANSWER, "The command was interrupted.", null);
        }
    }

    private static JsonNode parse(String body) {
        try {
            return body.isBlank() ? JSON.missingNode() : JSON.readTree(body);
        } catch (JacksonException e) {
            return JSON.missingNode();
        }
    }

    /** A part of a path or of a query. */
    static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }
}
