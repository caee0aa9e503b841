package dev.countersink.ingest;

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
final class Intake {
    private static final int BATCHES_HELD = 3;
    private static final int SMALLEST_WINDOW = 16;
    private static final long QUANTUM_BYTES = 64 * 1024;
    /** Any subject may have one message of up to this size in flight, however full the rest is. */
    private static final long ALWAYS_WELCOME_BYTES = 1024 * 1024;

    static final Duration PULL_EXPIRES = Duration.ofSeconds(10);
    private static final long OVERDUE_NANOS = PULL_EXPIRES.plusSeconds(2).toNanos();

    /** Sends a pull request. */
    interface Requests {
        void send(String consumer, long pullId, int messages, long maxBytes);
    }

    private final int batchMessages;
    private final long batchBytes;
    private final long lingerNanos;
    private final Requests requests;
    private final IngestMetrics metrics;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition arrived = lock.newCondition();
    private final FairQueues<Delivery> queues = new FairQueues<>(QUANTUM_BYTES);
    private final Map<String, Puller> pullers = new HashMap<>();
    private final Map<Long, Puller> pulls = new HashMap<>();
    private final Set<Puller> hungry = new LinkedHashSet<>();
    private final Set<Delivery> held = new LinkedHashSet<>();
    private final Set<String> lost = new LinkedHashSet<>();
    private long heldBytes;
    private long queuedBytes;
    private long lastPullId;
    private int open;
    private boolean stopping;

    Intake(int batchMessages, long batchBytes, Duration linger, Requests requests, IngestMetrics metrics) {
        this.batchMessages = batchMessages;
        this.batchBytes = batchBytes;
        this.lingerNanos = linger.toNanos();
        this.requests = requests;
        this.metrics = metrics;
    }

    /** Begins to pull from a subject's consumer. */
    void open(String subject) {
        locked(() -> {
            Puller puller = pullers.computeIfAbsent(subject, Puller::new);
            if (!puller.isOpen()) {
                puller.open();
                open++;
            }
            ask(puller);
        });
    }

    /** Ceases to pull; what has been asked for may still come. */
    void close(String subject) {
        locked(() -> {
            Puller puller = pullers.get(subject);
            if (puller != null && puller.isOpen()) {
                puller.close();
                open--;
                hungry.remove(puller);
                forgetIfDone(puller);
            }
        });
    }

    boolean nothingSince(String subject, Duration time) {
        return lockedGet(() -> {
            Puller puller = pullers.get(subject);
            return puller == null || puller.nanosSinceLast() > time.toNanos();
        });
    }

    boolean hasServed(String subject, long messages, Duration time) {
        return lockedGet(() -> {
            Puller puller = pullers.get(subject);
            return puller == null || puller.hasServed(messages, time.toNanos());
        });
    }

    /** A message has come; {@code stillPending} more wait on the server. */
    void delivered(Delivery delivery, long stillPending) {
        locked(() -> {
            Puller puller = pullers.computeIfAbsent(delivery.subject(), Puller::new);
            puller.delivered(delivery.weight(), stillPending);
            held.add(delivery);
            heldBytes += delivery.weight();
            queuedBytes += delivery.weight();
            queues.add(delivery.subject(), delivery, delivery.weight());
            metrics.holding(held.size(), heldBytes);
            ask(puller);
            arrived.signal();
        });
    }

    /** A pull has ended on the server without having brought all it asked for. */
    void pullExpired(long pullId) {
        locked(() -> {
            Puller puller = end(pullId);
            if (puller != null) {
                ask(puller);
            }
        });
    }

    /** A pull was refused; the next {@link #tend} asks again. */
    void pullRefused(long pullId) {
        locked(() -> {
            Puller puller = end(pullId);
            if (puller != null && puller.isOpen()) {
                hungry.add(puller);
            }
        });
    }

    /** The consumer of a pull is gone. */
    void consumerLost(long pullId) {
        locked(() -> {
            Puller puller = end(pullId);
            if (puller != null) {
                lost.add(puller.subject());
            }
        });
    }

