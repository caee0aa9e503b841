package dev.countersink.ingest.nats;

import dev.countersink.ingest.message.Subjects;

/** What is known of one subject's consumer: what was asked for, what is held, how large its messages are. */
final class SubjectConsumer {
    /** Assumed of a subject that has sent nothing yet. */
    private static final long UNKNOWN_WEIGHT = 64 * 1024;

    private static final int FIRST_REQUEST = 4;
    private static final int IDLE_REQUEST = 16;

    private final String subject;
    private final String name;
    private boolean open;
    private long openedNanos;
    private long servedSinceOpening;
    private long lastNanos = System.nanoTime();
    private int held;
    private double meanWeight;
    private long pendingOnServer;
    private long pullId;
    private int outstanding;
    private long outstandingEach;
    private long deadlineNanos;

    SubjectConsumer(String subject) {
        this.subject = subject;
        this.name = Subjects.consumerName(subject);
    }

    String subject() {
        return subject;
    }

    String name() {
        return name;
    }

    boolean isOpen() {
        return open;
    }

    void open() {
        open = true;
        openedNanos = System.nanoTime();
        lastNanos = openedNanos;
        servedSinceOpening = 0;
        // Opened because there is something; the first delivery says how much.
        pendingOnServer = Math.max(1, pendingOnServer);
    }

    void close() {
        open = false;
    }

    boolean isIdle() {
        return held == 0 && outstanding == 0;
    }

    int held() {
        return held;
    }

    long pullId() {
        return pullId;
    }

    long nanosSinceLast() {
        return System.nanoTime() - lastNanos;
    }

    boolean hasServed(long messages, long nanos) {
        return servedSinceOpening >= messages || System.nanoTime() - openedNanos > nanos;
    }

    void delivered(long weight, long stillPending) {
        held++;
        servedSinceOpening++;
        lastNanos = System.nanoTime();
        meanWeight = meanWeight == 0 ? weight : meanWeight * 0.9 + weight * 0.1;
        pendingOnServer = stillPending;
        outstanding = Math.max(0, outstanding - 1);
    }

    void released() {
        held--;
    }

    boolean isMoreArriving() {
        return outstanding > 0 && pendingOnServer > 0;
    }

    long weightEach() {
        return meanWeight == 0 ? UNKNOWN_WEIGHT : (long) Math.ceil(meanWeight);
    }

    long outstandingWeight() {
        return outstanding * outstandingEach;
    }

    /** How many messages to ask for; few of a subject about which nothing is known, or that has nothing more. */
    int wanted(int window, long windowWeight) {
        if (!open || outstanding > 0) {
            return 0;
        }
        long byWeight = Math.max(1, windowWeight / weightEach());
        long most = Math.min(Math.min(window, byWeight), meanWeight == 0 ? FIRST_REQUEST : Integer.MAX_VALUE);
        long room = most - held;
        // A small request only when there is nothing left to do meanwhile.
        if (room <= 0 || (held > 0 && room < most / 4)) {
            return 0;
        }
        return (int) Math.min(room, Math.max(pendingOnServer, IDLE_REQUEST));
    }

    void requested(long id, int count, long deadline) {
        pullId = id;
        outstanding = count;
        outstandingEach = weightEach();
        deadlineNanos = deadline;
    }

    boolean isOverdue(long nowNanos) {
        return outstanding > 0 && nowNanos - deadlineNanos > 0;
    }

    void pullEnded() {
        outstanding = 0;
    }
}
