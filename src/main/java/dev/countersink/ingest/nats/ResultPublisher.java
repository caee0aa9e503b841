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

/**
 * Publishes results to the stream, many at a time, and counts what the server confirms. What all senders together have
 * under way is bounded. Thread-safe; a {@link Sending} is not.
 */
public final class ResultPublisher {
    private static final int KILOBYTE = 1024;
    /** Kilobytes that wait for their confirmation; a larger message goes alone. */
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

    /** The most bytes that a message may have, its headers left aside. */
    public int mostBytes() {
        return (int) Math.min(Integer.MAX_VALUE - KILOBYTE, connection.getMaxPayload());
    }

    /** Why the rest is not published. */
    public enum Refusal {
        /** The stream is at a limit. */
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

        /** Publishes one; false if that is of no use any more. */
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

        /** Waits until nothing is under way; returns why not everything was published, or null. */
        public Refusal finish() throws InterruptedException {
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

        /** How many the server has confirmed. */
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
