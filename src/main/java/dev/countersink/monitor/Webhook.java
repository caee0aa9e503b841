package dev.countersink.monitor;

import dev.countersink.config.WebhookSettings;
import dev.countersink.db.GuardDb;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Duration;
import java.time.Instant;
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
    private static final Duration COUNTS = Duration.ofSeconds(15);
    /** Shorter than the time for which an instance takes up a notice. */
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    private final @Nullable Receiver receiver;
    private final GuardDb guard;
    private final JsonMapper json;
    private final Counter taken;
    private final Counter refused;
    private volatile double waiting = Double.NaN;
    private volatile double oldest = Double.NaN;
    private Instant countedAt = Instant.EPOCH;
    private String trouble = "";

    @Autowired
    Webhook(WebhookSettings settings, GuardDb guard, JsonMapper json, MeterRegistry meters) {
        this(settings, guard, json, meters, PATIENCE);
    }

    /** @param patience for how long an answer is waited for */
    Webhook(WebhookSettings settings, GuardDb guard, JsonMapper json, MeterRegistry meters, Duration patience) {
        super("webhook", PAUSE);
        this.receiver = settings.url() == null ? null : new Receiver(settings, patience);
        this.guard = guard;
        this.json = json;
        this.taken = attempts(meters, "taken");
        this.refused = attempts(meters, "refused");
        Gauge.builder("countersink.webhook.waiting", this, webhook -> webhook.waiting)
                .description("alerts, and ends of alerts, that the webhook has still to be told")
                .register(meters);
        Gauge.builder("countersink.webhook.oldest.age", this, webhook -> webhook.oldest)
                .description("how long the oldest of what the webhook has still to be told has waited")
                .baseUnit("seconds")
                .register(meters);
    }

    private static Counter attempts(MeterRegistry meters, String outcome) {
        return Counter.builder("countersink.webhook.attempts")
                .description("how often this instance has told the webhook something, and whether that was taken")
                .tag("outcome", outcome)
                .register(meters);
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
                count(true);
                notice = guard.takeNotice();
            }
            count(false);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (RuntimeException e) {
            waiting = Double.NaN; // nothing old is shown as if it were new
            oldest = Double.NaN;
            throw e;
        }
    }

    /** While nothing is told, four times a minute, as other metrics are. */
    private void count(boolean now) {
        if (now || Duration.between(countedAt, Instant.now()).compareTo(COUNTS) >= 0) {
            GuardDb.Untold untold = guard.untold();
            waiting = untold.notices();
            oldest = untold.oldestSeconds();
            countedAt = Instant.now();
        }
    }

    private void tell(ObjectNode notice) throws InterruptedException {
        long id = notice.path("id").asLong();
        String state = notice.path("state").asString();
        notice.remove("attempts");
        String problem = Objects.requireNonNull(receiver).send(id + "-" + state, json.writeValueAsString(notice));
        (problem.isEmpty() ? taken : refused).increment();
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
