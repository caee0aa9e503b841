package dev.countersink.ingest.nats;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Stands between the server and the writers. It requests as many messages for each open subject as there is room for, queues
 * them, and returns them in batches. The open subjects share the room, which is bounded in messages and bytes, so memory does
 * not depend on the backlog. A requested message counts with the mean size in its subject until it arrives. While that size is
 * unknown, it counts with the largest size that the server accepts. Thread-safe.
 */
public final class Intake {
    /** A single message must be delivered whatever its size: the server may have taken it while its limit was higher. */
    static final long UNLIMITED = 0;

    private static final int SMALLEST_WINDOW = 16;
    /** So many messages wait for no others: what a batch costs at least is then a small part. */
    private static final int FEW = 200;

    private static final long BEGIN_NANOS = System.nanoTime();
    private static final long LONGEST_WAIT_NANOS = TimeUnit.MILLISECONDS.toNanos(150);

    private static final long QUANTUM_BYTES = 64 * 1024;
    /** A message counts as so large when jobs take turns: it takes its time however small it is. */
    private static final long LEAST_FAIR_BYTES = 16 * 1024;
    /** Every subject may request one message of up to this size, however full the rest is. */
    private static final long ALWAYS_FITS_BYTES = 1024 * 1024;
    /** What the server adds to the size of a message when it compares it with a pull's limit in bytes. */
    private static final long OVERHEAD_BYTES = 64 * 1024;
    /** The pause after a probe that found nothing to deliver, as when other instances have the messages in work. */
    private static final long PROBE_AGAIN_NANOS = TimeUnit.MILLISECONDS.toNanos(400);

    static final Duration PULL_EXPIRES = Duration.ofSeconds(10);
    private static final long OVERDUE_NANOS = PULL_EXPIRES.plusSeconds(2).toNanos();
    private static final long PROBE_OVERDUE_NANOS = TimeUnit.SECONDS.toNanos(2);

    /**
     * A request to a consumer.
     *
     * @param maxBytes the limit of all messages together; {@link #UNLIMITED} for none
     * @param noWait whether the server answers at once if it has nothing to deliver
     */
    public record PullRequest(String consumer, long id, int messages, long maxBytes, boolean noWait) {}

    /** Sends a pull request. */
    public interface Requests {
        void send(PullRequest request);
    }

    /** Is called with the messages and bytes in memory whenever these change. */
    public interface HeldListener {
        void holding(int messages, long bytes);
    }

    /** @param notBefore as of {@link System#nanoTime}, counted from a fixed moment so that it can be compared */
    private record Aside(Delivery delivery, long notBefore) {}

    private enum Outcome {
        ASKED,
        NOT_NEEDED,
        LATER,
        NO_ROOM
    }

    private final IntakeLimits limits;
    private final Requests requests;
    private final HeldListener heldListener;
    private final BooleanSupplier paused;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition arrived = lock.newCondition();
    private final FairQueues<Delivery> queues = new FairQueues<>(QUANTUM_BYTES);
    private final Deque<Delivery> suspects = new ArrayDeque<>();
    /** Messages that failed, until it is time to try them again, the first of them first. */
    private final PriorityQueue<Aside> aside = new PriorityQueue<>(Comparator.comparingLong(Aside::notBefore));

    private final Map<String, SubjectConsumer> consumers = new HashMap<>();
    private final Map<Long, SubjectConsumer> pulls = new HashMap<>();
    private final Set<SubjectConsumer> waitingForRoom = new LinkedHashSet<>();
    private final Map<Delivery.Key, Delivery> held = new LinkedHashMap<>();
    private final Set<String> lost = new LinkedHashSet<>();
    private long heldBytes;
    private long queuedBytes;
    private long lastPullId;
    private int open;
    private boolean suspectInWork;
    /** The message that was put aside and is tried again, or null. */
    private @Nullable Delivery retried;
    /** Whether the last batch was such a message, so that another one comes first. */
    private boolean retriedLast;
    /** Writers with a batch of few messages. */
    private final Set<Thread> fewInWork = new HashSet<>();

