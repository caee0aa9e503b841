package dev.countersink.demo;

import io.nats.client.Connection;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Random;

/** Publishes one message per capture. A few of them report errors, and some broken messages are sent in between. */
final class DemoMessages implements Runnable {
    private static final long SEED = 20260601;
    private static final double FAILING = 0.005;

    private final DemoOptions options;
    private final Connection nats;
    private final Workload workload = new Workload(SEED);
    private final Random random = new Random(SEED);
    private volatile long published;
    private volatile boolean all;

    DemoMessages(DemoOptions options, Connection nats) {
        this.options = options;
        this.nats = nats;
    }

    @Override
    public void run() {
        publish("results.1", "{\"pipeline\": \"moths\", ");
        publish("results.1", workload.message(1).replace("\"moths\"", "\"no-such-pipeline\""));
        publish("results.999999", workload.message(1));
        for (int capture = 1; capture <= options.captures(); capture++) {
            String subject = "results." + (1 + (capture - 1) % options.jobs());
            publish(
                    subject,
                    random.nextDouble() < FAILING
                            ? String.format(
                                    Locale.ROOT, "{\"error\":\"image cannot be read\",\"image_id\":\"%d\"}", capture)
                            : workload.message(capture));
        }
        all = true;
    }

    long published() {
        return published;
    }

    boolean all() {
        return all;
    }

    private void publish(String subject, String body) {
        nats.publish(subject, body.getBytes(StandardCharsets.UTF_8));
        published = published + 1;
    }
}