    /** The subjects whose consumers are gone, each told once. */
    List<String> takeLost() {
        return lockedGet(() -> {
            List<String> taken = List.copyOf(lost);
            lost.clear();
            return taken;
        });
    }

    /** The server may have forgotten every pull: asks anew. */
    void abandonPulls() {
        locked(() -> {
            pulls.clear();
            for (Puller puller : List.copyOf(pullers.values())) {
                puller.pullEnded();
                ask(puller);
            }
        });
    }

    /** Looks after what no event looks after: pulls that never ended, requests to repeat, messages long in work. */
    void tend(Duration keepAliveAfter) {
        List<Delivery> all = lockedGet(() -> {
            long now = System.nanoTime();
            for (Puller puller : List.copyOf(pulls.values())) {
                if (puller.isOverdue(now)) {
                    end(puller.pullId());
                    ask(puller);
                }
            }
            feed();
            return List.copyOf(held);
        });
        all.forEach(delivery -> delivery.keepAlive(keepAliveAfter.toNanos()));
    }

    /** Waits for a batch; an empty one says that it is time to stop. */
    List<Delivery> next() throws InterruptedException {
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
                && pulls.values().stream().anyMatch(Puller::isMoreArriving);
    }

    /** A batch is done with, acked or not: its room is free. */
    void release(List<Delivery> batch) {
        locked(() -> {
            for (Delivery delivery : batch) {
                held.remove(delivery);
                heldBytes -= delivery.weight();
                Puller puller = pullers.get(delivery.subject());
                puller.released();
                if (puller.isOpen()) {
                    hungry.add(puller);
                } else {
                    forgetIfDone(puller);
                }
            }
            metrics.holding(held.size(), heldBytes);
            feed();
        });
    }

    /** Ends the waiting in {@link #next}, now and for ever, and the pulling. */
    void stop() {
        locked(() -> {
            stopping = true;
            arrived.signalAll();
        });
    }

    /** Takes what no batch has taken. */
    List<Delivery> drain() {
        return lockedGet(queues::drain);
    }

    /** Asks for the hungry in turn until one does not fit: it is the first when there is room again. */
    private void feed() {
        for (Puller puller : new ArrayList<>(hungry)) {
            hungry.remove(puller);
            if (!ask(puller)) {
                return;
            }
        }
    }

    /** Returns whether there was room. */
    private boolean ask(Puller puller) {
        int window = Math.max(SMALLEST_WINDOW, BATCHES_HELD * batchMessages / Math.max(1, open));
        long budget = BATCHES_HELD * batchBytes;
        int wanted = stopping ? 0 : puller.wanted(window, budget / Math.max(1, open));
        if (wanted == 0) {
            return true;
        }
        long each = puller.weightEach();
        long committed = heldBytes;
        for (Puller asked : pulls.values()) {
            committed += asked.outstandingWeight();
        }
        int count = (int) Math.min(wanted, (budget - committed) / each);
        boolean welcome = puller.isIdle() && (each <= ALWAYS_WELCOME_BYTES || committed == 0);
        if (count <= 0 && !welcome) {
            hungry.add(puller);
            return false;
        }
        count = Math.max(1, count);
        long id = ++lastPullId;
        pulls.remove(puller.pullId());
        pulls.put(id, puller);
        puller.requested(id, count, System.nanoTime() + OVERDUE_NANOS);
        requests.send(puller.consumer(), id, count, 2 * count * each);
        return true;
    }

    private Puller end(long pullId) {
        Puller puller = pulls.remove(pullId);
        if (puller != null) {
            puller.pullEnded();
            forgetIfDone(puller);
        }
        return puller;
    }

    private void forgetIfDone(Puller puller) {
        if (!puller.isOpen() && puller.held() == 0) {
            pullers.remove(puller.subject(), puller);
            pulls.remove(puller.pullId());
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