    private long restUntil = System.nanoTime();
    private boolean stopping;

    /** @param paused whether nothing should be requested at present */
    public Intake(IntakeLimits limits, Requests requests, HeldListener held, BooleanSupplier paused) {
        this.limits = limits;
        this.requests = requests;
        this.heldListener = held;
        this.paused = paused;
    }

    public void open(String subject) {
        open(subject, Integer.MAX_VALUE);
    }

    /**
     * Starts to pull from a subject's consumer.
     *
     * @param mostAtOnce how many messages it gives for one request
     */
    void open(String subject, int mostAtOnce) {
        locked(() -> {
            SubjectConsumer consumer = consumers.computeIfAbsent(subject, SubjectConsumer::new);
            consumer.limit(mostAtOnce);
            if (!consumer.isOpen()) {
                consumer.open();
                open++;
            }
            requestFor(consumer);
        });
    }

    /** Stops pulling. Messages that were requested may still arrive. */
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
            return consumer == null || System.nanoTime() - consumer.deliveredNanos() > time.toNanos();
        });
    }

    public boolean hasServed(String subject, long messages, Duration time) {
        return lockedGet(() -> {
            SubjectConsumer consumer = consumers.get(subject);
            return consumer == null || consumer.hasServed(messages, time.toNanos());
        });
    }

    /**
     * What this instance holds of a subject.
     *
     * @param held messages in memory
     * @param asking whether a request waits for an answer
     * @param deliveredNanos when the last one arrived, by {@link System#nanoTime}
     * @param finishedNanos when the last one was finished
     */
    record Activity(int held, boolean asking, long deliveredNanos, long finishedNanos) {}

    /** Null if the subject is unknown. */
    Activity activity(String subject) {
        return lockedGet(() -> {
            SubjectConsumer consumer = consumers.get(subject);
            return consumer == null
                    ? null
                    : new Activity(
                            consumer.held(), consumer.isAsking(), consumer.deliveredNanos(), consumer.finishedNanos());
        });
    }

    /** Abandons the pull of a subject's consumer, to which no answer will come, and sends another one. */
    void renewPull(String subject) {
        locked(() -> {
            SubjectConsumer consumer = consumers.get(subject);
            if (consumer != null && consumer.isOpen()) {
                pulls.remove(consumer.pullId());
                consumer.pullEnded();
                consumer.postpone(0);
                requestFor(consumer);
            }
        });
    }

    /** Whether there is room for messages that nobody has requested; the rest is for those that were. */
    boolean hasRoom() {
        return lockedGet(() -> held.size() < limits.mostMessages() / 2 && heldBytes < limits.mostBytes() / 2);
    }

    /**
     * A message has arrived.
     *
     * @param stillPending how many more wait on the server
     * @return whether it is new; if not, it is held already
     */
    boolean delivered(Delivery delivery, long stillPending) {
        return lockedGet(() -> {
            SubjectConsumer consumer = consumers.computeIfAbsent(delivery.subject(), SubjectConsumer::new);
            Delivery before = held.get(delivery.key());
            if (before != null) {
                // The server's ack timeout has passed. An ack of either delivery is enough.
                consumer.deliveredAgain(stillPending);
                before.keepAlive(0);
            } else {
                consumer.delivered(delivery.weight(), stillPending);
                take(delivery);
            }
            if (!consumer.isAsking()) {
                pulls.remove(consumer.pullId());
            }
            requestFor(consumer);
            return before == null;
        });
    }

    /** A message has arrived whose object is fetched first. {@link #fetched} follows. */
    void fetching(String subject, long stillPending) {
        locked(() -> {
            SubjectConsumer consumer = consumers.computeIfAbsent(subject, SubjectConsumer::new);
            consumer.fetching(stillPending);
            if (!consumer.isAsking()) {
                pulls.remove(consumer.pullId());
            }
            requestFor(consumer);
        });
    }

    /** @param delivery null if the object could not be fetched */
    void fetched(String subject, @Nullable Delivery delivery) {
        locked(() -> {
            SubjectConsumer consumer = consumers.computeIfAbsent(subject, SubjectConsumer::new);
            consumer.fetched();
            if (delivery != null && !held.containsKey(delivery.key())) {
                consumer.took(delivery.weight());
                take(delivery);
            }
            requestFor(consumer);
            forgetIfDone(consumer);
        });
    }

    private void take(Delivery delivery) {
        held.put(delivery.key(), delivery);
        heldBytes += delivery.weight();
        if (delivery.isSuspect()) {
            suspects.addLast(delivery);
        } else {
            queuedBytes += delivery.weight();
            queues.add(delivery.subject(), delivery, Math.max(delivery.weight(), LEAST_FAIR_BYTES));
        }
        heldListener.holding(held.size(), heldBytes);
        arrived.signal();
    }

    /** A pull has ended on the server before it brought all requested messages. */
    void pullExpired(long pullId) {
        locked(() -> {
            SubjectConsumer consumer = end(pullId);
            if (consumer != null) {
                if (!consumer.isSizeKnown()) {
                    consumer.postpone(PROBE_AGAIN_NANOS);
                }
                requestFor(consumer);
            }
        });
    }

    /** The next message is larger than the whole pull's limit. A probe will get it alone. */
    void pullTooSmall(long pullId) {
        locked(() -> {
            SubjectConsumer consumer = end(pullId);
            if (consumer != null) {
                consumer.forgetSize();
                requestFor(consumer);
            }
        });
    }

    /** A pull was refused; the next {@link #housekeep} repeats it. */
    void pullRefused(long pullId) {
        locked(() -> {
            SubjectConsumer consumer = end(pullId);
            if (consumer != null && consumer.isOpen()) {
                waitingForRoom.add(consumer);
            }
        });
    }

    /** The consumer of a pull no longer exists. */
    void consumerLost(long pullId) {
        locked(() -> {
            SubjectConsumer consumer = end(pullId);
            if (consumer != null) {
                lost.add(consumer.subject());
            }
        });
    }

    /** The consumer of a subject does not deliver what it should. */
    void consumerChanged(String subject) {
        locked(() -> lost.add(subject));
    }

    /** The subjects whose consumers no longer exist, or have changed; each is returned once. */
    public List<String> takeLost() {
        return lockedGet(() -> {
            List<String> taken = List.copyOf(lost);
            lost.clear();
            return taken;
        });
    }

    /** Sends all pulls again, because the server may have forgotten them. */
    public void abandonPulls() {
        locked(() -> {
            pulls.clear();
            for (SubjectConsumer consumer : List.copyOf(consumers.values())) {
                consumer.pullEnded();
                requestFor(consumer);
            }
        });
    }

    /** Periodic upkeep: times out lost pulls, repeats refused requests, extends acks of old messages. */
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
            return List.copyOf(held.values());
        });
        all.forEach(delivery -> delivery.keepAlive(keepAliveAfter.toNanos()));
    }

    /**
     * Waits for a batch; an empty one means that it is time to stop. A suspect message is a batch of its own, and there is no
     * other suspect one until it is released.
     *
     * @param mostMessages of this batch, at most those of the limits
     * @param notBefore as of {@link System#nanoTime}: until then a few messages wait for others, because a batch of one costs
     *     nearly as much as one of twenty. That holds for all writers. A few messages also wait for those that another writer has
     *     in work: two at a time would take longer than one after the other
     */
    public List<Delivery> next(int mostMessages, long notBefore) throws InterruptedException {
        lock.lockInterruptibly();
        try {
            restUntil = notBefore - restUntil > 0 ? notBefore : restUntil;
            if (fewInWork.remove(Thread.currentThread())) {
                arrived.signalAll();
            }
            while (queues.size() == 0 && !suspectReady() && !asideReady() && !stopping) {
                awaitArrival();
            }
            if (!stopping && asideReady()) {
                retriedLast = true;
                retried = aside.remove().delivery();
                return List.of(retried);
            }
            retriedLast = false;
            if (!stopping && suspectReady()) {
                suspectInWork = true;
                return List.of(suspects.removeFirst());
            }
            int most = Math.max(1, Math.min(mostMessages, limits.batchMessages()));
            long left = limits.linger().toNanos();
            while (left > 0 && !stopping && isWorthWaiting(most)) {
                left = arrived.awaitNanos(left);
            }
            awaitTurn(Math.min(most, FEW));
            if (stopping) {
                arrived.signalAll();
                return List.of();
            }
            List<Delivery> batch = queues.take(most, limits.batchBytes());
            batch.forEach(delivery -> queuedBytes -= delivery.weight());
            if (!batch.isEmpty() && batch.size() < FEW) {
                fewInWork.add(Thread.currentThread());
            }
            if (queues.size() > 0) {
                arrived.signal();
            }
            // While this writer waited for more, another one may have taken everything.
            return batch.isEmpty() ? next(mostMessages, notBefore) : batch;
        } finally {
            lock.unlock();
        }
    }

    private void awaitTurn(int few) throws InterruptedException {
        long latest = System.nanoTime() + LONGEST_WAIT_NANOS;
        while (!stopping && queues.size() < few && queuedBytes < limits.batchBytes()) {
            long now = System.nanoTime();
            long left = fewInWork.isEmpty() ? Math.min(restUntil - now, latest - now) : latest - now;
            if (left <= 0) {
                return;
            }
            arrived.awaitNanos(left);
        }
    }

    /** Waits for a message, or until one that was put aside is due. */
    private void awaitArrival() throws InterruptedException {
        if (retried != null || aside.isEmpty()) {
            arrived.await();
        } else {
            arrived.awaitNanos(aside.element().notBefore() - sinceBegin());
        }
    }

    /** One at a time, and never two in a row while others wait. */
    private boolean asideReady() {
        return retried == null
                && !aside.isEmpty()
                && aside.element().notBefore() - sinceBegin() <= 0
                && !(retriedLast && (queues.size() > 0 || suspectReady()));
    }

    private static long sinceBegin() {
        return System.nanoTime() - BEGIN_NANOS;
    }

    /**
     * Keeps a message of a batch, to be tried again as a batch of its own.
     *
     * @param notBefore as of {@link System#nanoTime}
     */
    public void putAside(Delivery delivery, long notBefore) {
        locked(() -> {
            leaves(delivery);
            aside.add(new Aside(delivery, notBefore - BEGIN_NANOS));
            arrived.signalAll();
        });
    }

    /** A message is no longer in work. */
    private void leaves(Delivery delivery) {
        if (delivery == retried) {
            retried = null;
        } else {
            suspectInWork &= !delivery.isSuspect();
        }
    }

    private boolean suspectReady() {
        return !suspectInWork && !suspects.isEmpty();
    }

    private boolean isWorthWaiting(int most) {
        return queues.size() < most
                && queuedBytes < limits.batchBytes()
                && pulls.values().stream().anyMatch(SubjectConsumer::isMoreArriving);
    }

    /**
     * Frees the room of a batch.
     *
     * @param finished whether its messages are committed; false if they were given back
     */
    public void release(List<Delivery> batch, boolean finished) {
        locked(() -> {
            for (Delivery delivery : batch) {
                held.remove(delivery.key());
                heldBytes -= delivery.weight();
                leaves(delivery);
                SubjectConsumer consumer = Objects.requireNonNull(consumers.get(delivery.subject()));
                // Where acks do not arrive, the same messages are finished again and again: that is no progress.
                consumer.released(finished && delivery.deliveries() == 1);
                if (consumer.isOpen()) {
                    waitingForRoom.add(consumer);
                } else {
                    forgetIfDone(consumer);
                }
            }
            heldListener.holding(held.size(), heldBytes);
            requestMore();
            if (suspectReady() || !aside.isEmpty()) {
                arrived.signal();
            }
        });
    }

    /** Stops pulling, and ends the waiting in {@link #next} for good. */
    public void stop() {
        locked(() -> {
            stopping = true;
            arrived.signalAll();
        });
    }

    /** Takes everything that no batch has taken. */
    public List<Delivery> drain() {
        return lockedGet(() -> {
            List<Delivery> all = new ArrayList<>(queues.drain());
            all.addAll(suspects);
            suspects.clear();
            aside.forEach(message -> all.add(message.delivery()));
            aside.clear();
            return all;
        });
    }

    /** Requests messages for waiting subjects in order; stops at the first that does not fit, which stays at the head. */
    private void requestMore() {
        for (SubjectConsumer consumer : new ArrayList<>(waitingForRoom)) {
            Outcome outcome = requestFor(consumer);
            if (outcome == Outcome.NO_ROOM) {
                return;
            }
            if (outcome != Outcome.LATER) {
                waitingForRoom.remove(consumer);
            }
        }
    }

    private Outcome requestFor(SubjectConsumer consumer) {
        if (stopping || !consumer.isOpen() || consumer.isAsking()) {
            return Outcome.NOT_NEEDED;
        }
        Outcome outcome = Outcome.NO_ROOM;
        if (!paused.getAsBoolean()) {
            outcome = consumer.isSizeKnown() ? requestSeveral(consumer) : probe(consumer);
        }
        if (outcome == Outcome.NO_ROOM || outcome == Outcome.LATER) {
            waitingForRoom.add(consumer);
        }
        return outcome;
    }

    /** Requests one message, without waiting, to learn the size of messages in this subject. */
    private Outcome probe(SubjectConsumer consumer) {
        long now = System.nanoTime();
        if (consumer.inFetching() >= SMALLEST_WINDOW) {
            return Outcome.NOT_NEEDED; // that the first of them is fetched tells more
        }
        if (!consumer.mayAsk(now)) {
            return Outcome.LATER;
        }
        long each = limits.maxPayload().getAsLong() + OVERHEAD_BYTES;
        boolean another = pulls.values().stream().anyMatch(asked -> !asked.isSizeKnown());
        // One probe at a time needs no room. Otherwise a subject could wait for ever while others use the room.
        if (another && committedBytes() + each > limits.mostBytes()) {
            return Outcome.NO_ROOM;
        }
        send(consumer, 1, each, UNLIMITED, true, now + PROBE_OVERDUE_NANOS);
        return Outcome.ASKED;
    }

    private Outcome requestSeveral(SubjectConsumer consumer) {
        int sharers = Math.max(1, open);
        int window = Math.max(SMALLEST_WINDOW, limits.mostMessages() / sharers);
        int wanted = consumer.wanted(window, limits.mostBytes() / sharers);
        if (wanted == 0) {
            return Outcome.NOT_NEEDED;
        }
        long each = consumer.weightEach();
        long committed = committedBytes();
        int count = (int) Math.min(wanted, (limits.mostBytes() - committed) / each);
        boolean fitsMinimum = consumer.isIdle() && (each <= ALWAYS_FITS_BYTES || committed == 0);
        if (count <= 0 && !fitsMinimum) {
            return Outcome.NO_ROOM;
        }
        count = Math.max(1, count);
        send(consumer, count, each, 2 * count * each + OVERHEAD_BYTES, false, System.nanoTime() + OVERDUE_NANOS);
        return Outcome.ASKED;
    }

    private void send(
            SubjectConsumer consumer, int count, long each, long maxBytes, boolean noWait, long deadlineNanos) {
        long id = ++lastPullId;
        pulls.remove(consumer.pullId());
        pulls.put(id, consumer);
        consumer.requested(id, count, each, deadlineNanos);
        requests.send(new PullRequest(consumer.name(), id, count, maxBytes, noWait));
    }

    private long committedBytes() {
        long committed = heldBytes;
        for (SubjectConsumer asked : pulls.values()) {
            committed += asked.outstandingWeight();
        }
        return committed;
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

    private <T> T lockedGet(Supplier<T> action) {
        lock.lock();
        try {
            return action.get();
        } finally {
            lock.unlock();
        }
    }
}
