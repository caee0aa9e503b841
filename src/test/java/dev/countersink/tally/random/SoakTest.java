package dev.countersink.tally.random;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.TestPostgres;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/**
 * Random cases, a new seed for each, for {@code -Dcountersink.soak.minutes=N}. Each version of PostgreSQL gets half of the time;
 * {@code ./countersink test --soak N}.
 */
@EnabledIfSystemProperty(named = "countersink.soak.minutes", matches = "[0-9.]+")
class SoakTest {
    private static final int TRANSACTIONS = 100;
    private static final int MOST_FAILURES = 5;
    private static final double LEAST_SHARE_OF_COMMITS = 0.5;
    private static final long PROGRESS_NS = TimeUnit.MINUTES.toNanos(1);

    private final Figures figures = new Figures();
    private final List<Long> failures = new ArrayList<>();

    @Test
    void nothingDiffersForAsLongAsAsked() {
        double minutes = Double.parseDouble(System.getProperty("countersink.soak.minutes")) / 2;
        Long given = Long.getLong("countersink.seed");
        long seed = given != null ? given : System.nanoTime() & 0xffffffffL;
        DbSettings db = TestPostgres.migrated();
        long start = System.nanoTime();
        long told = start;
        System.out.printf(
                "PostgreSQL %d: from countersink.seed=%d, %s minutes%n", TestPostgres.version(), seed, minutes);
        do {
            if (!succeeds(db, seed)) {
                db = TestPostgres.migrated(); // the failed case is left as it is
            }
            seed += given == null ? 1 : 0; // a given one again and again: chance decides how its writers meet
            if (System.nanoTime() - told >= PROGRESS_NS) {
                told = System.nanoTime();
                tell("%4d s".formatted(TimeUnit.NANOSECONDS.toSeconds(told - start)), seed);
            }
        } while (failures.size() < MOST_FAILURES && System.nanoTime() - start < minutes * 60e9);
        tell("PostgreSQL %d".formatted(TestPostgres.version()), seed);
        assertThat(failures).as("seeds that failed").isEmpty();
        assertThat(figures.differences.get()).isZero();
        assertThat(figures.share()).as("share of commits").isGreaterThan(LEAST_SHARE_OF_COMMITS);
    }

    private boolean succeeds(DbSettings db, long seed) {
        try {
            new RandomCase(db, seed, TRANSACTIONS, false, figures).run();
            return true;
        } catch (AssertionError e) {
            failures.add(seed);
            System.out.println(e.getMessage());
            return false;
        }
    }

    private void tell(String when, long seed) {
        System.out.printf("%s: %s; up to seed %d, failed %s%n    %s%n", when, figures, seed, failures, figures.kinds());
    }
}
