package dev.countersink.ingest.nats;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class RotationTest {
    private final Rotation rotation = new Rotation(2);

    @Test
    void upToTheLimitAllAreOpen() {
        assertThat(next(List.of("a", "b")).open()).containsExactly("a", "b");
        assertThat(next(List.of("a", "b")).open()).isEmpty();
    }

    @Test
    void anIdleOneMakesRoomAtOnce() {
        next(List.of("a", "b"));
        Rotation.Change change = rotation.next(List.of("b", "c"), s -> false, s -> false);
        assertThat(change.close()).containsExactly("a");
        assertThat(change.open()).containsExactly("c");
    }

    @Test
    void aBusyOneKeepsItsPlaceUntilItsTurnIsOver() {
        next(List.of("a", "b"));
        List<String> all = List.of("a", "b", "c");
        assertThat(rotation.next(all, s -> false, s -> false).open()).isEmpty();
        Rotation.Change change = rotation.next(all, s -> false, s -> s.equals("b"));
        assertThat(change.close()).containsExactly("b");
        assertThat(change.open()).containsExactly("c");
        assertThat(rotation.isOpen("a")).isTrue();
    }

    @Test
    void allComeToTheirTurn() {
        List<String> busy = IntStream.range(0, 11).mapToObj(String::valueOf).toList();
        Set<String> served = new HashSet<>();
        for (int round = 0; round < 6; round++) {
            served.addAll(next(busy).open());
        }
        assertThat(served).containsExactlyInAnyOrderElementsOf(busy);
    }

    @Test
    void anIdleOneIsClosedWhenNothingHasComeForLong() {
        next(List.of("a"));
        assertThat(rotation.next(List.of(), s -> true, s -> true).close()).containsExactly("a");
        assertThat(next(List.of("a")).open()).containsExactly("a");
    }

    @Test
    void aLostOneIsOpenedAgain() {
        next(List.of("a"));
        rotation.lost("a");
        assertThat(next(List.of("a")).open()).containsExactly("a");
    }

    private Rotation.Change next(List<String> busy) {
        return rotation.next(busy, s -> false, s -> true);
    }
}
