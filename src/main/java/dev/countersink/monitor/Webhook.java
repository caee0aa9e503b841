package dev.countersink.monitor;

import dev.countersink.config.WebhookSettings;
import dev.countersink.db.GuardDb;
import dev.countersink.digest.Sha256;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.stereotype.Component;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * Tells somebody else's HTTP server of alerts, and of their end. One instance at a time tells of an alert; one that was not
 * taken is tried again, less and less often.
 */
@Component
class Webhook extends PeriodicTask {
    static final String TIMESTAMP = "X-Countersink-Timestamp";
    static final String SIGNATURE = "X-Countersink-Signature";
    static final String DELIVERY = "X-Countersink-Delivery";

    private static final Logger LOG = LoggerFactory.getLogger(Webhook.class);
    private static final Duration PAUSE = Duration.ofSeconds(2);
    /** Shorter than the time for which an instance takes up a notice. */
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    private static final int SUCCESS = 2;
    private static final int CLASS = 100;

    private final WebhookSettings settings;
    private final GuardDb guard;
    private final JsonMapper json;
    private final Duration patience;
    private final HttpClient http;
    private String trouble = "";

    @Autowired
    Webhook(WebhookSettings settings, GuardDb guard, JsonMapper json) {
        this(settings, guard, json, PATIENCE);
    }

    /** @param patience for how long an answer is waited for */
    Webhook(WebhookSettings settings, GuardDb guard, JsonMapper json, Duration patience) {
        super("webhook", PAUSE);
        this.settings = settings;
        this.guard = guard;
        this.json = json;
        this.patience = patience;
        this.http = HttpClient.newBuilder().connectTimeout(patience).build();
    }

    @Override
    boolean isWanted() {
        return settings.url() != null;
    }

    @Override
    void run() {
        try {
            Optional<String> notice = guard.takeNotice();
            while (isRunning() && notice.isPresent()) {
                tell((ObjectNode) json.readTree(notice.get()));
                notice = guard.takeNotice();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void tell(ObjectNode notice) throws InterruptedException {
        long id = notice.path("id").asLong();
        String state = notice.path("state").asString();
        notice.remove("attempts");
        String problem = send(id + "-" + state, json.writeValueAsString(notice));
        guard.finishNotice(id, state, problem.isEmpty());
        if (!problem.equals(trouble)) {
            if (problem.isEmpty()) {
                LOG.info("The webhook takes alerts again");
            } else {
                LOG.warn("The webhook does not take alerts: {}", problem);
            }
            trouble = problem;
        }
    }

    /** Sends a notice; returns why it was not taken, or an empty text. */
    private String send(String delivery, String body) throws InterruptedException {
        String timestamp = Long.toString(Instant.now().getEpochSecond());
        HttpRequest request = HttpRequest.newBuilder(URI.create(Objects.requireNonNull(settings.url())))
                .header("Content-Type", "application/json")
                .header(TIMESTAMP, timestamp)
                .header(SIGNATURE, "sha256=" + signature(timestamp, body, Objects.requireNonNull(settings.secret())))
                .header(DELIVERY, delivery)
                .timeout(patience)
                .POST(HttpRequest.BodyPublishers.ofString(body))
                .build();
        try {
            HttpResponse<InputStream> answer = http.send(request, HttpResponse.BodyHandlers.ofInputStream());
            answer.body().close(); // the status is all that is wanted, however long the rest is
            return answer.statusCode() / CLASS == SUCCESS
                    ? ""
                    : String.format(Locale.ROOT, "it answers %d", answer.statusCode());
        } catch (HttpTimeoutException e) {
            return String.format(Locale.ROOT, "it has not answered within %d s", patience.toSeconds());
        } catch (IOException e) {
            return String.format(
                    Locale.ROOT, "it cannot be reached (%s)", e.toString().split(":", 2)[0]);
        }
    }

    /** Of the timestamp, a full stop and the body. */
    static String signature(String timestamp, String body, String secret) {
        return Sha256.signature(secret, timestamp + '.' + body);
    }
}
