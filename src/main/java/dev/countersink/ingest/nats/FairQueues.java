package dev.countersink.ingest.nats;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A queue per key, served by deficit round robin (Shreedhar and Varghese, 1995): each turn allows a key to send {@code quantum}
 * more bytes, and it keeps what it did not use as long as it has something to send. So each busy key gets the same share of
 * bytes, however long its queue and however large its items. Not thread-safe.
 */
final class FairQueues<T> {
    private final long quantum;
    private final Map<String, Flow<T>> flows = new HashMap<>();
    private final Deque<Flow<T>> turns = new ArrayDeque<>();
    private int size;

    FairQueues(long quantum) {
        this.quantum = quantum;
    }

    private record Item<T>(T value, long weight) {}

    private static final class Flow<T> {
        private final String key;
        private final Deque<Item<T>> items = new ArrayDeque<>();
        private long deficit;

        Flow(String key) {
            this.key = key;
        }
    }

    void add(String key, T value, long weight) {
        Flow<T> flow = flows.get(key);
        if (flow == null) {
            flow = new Flow<>(key);
            flows.put(key, flow);
            turns.addLast(flow);
        }
        flow.items.addLast(new Item<>(value, weight));
        size++;
    }

    int size() {
        return size;
    }

    /** Takes items up to these limits, but at least one if there is one. */
    List<T> take(int maxItems, long maxWeight) {
        List<T> taken = new ArrayList<>(Math.min(maxItems, size));
        long weight = 0;
        while (size > 0 && taken.size() < maxItems) {
            Flow<T> flow = turns.peekFirst();
            Item<T> next = flow.items.peekFirst();
            if (next.weight > flow.deficit) {
                flow.deficit += quantum;
                turns.addLast(turns.removeFirst());
                continue;
            }
            if (!taken.isEmpty() && weight + next.weight > maxWeight) {
                break;
            }
            flow.items.removeFirst();
            flow.deficit -= next.weight;
            size--;
            weight += next.weight;
            taken.add(next.value);
            if (flow.items.isEmpty()) {
                turns.removeFirst();
                flows.remove(flow.key);
            }
        }
        return taken;
    }

    /** Takes everything. */
    List<T> drain() {
        List<T> all = new ArrayList<>(size);
        for (Flow<T> flow : turns) {
            flow.items.forEach(item -> all.add(item.value));
        }
        flows.clear();
        turns.clear();
        size = 0;
        return all;
    }
}
