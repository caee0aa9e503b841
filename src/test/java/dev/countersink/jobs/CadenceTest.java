package dev.countersink.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** Computed moments alone: no time passes. */
class CadenceTest {
    private static final long SECOND = Duration.ofSeconds(1).toNanos();

    @Test
    void noViewWaitsLongerThanItsIntervalNorIsAskedAboutMuchSooner() {
        Random random = new Random(7);
        for (int i = 0; i < 100_000; i++) {
            Duration interval = Duration.ofMillis(100 + random.nextInt(i % 2 == 0 ? 2_000 : 86_400_000));
            long now = random.nextLong() / 2; // nanoTime may be negative
            long first = Cadence.next(now, interval);
            assertThat(first - now).as("%s at %d", interval, now).isPositive().isLessThanOrEqualTo(interval.toNanos());
            assertThat(Cadence.next(first, interval) - first)
                    .as("%s at %d", interval, now)
                    .isBetween(interval.toNanos() * 3 / 4, interval.toNanos());
        }
    }

    @Test
    void commonIntervalsAreKeptExactly() {
        for (long millis : new long[] {100, 250, 500, 1_000, 1_200, 2_000, 5_000, 60_000, 3_600_000}) {
            long first = Cadence.next(123_456_789, Duration.ofMillis(millis));
            assertThat(Cadence.next(first, Duration.ofMillis(millis)) - first)
                    .isEqualTo(Duration.ofMillis(millis).toNanos());
        }
    }

    @Test
    void viewsOfOneIntervalAreAskedAboutTogetherWheneverTheyWereMerged() {
        Random random = new Random(7);
        long now = 5 * SECOND;
        for (int i = 0; i < 1_000; i++) {
            assertThat(Cadence.next(now + (long) (random.nextDouble() * SECOND), Duration.ofSeconds(1)))
                    .isEqualTo(6 * SECOND);
        }
    }

    @Test
    void viewsOfManyIntervalsAreAskedAboutAtFewMoments() {
        Random random = new Random(7);
        List<Duration> intervals = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            intervals.add(Duration.ofMillis(800 + random.nextInt(3_000)));
        }
        TreeSet<Long> moments = new TreeSet<>();
        for (Duration interval : intervals) {
            for (long at = (long) (random.nextDouble() * SECOND); at < 60 * SECOND; at = Cadence.next(at, interval)) {
                if (at >= 4 * SECOND) {
                    moments.add(at);
                }
            }
        }
        assertThat(moments).hasSizeLessThanOrEqualTo(5 * 56);
    }
}
