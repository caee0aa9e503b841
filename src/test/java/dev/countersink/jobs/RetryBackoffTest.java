package dev.countersink.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.time.Instant;
import org.junit.jupiter.api.Test;

class RetryBackoffTest {
    private Instant now = Instant.parse("2026-01-01T00:00:00Z");
    private final RetryBackoff backoff = new RetryBackoff(() -> now);

    @Test
    void eachFailureDoublesThePauseUpToAMinute() {
        assertThat(backoff.mayTry("v")).isTrue();
        for (int seconds : new int[] {1, 2, 4, 8, 16, 32, 60, 60}) {
            backoff.failed("v", "no connection");
            now = now.plus(Duration.ofSeconds(seconds).minusMillis(1));
            assertThat(backoff.mayTry("v")).isFalse();
            now = now.plusMillis(1);
            assertThat(backoff.mayTry("v")).isTrue();
        }
    }

    @Test
    void aSuccessForgetsThePause() {
        backoff.failed("v", "no connection");
        backoff.succeeded("v");
        assertThat(backoff.mayTry("v")).isTrue();
    }

    @Test
    void whatTheEngineReportsIsTriedAgainAtOnce() {
        backoff.reported("v", "division by zero");
        assertThat(backoff.mayTry("v")).isTrue();
        assertThat(backoff.mayTry("another")).isTrue();
    }
}
