package dev.countersink.ingest.nats;

import io.nats.client.Connection;
import io.nats.client.JetStream;
import io.nats.client.JetStreamApiException;
import io.nats.client.JetStreamOptions;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Publishes results to the stream, many at a time, and counts the server's confirmations. The unconfirmed messages of all
 * senders together are bounded. Thread-safe; a {@link Sending} is not.
 */
public final class ResultPublisher {
    private static final int KILOBYTE = 1024;
    /** Kilobytes of unconfirmed messages; a larger message is sent alone. */
    private static final int MOST_KILOBYTES = 16 * KILOBYTE;

    private static final Duration PATIENCE = Duration.ofSeconds(10);

    private final Connection connection;
    private final JetStream jetStream;
    private final Semaphore room = new Semaphore(MOST_KILOBYTES, true);

    public ResultPublisher(Connection connection, JetStreamOptions options) {
        this.connection = connection;
        try {
            this.jetStream = connection.jetStream(
                    JetStreamOptions.builder(options).requestTimeout(PATIENCE).build());
        } catch (IOException e) {
            throw new IllegalStateException("Nothing is asked of the server here.", e);
        }
    }

    /** The largest size of a message, without headers. */
    public int mostBytes() {
        return (int) Math.min(Integer.MAX_VALUE - KILOBYTE, connection.getMaxPayload());
    }

    /** Why the rest was not published. */
    public enum Refusal {
        /** The stream has reached a limit. */
        FULL,
        /** The server does not answer. */
        UNREACHABLE
    }

    public Sending begin(String subject) {
        return new Sending(subject);
    }

    /** The messages of one sender. */
    public final class Sending {
        private final String subject;
        private final AtomicReference<Refusal> refusal = new AtomicReference<>();
        private final AtomicLong confirmed = new AtomicLong();
        private final AtomicLong underWay = new AtomicLong();

        private Sending(String subject) {
            this.subject = subject;
        }

        /** Publishes a message; returns false if further messages cannot be published either. */
        public boolean publish(byte[] message) throws InterruptedException {
            int kilobytes = Math.min(MOST_KILOBYTES, 1 + message.length / KILOBYTE);
            if (connection.getStatus() != Connection.Status.CONNECTED
                    || !room.tryAcquire(kilobytes, PATIENCE.toMillis(), TimeUnit.MILLISECONDS)) {
                refusal.compareAndSet(null, Refusal.UNREACHABLE);
            } else if (refusal.get() != null) {
                room.release(kilobytes);
            } else {
                send(message, kilobytes);
            }
            return refusal.get() == null;
        }

        private void send(byte[] message, int kilobytes) {
            underWay.incrementAndGet();
            try {
                jetStream.publishAsync(subject, message).whenComplete((ack, failure) -> {
                    if (failure == null) {
                        confirmed.incrementAndGet();
                    } else {
                        refusal.compareAndSet(null, kind(failure));
                    }
                    done(kilobytes);
                });
            } catch (IllegalStateException e) {
                refusal.compareAndSet(null, Refusal.UNREACHABLE);
                done(kilobytes);
            }
        }

        private void done(int kilobytes) {
            room.release(kilobytes);
            synchronized (this) {
                underWay.decrementAndGet();
                notifyAll();
            }
        }

        /** Waits for all confirmations. Returns why not everything was published, or null. */
        public @Nullable Refusal finish() throws InterruptedException {
            long deadline = System.nanoTime() + PATIENCE.toNanos();
            synchronized (this) {
                while (underWay.get() > 0) {
                    long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
                    if (left <= 0) {
                        refusal.compareAndSet(null, Refusal.UNREACHABLE);
                        break;
                    }
                    wait(left);
                }
            }
            return refusal.get();
        }

        /** The number of confirmed messages. */
        public long confirmed() {
            return confirmed.get();
        }

        private static Refusal kind(Throwable failure) {
            for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
                if (cause instanceof JetStreamApiException) {
                    return Refusal.FULL;
                }
            }
            return Refusal.UNREACHABLE;
        }
    }
}
