package dev.countersink.tally.random;

import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;

/** Counts what was done, over all cases of a run. */
final class Figures {
    final AtomicLong cases = new AtomicLong();
    final AtomicLong commits = new AtomicLong();
    final AtomicLong rollbacks = new AtomicLong();
    final AtomicLong merges = new AtomicLong();
    final AtomicLong keys = new AtomicLong();
    final AtomicLong snapshots = new AtomicLong();
    final AtomicLong comparisons = new AtomicLong();
    final AtomicLong verified = new AtomicLong();
    final AtomicLong ownReads = new AtomicLong();
    final AtomicLong swaps = new AtomicLong();
    final AtomicLong differences = new AtomicLong();
    private final Map<String, AtomicLong> kinds = new ConcurrentSkipListMap<>();

    double share() {
        return (double) commits.get() / Math.max(1, commits.get() + rollbacks.get());
    }

    /** A statement of a committed transaction, or something done to a derived view. */
    void count(String kind) {
        kinds.computeIfAbsent(kind, k -> new AtomicLong()).incrementAndGet();
    }

    String kinds() {
        return kinds.entrySet().stream()
                .map(k -> k.getKey() + " " + k.getValue())
                .collect(Collectors.joining(", "));
    }

    @Override
    public String toString() {
        return "%d cases, %d commits, %d rollbacks, %d merges, %d keys, %d redefined, %d snapshots (%d comparisons), %d verified, %d own writes read, %d differences"
                .formatted(
                        cases.get(),
                        commits.get(),
                        rollbacks.get(),
                        merges.get(),
                        keys.get(),
                        swaps.get(),
                        snapshots.get(),
                        comparisons.get(),
                        verified.get(),
                        ownReads.get(),
                        differences.get());
    }
}
