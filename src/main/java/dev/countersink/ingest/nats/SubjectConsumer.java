package dev.countersink.ingest.nats;

import dev.countersink.ingest.message.Subjects;

/** The state of one subject's consumer: what was requested, what is held, how large its messages are. */
final class SubjectConsumer {
    private static final int IDLE_REQUEST = 16;
    /** The mean follows the sizes of messages, so a single larger message changes it little. */
    private static final double SHARE_OF_LATEST = 0.1;

    private final String subject;
    private final String name;
    private boolean open;
    private int mostAtOnce = Integer.MAX_VALUE;
    private long openedNanos;
    private long servedSinceOpening;
    private long deliveredNanos = System.nanoTime();
    private long finishedNanos = System.nanoTime();
    private int held;
    private int fetching;
    private boolean sizeKnown;
    private double meanWeight;
    private long pendingOnServer;
    private long pullId;
    private int outstanding;
    private long outstandingEach;
    private long deadlineNanos;
    private long notBeforeNanos = System.nanoTime();

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
        deliveredNanos = openedNanos;
        servedSinceOpening = 0;
        // It was opened because there are messages. The first delivery tells how many.
        pendingOnServer = Math.max(1, pendingOnServer);
    }

    /** From now on it gives no more messages than this for one request. */
    void limit(int most) {
        mostAtOnce = most;
    }

    void close() {
        open = false;
    }

    boolean isIdle() {
        return held() == 0 && outstanding == 0;
    }

    boolean isAsking() {
        return outstanding > 0;
    }

    /** With those whose objects are fetched first. */
    int held() {
        return held + fetching;
    }

    /** A message has arrived whose object is fetched first. */
    void fetching(long stillPending) {
        arrived(stillPending);
        fetching++;
    }

    int inFetching() {
        return fetching;
    }

    void fetched() {
        fetching--;
    }

    long pullId() {
        return pullId;
    }

    long deliveredNanos() {
        return deliveredNanos;
    }

    long finishedNanos() {
        return finishedNanos;
    }

    boolean hasServed(long messages, long nanos) {
        return servedSinceOpening >= messages || System.nanoTime() - openedNanos > nanos;
    }

    void delivered(long weight, long stillPending) {
        arrived(stillPending);
        took(weight);
    }

    void took(long weight) {
        held++;
        servedSinceOpening++;
        meanWeight = sizeKnown ? meanWeight * (1 - SHARE_OF_LATEST) + weight * SHARE_OF_LATEST : weight;
        sizeKnown = true;
    }

    /** A message arrived that is already held. */
    void deliveredAgain(long stillPending) {
        arrived(stillPending);
    }

    private void arrived(long stillPending) {
        deliveredNanos = System.nanoTime();
        pendingOnServer = stillPending;
        outstanding = Math.max(0, outstanding - 1);
    }

    void released(boolean progress) {
        held--;
        if (progress) {
            finishedNanos = System.nanoTime();
        }
    }

    boolean isMoreArriving() {
        return outstanding > 0 && pendingOnServer > 0;
    }

    /** Whether a message of this subject was received, and none since was too large for a pull. */
    boolean isSizeKnown() {
        return sizeKnown;
    }

    void forgetSize() {
        sizeKnown = false;
    }

    long weightEach() {
        return Math.max(1, (long) Math.ceil(meanWeight));
    }

    long outstandingWeight() {
        return outstanding * outstandingEach;
    }

    /** How many messages to request: few if the backlog was empty after the last one. */
    int wanted(int window, long windowWeight) {
        long most = Math.min(window, Math.max(1, windowWeight / weightEach()));
        long room = most - held();
        // A small request is sent only if nothing is held.
        if (room <= 0 || (held() > 0 && room < most / 4)) {
            return 0;
        }
        return (int) Math.min(Math.min(room, mostAtOnce), Math.max(pendingOnServer, IDLE_REQUEST));
    }

    void requested(long id, int count, long each, long deadline) {
        pullId = id;
        outstanding = count;
        outstandingEach = each;
        deadlineNanos = deadline;
    }

    boolean isOverdue(long nowNanos) {
        return outstanding > 0 && nowNanos - deadlineNanos > 0;
    }

    void pullEnded() {
        outstanding = 0;
    }

    void postpone(long nanos) {
        notBeforeNanos = System.nanoTime() + nanos;
    }

    boolean mayAsk(long nowNanos) {
        return nowNanos - notBeforeNanos >= 0;
    }
}
