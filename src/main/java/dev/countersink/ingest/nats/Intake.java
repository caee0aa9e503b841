package dev.countersink.ingest.nats;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Between the server and the writers: asks each open subject for as many messages as there is room for, queues what comes,
 * and hands it out in batches. Room is shared by the open subjects and bounded in messages and bytes, so that memory does
 * not depend on the backlog: what was asked for is charged at the subject's mean message until it comes. Thread-safe.
 */
public final class Intake {
    private static final int BATCHES_HELD = 3;
    private static final int SMALLEST_WINDOW = 16;
    private static final long QUANTUM_BYTES = 64 * 1024;
    /** Any subject may have one message of up to this size in flight, however full the rest is. */
    private static final long ALWAYS_FITS_BYTES = 1024 * 1024;

    static final Duration PULL_EXPIRES = Duration.ofSeconds(10);
    private static final long OVERDUE_NANOS = PULL_EXPIRES.plusSeconds(2).toNanos();

    /** Sends a pull request. */
    public interface Requests {
        void send(String consumer, long pullId, int messages, long maxBytes);
    }

    /** Is told how much is in memory whenever that changes. */
    public interface HeldListener {
        void holding(int messages, long bytes);
    }

    private final int batchMessages;
    private final long batchBytes;
    private final long lingerNanos;
    private final Requests requests;
    private final HeldListener heldListener;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition arrived = lock.newCondition();
    private final FairQueues<Delivery> queues = new FairQueues<>(QUANTUM_BYTES);
    private final Map<String, SubjectConsumer> consumers = new HashMap<>();
    private final Map<Long, SubjectConsumer> pulls = new HashMap<>();
    private final Set<SubjectConsumer> waitingForRoom = new LinkedHashSet<>();
    private final Set<Delivery> held = new LinkedHashSet<>();
    private final Set<String> lost = new LinkedHashSet<>();
    private long heldBytes;
    private long queuedBytes;
    private long lastPullId;
    private int open;
    private boolean stopping;

    public Intake(int batchMessages, long batchBytes, Duration linger, Requests requests, HeldListener held) {
        this.batchMessages = batchMessages;
        this.batchBytes = batchBytes;
        this.lingerNanos = linger.toNanos();
        this.requests = requests;
        this.heldListener = held;
    }

    /** Begins to pull from a subject's consumer. */
    public void open(String subject) {
        locked(() -> {
            SubjectConsumer consumer = consumers.computeIfAbsent(subject, SubjectConsumer::new);
            if (!consumer.isOpen()) {
                consumer.open();
                open++;
            }
            requestFor(consumer);
        });
    }

    /** Ceases to pull; what has been asked for may still come. */
    public void close(String subject) {
        locked(() -> {
            SubjectConsumer consumer = consumers.get(subject);
            if (consumer != null && consumer.isOpen()) {
                consumer.close();
                open--;
                waitingForRoom.remove(consumer);
                forgetIfDone(consumer);
            }
        });
    }

    public boolean nothingSince(String subject, Duration time) {
        return lockedGet(() -> {
            SubjectConsumer consumer = consumers.get(subject);
            return consumer == null || consumer.nanosSinceLast() > time.toNanos();
        });
    }

    public boolean hasServed(String subject, long messages, Duration time) {
        return lockedGet(() -> {
            SubjectConsumer consumer = consumers.get(subject);
            return consumer == null || consumer.hasServed(messages, time.toNanos());
        });
    }

    /** A message has come; {@code stillPending} more wait on the server. */
    void delivered(Delivery delivery, long stillPending) {
        locked(() -> {
            SubjectConsumer consumer = consumers.computeIfAbsent(delivery.subject(), SubjectConsumer::new);
            consumer.delivered(delivery.weight(), stillPending);
            held.add(delivery);
            heldBytes += delivery.weight();
            queuedBytes += delivery.weight();
            queues.add(delivery.subject(), delivery, delivery.weight());
            heldListener.holding(held.size(), heldBytes);
            requestFor(consumer);
            arrived.signal();
        });
    }

    /** A pull has ended on the server without having brought all it asked for. */
    void pullExpired(long pullId) {
        locked(() -> {
            SubjectConsumer consumer = end(pullId);
            if (consumer != null) {
                requestFor(consumer);
            }
        });
    }

    /** A pull was refused; the next {@link #housekeep} asks again. */
    void pullRefused(long pullId) {
        locked(() -> {
            SubjectConsumer consumer = end(pullId);
            if (consumer != null && consumer.isOpen()) {
                waitingForRoom.add(consumer);
            }
        });
    }

    /** The consumer of a pull is gone. */
    void consumerLost(long pullId) {
        locked(() -> {
            SubjectConsumer consumer = end(pullId);
            if (consumer != null) {
                lost.add(consumer.subject());
            }
        });
    }

    /** The subjects whose consumers are gone, each told once. */
    public List<String> takeLost() {
        return lockedGet(() -> {
            List<String> taken = List.copyOf(lost);
            lost.clear();
            return taken;
        });
    }

