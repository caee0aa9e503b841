package dev.countersink.ingest;

import dev.countersink.ingest.nats.Delivery;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/** Counts what is finished, and how long it took from the publication to the commit. Thread-safe. */
public final class IngestMetrics {
    private static final int RATE_SECONDS = 10;
    private static final int SLOTS = 16;

    private final Latencies latencies = new Latencies();
    private final AtomicLong messages = new AtomicLong();
    private final AtomicLong batches = new AtomicLong();
    private final AtomicLong deadLetters = new AtomicLong();
    private final AtomicLong redelivered = new AtomicLong();
    private final long[] perSecond = new long[SLOTS];
    private final long[] seconds = new long[SLOTS];
    private long firstSecond = Long.MAX_VALUE / 2;
    private volatile String blocked;
    private volatile int held;
    private volatile long heldBytes;
    private volatile List<IngestSnapshot.Job> jobs = List.of();

    void dead(int count) {
        deadLetters.addAndGet(count);
    }

    void blocked(String reason) {
        blocked = reason;
    }

    void unblocked() {
        blocked = null;
    }

    void holding(int count, long bytes) {
        held = count;
        heldBytes = bytes;
    }

    void jobs(List<IngestSnapshot.Job> found) {
        jobs = List.copyOf(found);
    }

    void committed(List<Delivery> batch) {
        long now = System.currentTimeMillis();
        for (Delivery delivery : batch) {
            latencies.record(Math.max(0, now - delivery.publishedMillis()), now);
            if (delivery.deliveries() > 1) {
                redelivered.incrementAndGet();
            }
        }
        messages.addAndGet(batch.size());
        batches.incrementAndGet();
        count(now / 1000, batch.size());
    }

    private synchronized void count(long second, int number) {
        int slot = (int) (second % SLOTS);
        if (seconds[slot] != second) {
            seconds[slot] = second;
            perSecond[slot] = 0;
        }
        perSecond[slot] += number;
        firstSecond = Math.min(firstSecond, second);
    }

    private synchronized double rate(long second) {
        long sum = 0;
        for (int slot = 0; slot < SLOTS; slot++) {
            if (seconds[slot] > second - RATE_SECONDS) {
                sum += perSecond[slot];
            }
        }
        return (double) sum / Math.max(1, Math.min(RATE_SECONDS, second - firstSecond + 1));
    }

    public IngestSnapshot snapshot() {
        long now = System.currentTimeMillis();
        List<IngestSnapshot.Job> found = jobs;
        return new IngestSnapshot(
                messages.get(),
                batches.get(),
                deadLetters.get(),
                redelivered.get(),
                rate(now / 1000),
                latencies.recent(0.5, now),
                latencies.recent(0.99, now),
                latencies.quantile(0.5),
                latencies.quantile(0.99),
                held,
                heldBytes,
                found.stream().mapToLong(IngestSnapshot.Job::messages).sum(),
                blocked,
                found);
    }
}
