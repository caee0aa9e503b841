package dev.countersink.ingest.nats;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;

class FairQueuesTest {
    private final FairQueues<String> queues = new FairQueues<>(1000);

    @Test
    void aShortQueueIsServedBesideALongOne() {
        fill("long", 50_000, 100);
        fill("short", 50, 100);
        List<String> batch = queues.take(1000, Long.MAX_VALUE);
        assertThat(batch).hasSize(1000);
        assertThat(Collections.frequency(batch, "short")).isEqualTo(50);
    }

    @Test
    void busyQueuesGetTheSameBytesWhateverTheSizeOfTheirMessages() {
        fill("large", 1000, 5000);
        fill("small", 10_000, 100);
        List<String> batch = queues.take(Integer.MAX_VALUE, 1_000_000);
        long large = Collections.frequency(batch, "large") * 5000L;
        long small = Collections.frequency(batch, "small") * 100L;
        assertThat(large - small).isBetween(-6000L, 6000L);
    }

    @Test
    void theShareIsKeptFromBatchToBatch() {
        fill("a", 300, 100);
        fill("b", 300, 100);
        fill("c", 300, 100);
        int[] served = new int[3];
        for (int i = 0; i < 30; i++) {
            for (String key : queues.take(7, Long.MAX_VALUE)) {
                served[key.charAt(0) - 'a']++;
            }
        }
        assertThat(served).containsExactly(70, 70, 70);
    }

    @Test
    void anItemLargerThanABatchGoesAlone() {
        queues.add("a", "huge", 10_000_000);
        queues.add("a", "small", 1);
        assertThat(queues.take(10, 1000)).containsExactly("huge");
        assertThat(queues.take(10, 1000)).containsExactly("small");
        assertThat(queues.take(10, 1000)).isEmpty();
    }

    @Test
    void theOrderOfAKeyIsKept() {
        for (int i = 0; i < 100; i++) {
            queues.add("a", String.valueOf(i), i * 37 % 500);
        }
        List<String> taken = queues.take(100, Long.MAX_VALUE);
        for (int i = 0; i < 100; i++) {
            assertThat(taken.get(i)).isEqualTo(String.valueOf(i));
        }
    }

    private void fill(String key, int count, long weight) {
        for (int i = 0; i < count; i++) {
            queues.add(key, key, weight);
        }
    }
}
