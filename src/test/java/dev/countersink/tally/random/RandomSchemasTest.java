package dev.countersink.tally.random;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.TestPostgres;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * Schemas, derived views and writers made at random: each live view equals its oracle in every snapshot.
 * {@code -Dcountersink.seed=N} repeats one case; {@code -Dcountersink.seeds=N} runs that many random seeds instead of one, or the
 * given seed that many times.
 */
class RandomSchemasTest {
    private static final long ALWAYS = 20_260_601;
    private static final int TRANSACTIONS = 45;
    private static final double LEAST_SHARE_OF_COMMITS = 0.5;

    private final DbSettings db = TestPostgres.migrated();
    private final Figures figures = new Figures();

    @Test
    void inEverySnapshotEachLiveViewOfRandomSchemasEqualsItsOracle() {
        Long given = Long.getLong("countersink.seed");
        List<Long> seeds = new ArrayList<>(List.of(given != null ? given : ALWAYS));
        for (int i = given != null ? 1 : 0; i < Integer.getInteger("countersink.seeds", 1); i++) {
            seeds.add(given != null ? given : System.nanoTime() & 0xffffff);
        }
        for (long seed : seeds) {
            System.out.printf("countersink.seed=%d%n", seed);
            new RandomCase(db, seed, TRANSACTIONS, false, figures).run();
        }
        System.out.println(figures);
        assertThat(figures.share()).as("share of commits").isGreaterThan(LEAST_SHARE_OF_COMMITS);
        assertThat(figures.snapshots.get()).isPositive();
        assertThat(figures.merges.get()).isPositive();
    }

    @Test
    void writesThatBypassTheTriggersAreFound() {
        assertThatThrownBy(() -> new RandomCase(db, 1, TRANSACTIONS, true, figures).run())
                .isInstanceOf(AssertionError.class)
                .hasMessageContaining("countersink.seed=1")
                .hasMessageContaining("tally.create_projection");
        assertThat(figures.differences.get()).isPositive();
    }
}