    /** The server may have forgotten every pull: asks anew. */
    public void abandonPulls() {
        locked(() -> {
            pulls.clear();
            for (SubjectConsumer consumer : List.copyOf(consumers.values())) {
                consumer.pullEnded();
                requestFor(consumer);
            }
        });
    }

    /** Looks after what no event looks after: pulls that never ended, requests to repeat, messages long in work. */
    public void housekeep(Duration keepAliveAfter) {
        List<Delivery> all = lockedGet(() -> {
            long now = System.nanoTime();
            for (SubjectConsumer consumer : List.copyOf(pulls.values())) {
                if (consumer.isOverdue(now)) {
                    end(consumer.pullId());
                    requestFor(consumer);
                }
            }
            requestMore();
            return List.copyOf(held);
        });
        all.forEach(delivery -> delivery.keepAlive(keepAliveAfter.toNanos()));
    }

    /** Waits for a batch; an empty one says that it is time to stop. */
    public List<Delivery> next() throws InterruptedException {
        lock.lockInterruptibly();
        try {
            while (queues.size() == 0 && !stopping) {
                arrived.await();
            }
            long left = lingerNanos;
            while (left > 0 && !stopping && isWorthWaiting()) {
                left = arrived.awaitNanos(left);
            }
            if (stopping) {
                arrived.signalAll();
                return List.of();
            }
            List<Delivery> batch = queues.take(batchMessages, batchBytes);
            batch.forEach(delivery -> queuedBytes -= delivery.weight());
            if (queues.size() > 0) {
                arrived.signal();
            }
            return batch;
        } finally {
            lock.unlock();
        }
    }

    private boolean isWorthWaiting() {
        return queues.size() < batchMessages
                && queuedBytes < batchBytes
                && pulls.values().stream().anyMatch(SubjectConsumer::isMoreArriving);
    }

    /** A batch is done with, acked or not: its room is free. */
    public void release(List<Delivery> batch) {
        locked(() -> {
            for (Delivery delivery : batch) {
                held.remove(delivery);
                heldBytes -= delivery.weight();
                SubjectConsumer consumer = consumers.get(delivery.subject());
                consumer.released();
                if (consumer.isOpen()) {
                    waitingForRoom.add(consumer);
                } else {
                    forgetIfDone(consumer);
                }
            }
            heldListener.holding(held.size(), heldBytes);
            requestMore();
        });
    }

    /** Ends the waiting in {@link #next}, now and for ever, and the pulling. */
    public void stop() {
        locked(() -> {
            stopping = true;
            arrived.signalAll();
        });
    }

    /** Takes what no batch has taken. */
    public List<Delivery> drain() {
        return lockedGet(queues::drain);
    }

    /** Asks for the hungry in turn until one does not fit: it is the first when there is room again. */
    private void requestMore() {
        for (SubjectConsumer consumer : new ArrayList<>(waitingForRoom)) {
            waitingForRoom.remove(consumer);
            if (!requestFor(consumer)) {
                return;
            }
        }
    }

    /** Returns whether there was room. */
    private boolean requestFor(SubjectConsumer consumer) {
        int window = Math.max(SMALLEST_WINDOW, BATCHES_HELD * batchMessages / Math.max(1, open));
        long budget = BATCHES_HELD * batchBytes;
        int wanted = stopping ? 0 : consumer.wanted(window, budget / Math.max(1, open));
        if (wanted == 0) {
            return true;
        }
        long each = consumer.weightEach();
        long committed = heldBytes;
        for (SubjectConsumer asked : pulls.values()) {
            committed += asked.outstandingWeight();
        }
        int count = (int) Math.min(wanted, (budget - committed) / each);
        boolean fitsMinimum = consumer.isIdle() && (each <= ALWAYS_FITS_BYTES || committed == 0);
        if (count <= 0 && !fitsMinimum) {
            waitingForRoom.add(consumer);
            return false;
        }
        count = Math.max(1, count);
        long id = ++lastPullId;
        pulls.remove(consumer.pullId());
        pulls.put(id, consumer);
        consumer.requested(id, count, System.nanoTime() + OVERDUE_NANOS);
        requests.send(consumer.name(), id, count, 2 * count * each);
        return true;
    }

    private SubjectConsumer end(long pullId) {
        SubjectConsumer consumer = pulls.remove(pullId);
        if (consumer != null) {
            consumer.pullEnded();
            forgetIfDone(consumer);
        }
        return consumer;
    }

    private void forgetIfDone(SubjectConsumer consumer) {
        if (!consumer.isOpen() && consumer.held() == 0) {
            consumers.remove(consumer.subject(), consumer);
            pulls.remove(consumer.pullId());
        }
    }

    private void locked(Runnable action) {
        lock.lock();
        try {
            action.run();
        } finally {
            lock.unlock();
        }
    }

    private <T> T lockedGet(java.util.function.Supplier<T> action) {
        lock.lock();
        try {
            return action.get();
        } finally {
            lock.unlock();
        }
    }
}
