package dev.countersink.monitor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class HistoryTest {
    private final History history = new History();

    @Test
    void itHoldsTheLastHourInOrder() {
        for (int i = 0; i < History.SAMPLES + 10; i++) {
            history.add(i, Map.of("a", sample(i)));
        }
        assertThat(history.times()).hasSize(History.SAMPLES).startsWith(10d).endsWith(249d);
        assertThat(history.of("a").get("lag"))
                .hasSize(History.SAMPLES)
                .startsWith(10d)
                .endsWith(249d);
        assertThat(history.lags("a", 30)).hasSize(30).startsWith(17d).endsWith(249d);
    }

    @Test
    void whatIsNotKnownIsAGap() {
        history.add(1, Map.of("a", sample(5)));
        history.add(2, Map.of());
        history.add(3, Map.of("a", sample(7), "b", sample(1)));
        assertThat(history.of("a").get("lag")).containsExactly(5d, null, 7d);
        assertThat(history.of("b").get("lag")).containsExactly(null, null, 1d);
        assertThat(history.of("a").get("merge_ms")).containsExactly(null, null, null);
        assertThat(history.of("c")).isEmpty();
    }

    @Test
    void aSmallPictureHasTheHighestOfEachPartTheLastPartEndingNow() {
        for (int i = 1; i <= 9; i++) {
            history.add(i, Map.of("a", sample(10 - i)));
        }
        assertThat(history.lags("a", 30)).containsExactly(9d, 8d);
        assertThat(history.lags("b", 30)).isEmpty();
        assertThat(history.mergeMillis("b", 30)).isEmpty();
    }

    @Test
    void ofATimeBeforeTheFirstSampleOnlyTheLastQuarterOfAMinuteIsKnown() {
        history.add(100, Map.of("a", sample(1)));
        history.add(130, Map.of("a", sample(2)));
        assertThat(history.at(85)).isEmpty();
        assertThat(history.at(86).get("a").lag()).isEqualTo(1);
        assertThat(history.at(101).get("a").lag()).isEqualTo(2);
        assertThat(history.at(131)).isEmpty();
        assertThat(history.at(-1e15)).isEmpty();
    }

    @Test
    void viewsThatAreNoMoreAreForgotten() {
        history.add(1, Map.of("a", sample(1), "b", sample(2)));
        history.retain(Set.of("b"));
        assertThat(history.of("a")).isEmpty();
        assertThat(history.of("b").get("lag")).containsExactly(2d);
    }

    private static History.Sample sample(double lag) {
        return new History.Sample(lag, 0, Double.NaN, 0);
    }
}
