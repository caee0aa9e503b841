package dev.countersink.refresh;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.Test;

class TroublesTest {
    private Instant now = Instant.parse("2026-01-01T00:00:00Z");
    private final Troubles troubles = new Troubles(() -> now);

    @Test
    void eachFailureDoublesThePauseUpToAMinute() {
        assertThat(troubles.mayTry("v")).isTrue();
        for (int seconds : new int[] {1, 2, 4, 8, 16, 32, 60, 60}) {
            troubles.failed("v", "no connection");
            now = now.plus(Duration.ofSeconds(seconds).minusMillis(1));
            assertThat(troubles.mayTry("v")).isFalse();
            now = now.plusMillis(1);
            assertThat(troubles.mayTry("v")).isTrue();
        }
    }

    @Test
    void aSuccessForgetsThePause() {
        troubles.failed("v", "no connection");
        troubles.succeeded("v");
        assertThat(troubles.mayTry("v")).isTrue();
    }

    @Test
    void whatTheEngineReportsIsTriedAgainAtOnce() {
        troubles.reported("v", "division by zero");
        assertThat(troubles.mayTry("v")).isTrue();
        assertThat(troubles.mayTry("another")).isTrue();
    }
}
