package dev.countersink.monitor;

import dev.countersink.config.WebhookSettings;
import dev.countersink.db.GuardDb;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
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
    private static final Logger LOG = LoggerFactory.getLogger(Webhook.class);
    private static final Duration PAUSE = Duration.ofSeconds(2);
    /** Shorter than the time for which an instance takes up a notice. */
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    private final @Nullable Receiver receiver;
    private final GuardDb guard;
    private final JsonMapper json;
    private String trouble = "";

    @Autowired
    Webhook(WebhookSettings settings, GuardDb guard, JsonMapper json) {
        this(settings, guard, json, PATIENCE);
    }

    /** @param patience for how long an answer is waited for */
    Webhook(WebhookSettings settings, GuardDb guard, JsonMapper json, Duration patience) {
        super("webhook", PAUSE);
        this.receiver = settings.url() == null ? null : new Receiver(settings, patience);
        this.guard = guard;
        this.json = json;
    }

    @Override
    boolean isWanted() {
        return receiver != null;
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
        String problem = Objects.requireNonNull(receiver).send(id + "-" + state, json.writeValueAsString(notice));
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
}
