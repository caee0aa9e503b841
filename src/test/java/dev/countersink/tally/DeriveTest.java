package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.Session;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Derived watches over hard views and random transactions (sql/tests/derive).
 * {@code -Dcountersink.seed=N} begins at another seed, {@code -Dcountersink.derive.seconds=N} runs longer.
 */
class DeriveTest {
    private static final Path FOLDER = Path.of("sql", "tests", "derive");
    private static final Path GOLDEN = FOLDER.resolve("derived.txt");
    private static final int LEAST_VIEWS = 80;
    private static final int AT_ONCE = 10;
    private static final String MISSED =
            "SELECT coalesce(string_agg(DISTINCT format('%s, seed %s: %s', name, seed, statements), E'\\n'), '') FROM fuzz.miss";

    private final DbSettings db = TestPostgres.migrated();

    @BeforeEach
    void views() throws Exception {
        assumeTrue(Session.hasPsql(), "psql is not installed");
        Session.psql(db, FOLDER.resolve("fuzz.sql"));
        try (Sql sql = new Sql(db)) {
            sql.run("SELECT fuzz.setup()");
        }
    }

    @Test
    void noKeyThatChangesIsMissed() throws Exception {
        long seed = Long.getLong("countersink.seed", System.nanoTime() & 0xfffff);
        System.out.printf("countersink.seed=%d%n", seed);
        long end = System.nanoTime()
                + Duration.ofSeconds(Long.getLong("countersink.derive.seconds", 25))
                        .toNanos();
        try (Sql sql = new Sql(db)) {
            assertThat(sql.number("SELECT count(*) FROM fuzz.definition")).isGreaterThanOrEqualTo(LEAST_VIEWS);
            for (long next = seed; System.nanoTime() < end; next += AT_ONCE) {
                sql.run("CALL fuzz.run(%d, %d)".formatted(next, AT_ONCE));
                assertThat(sql.text(MISSED)).isEmpty();
            }
        }
    }

    @Test
    void onEveryVersionTheSameIsDerived() throws Exception {
        try (Sql sql = new Sql(db)) {
            assertThat(sql.text(Files.readString(FOLDER.resolve("derived.sql"))))
                    .isEqualTo(Files.readString(GOLDEN));
        }
    }

    @Test
    void aSabotagedDerivationIsCaught() throws Exception {
        try (Sql sql = new Sql(db)) {
            for (String[] sabotage : List.of(
                    new String[] {"cte_twice", "b", "split_part(expand, E'\\nUNION ALL\\n', 1)"},
                    new String[] {"range_join", "b", "replace(expand, ' < ', ' > ')"})) {
                sql.run("DELETE FROM fuzz.miss");
                sql.run("UPDATE fuzz.source SET expand = %3$s WHERE name = '%1$s' AND relation = 'fuzz.%2$s'::regclass"
                        .formatted((Object[]) sabotage));
                sql.run("SELECT fuzz.make_check(d) FROM fuzz.definition d WHERE name = '%s'".formatted(sabotage[0]));
                sql.run("CALL fuzz.run(1, 60)");
                assertThat(sql.text(MISSED)).contains(sabotage[0]);
            }
        }
    }
}
