package dev.countersink.ingest.nats;

import dev.countersink.ingest.message.ContentUnavailableException;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.ingest.message.ObjectReference;
import io.nats.client.Connection;
import io.nats.client.Dispatcher;
import io.nats.client.JetStreamOptions;
import io.nats.client.Message;
import io.nats.client.support.NatsJetStreamConstants;
import io.nats.client.support.Status;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Speaks JetStream's pull protocol for all consumers, over one inbox. The last token of a pull's reply subject is the pull's
 * number, so a status message tells which pull it ends. Messages are decoded here, on the dispatcher's thread; those that refer to
 * objects on another one.
 */
public final class PullLink implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(PullLink.class);
    private static final int TIMEOUT = 408;
    private static final int NOT_FOUND = 404;
    private static final int CONFLICT = 409;
    private static final int NO_RESPONDERS = 503;
    private static final int HEARTBEAT = 100;
    private static final int STRIPPED_DELIVERIES = 5;
    /** Long enough that the consumer is set right before its messages come again that often. */
    private static final Duration STRIPPED_PAUSE = Duration.ofSeconds(2);

    private static final Duration DRAIN_PATIENCE = Duration.ofSeconds(2);

    private final Connection connection;
    private final String apiPrefix;
    private final Consumer<Throwable> fatal;
    private final MessageDecoder decoder;
    private final String inbox;
    private final Dispatcher dispatcher;
    private final ExecutorService fetcher = Executors.newSingleThreadExecutor(task -> {
        Thread thread = new Thread(task, "ingest-objects");
        thread.setDaemon(true);
        return thread;
    });
    /** Messages that are not taken in yet, because the objects are fetched to which they refer. */
    private final Map<Delivery.Key, Message> awaited = new ConcurrentHashMap<>();

    private long keptAliveNanos = System.nanoTime();

    /** @param fatal is called after an error that leaves the program in an unknown state, such as a full heap */
    public PullLink(
            Connection connection, JetStreamOptions options, MessageDecoder decoder, Consumer<Throwable> fatal) {
        this.connection = connection;
        this.apiPrefix = options.getPrefix();
        this.fatal = fatal;
        this.decoder = decoder;
        this.inbox = connection.createInbox() + ".";
        this.dispatcher = connection.createDispatcher();
    }

    /** Starts receiving. The client need not drop messages, because requests bound how many can arrive. */
    public void start(Intake target) {
        dispatcher.setPendingLimits(-1, -1);
        dispatcher.subscribe(inbox + "*", message -> handle(message, target));
    }

    public void request(Intake.PullRequest pull) {
        String waiting = pull.noWait() ? "\"no_wait\":true" : "\"expires\":" + Intake.PULL_EXPIRES.toNanos();
        String limit = pull.maxBytes() == Intake.UNLIMITED ? "" : ",\"max_bytes\":" + pull.maxBytes();
        String body = "{\"batch\":" + pull.messages() + "," + waiting + limit + "}";
        try {
            connection.publish(
                    apiPrefix + "CONSUMER.MSG.NEXT." + ResultsStream.NAME + "." + pull.consumer(),
                    inbox + pull.id(),
                    body.getBytes(StandardCharsets.UTF_8));
        } catch (IllegalStateException e) {
            // Not connected. After the reconnection every pull is sent again.
            LOG.debug("Could not pull from {}: {}", pull.consumer(), e.getMessage());
        }
    }

    private void handle(Message message, Intake target) {
        guarded(() -> {
            if (message.isStatusMessage()) {
                status(message, target);
            } else if (isStripped(message)) {
                target.consumerChanged(message.getSubject());
                message.nakWithDelay(STRIPPED_PAUSE);
            } else if (message.isJetStream() && hasObject(message)) {
                fetch(message, target);
            } else if (message.isJetStream()) {
                target.delivered(
                        Delivery.of(message, decoder), message.metaData().pendingCount());
            }
        });
    }

    private void guarded(Runnable takingIn) {
        try {
            takingIn.run();
        } catch (RuntimeException e) {
            LOG.error("A message could not be taken in; the server sends it again", e);
        } catch (Error e) {
            fatal.accept(e);
        }
    }

    /** A store that answers slowly holds up other messages with objects, but none without. */
    private void fetch(Message message, Intake target) {
        Delivery.Key key = Delivery.Key.of(message);
        if (awaited.putIfAbsent(key, message) != null) {
            message.inProgress(); // it has come again
            return;
        }
        target.fetching(message.getSubject(), message.metaData().pendingCount());
        fetcher.execute(() -> guarded(() -> {
            Delivery delivery = null;
            try {
                delivery = Delivery.of(message, decoder);
            } catch (ContentUnavailableException e) {
                LOG.warn("{} The server sends its message again", e.getMessage());
            } finally {
                target.fetched(message.getSubject(), delivery);
                awaited.remove(key);
            }
        }));
    }

    /** Tells the server that messages are in work whose objects are awaited, if that was last told so long ago. */
    public void keepAlive(Duration after) {
        long now = System.nanoTime();
        if (now - keptAliveNanos < after.toNanos()) {
            return;
        }
        keptAliveNanos = now;
        try {
            awaited.values().forEach(Message::inProgress);
        } catch (IllegalStateException e) {
            LOG.debug("Not connected, so messages may come again: {}", e.getMessage());
        }
    }

    private static boolean hasObject(Message message) {
        return message.hasHeaders() && message.getHeaders().containsKeyIgnoreCase(ObjectReference.HEADER);
    }

    /**
     * Whether the message came without its content, because somebody has set its consumer to deliver headers only. The consumer is set
     * right then. If that changes nothing, a sender has given the message this header.
     */
    private static boolean isStripped(Message message) {
        return message.isJetStream()
                && message.hasHeaders()
                && message.getHeaders().containsKey(NatsJetStreamConstants.MSG_SIZE_HDR)
                && (message.getData() == null || message.getData().length == 0)
                && message.metaData().deliveredCount() <= STRIPPED_DELIVERIES;
    }

    private static void status(Message message, Intake intake) {
        Status status = message.getStatus();
        String subject = message.getSubject();
        long pullId = Long.parseLong(subject.substring(subject.lastIndexOf('.') + 1));
        String text = String.valueOf(status.getMessage());
        boolean gone = status.getCode() == NO_RESPONDERS
                || (status.getCode() == CONFLICT && text.startsWith("Consumer Deleted"));
        if (status.getCode() == HEARTBEAT) {
            return;
        }
        if (status.getCode() == TIMEOUT || status.getCode() == NOT_FOUND) {
            intake.pullExpired(pullId);
        } else if (status.getCode() == CONFLICT && text.startsWith("Message Size Exceeds MaxBytes")) {
            intake.pullTooSmall(pullId);
        } else if (gone) {
            intake.consumerLost(pullId);
        } else {
            LOG.debug("Pull {} ended: {} {}", pullId, status.getCode(), text);
            intake.pullRefused(pullId);
        }
    }

    /** Stops receiving, after everything that was received has been handled. */
    @Override
    public void close() {
        try {
            dispatcher.drain(DRAIN_PATIENCE).get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (ExecutionException | IllegalStateException e) {
            LOG.debug("The inbox could not be drained: {}", e.toString());
        }
        giveBackAwaited();
    }

    private void giveBackAwaited() {
        List<Message> unfetched = List.copyOf(awaited.values());
        fetcher.shutdownNow();
        try {
            fetcher.awaitTermination(DRAIN_PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
            unfetched.forEach(Message::nak);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (IllegalStateException e) {
            LOG.debug("Not connected, so the messages come again by themselves: {}", e.getMessage());
        }
    }
}
