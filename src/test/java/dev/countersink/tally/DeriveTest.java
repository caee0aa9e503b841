package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.Session;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestMethodOrder;

/**
 * Derived watches over hard views and random transactions (sql/tests/derive).
 * {@code -Dcountersink.seed=N} starts at another seed, {@code -Dcountersink.derive.seconds=N} runs longer,
 * {@code -Dcountersink.derived.write=true} writes derived.txt anew.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class DeriveTest {
    private static final Path FOLDER = Path.of("sql", "tests", "derive");
    private static final Path GOLDEN = FOLDER.resolve("derived.txt");
    private static final int LEAST_VIEWS = 225;
    private static final int AT_ONCE = 10;
    private static final int TRANSACTIONS = 10;
    private static final int CHECKED_VIEWS = 20;
    private static final int RANDOM_STATES = 4;
    /** Others have found missed keys, which are mended; one that finds another is for a run by hand. */
    private static final long KNOWN_SEED = 928478;

    private static final String MISSED =
            "SELECT coalesce(string_agg(DISTINCT format('%s, seed %s: %s', name, seed, statements), E'\\n'), '') FROM fuzz.miss";

    private final DbSettings db = TestPostgres.migrated();

    @BeforeAll
    void views() throws Exception {
        assumeTrue(Session.hasPsql(), "psql is not installed");
        Session.psql(db, FOLDER.resolve("fuzz.sql"));
        try (Sql sql = new Sql(db)) {
            sql.run("SELECT fuzz.setup()");
        }
    }

    @Test
    @Order(2)
    void noKeyThatChangesIsMissed() throws Exception {
        long seed = Long.getLong("countersink.seed", System.nanoTime() & 0xfffff);
        System.out.printf("countersink.seed=%d%n", seed);
        long end = System.nanoTime()
                + Duration.ofSeconds(Long.getLong("countersink.derive.seconds", 25))
                        .toNanos();
        try (Sql sql = new Sql(db)) {
            assertThat(sql.number("SELECT count(*) FROM fuzz.definition")).isGreaterThanOrEqualTo(LEAST_VIEWS);
            for (long next = seed; System.nanoTime() < end; next += AT_ONCE) {
                sql.run("CALL fuzz.run(%d, %d, %d, %d)".formatted(next, AT_ONCE, TRANSACTIONS, CHECKED_VIEWS));
                assertThat(sql.text(MISSED)).isEmpty();
            }
            assertThat(sql.number("SELECT sum(changed) FROM fuzz.tried")).isPositive();
        }
    }

    /** A query that PostgreSQL or the engine refuses is passed over; so is one that takes long. */
    @Test
    @Order(4)
    void noKeyOfARandomQueryIsMissed() throws Exception {
        long seed = Long.getLong("countersink.seed", KNOWN_SEED);
        System.out.printf("random queries: countersink.seed=%d%n", seed);
        long end = System.nanoTime()
                + Duration.ofSeconds(Long.getLong("countersink.derive.seconds", 25))
                        .toNanos();
        int tried = 0;
        int refused = 0;
        try (Sql sql = new Sql(db)) {
            sql.run("DELETE FROM fuzz.miss; SET statement_timeout = '20s'; SET search_path = fuzz, pg_catalog");
            for (long next = seed; System.nanoTime() < end; next++) {
                RandomQueries.Query query = new RandomQueries(next).next();
                String what = "seed %d: %s".formatted(next, query);
                boolean ran = passes(sql, "SELECT FROM (%s) q LIMIT 0".formatted(query.sql()), "42...|57014", what)
                        && passes(
                                sql,
                                "SELECT fuzz.try_alone($query$%s$query$, '{%s}')"
                                        .formatted(query.sql(), String.join(",", query.key())),
                                "TL...|54001|57014",
                                what)
                        && passes(
                                sql,
                                "CALL fuzz.run(%d, %d, %d)".formatted(next, RANDOM_STATES, TRANSACTIONS),
                                "22003|57014",
                                what);
                tried += ran ? 1 : 0;
                refused += ran ? 0 : 1;
                assertThat(sql.text(MISSED)).as(what).isEmpty();
            }
            System.out.printf("%d random queries tried, %d refused%n", tried, refused);
            assertThat(tried).isGreaterThan(refused);
        }
    }

    @Test
    @Order(1)
    void onEveryVersionTheSameIsDerived() throws Exception {
        try (Sql sql = new Sql(db)) {
            String derived = sql.text(Files.readString(FOLDER.resolve("derived.sql")));
            if (Boolean.getBoolean("countersink.derived.write")) {
                Files.writeString(GOLDEN, derived);
            }
            assertThat(derived.lines()).containsExactlyElementsOf(Files.readAllLines(GOLDEN));
        }
    }

    /** Whether a statement runs; it may fail only with these SQLSTATEs. */
    private static boolean passes(Sql sql, String statement, String refusals, String what) {
        try {
            sql.run(statement);
            return true;
        } catch (IllegalStateException e) {
            assertThat(((SQLException) e.getCause()).getSQLState())
                    .as(what + ' ' + e.getCause())
                    .matches(refusals);
            return false;
        }
    }

    @Test
    @Order(3)
    void aSabotagedDerivationIsCaught() throws Exception {
        try (Sql sql = new Sql(db)) {
            for (String[] sabotage : List.of(
                    new String[] {"cte_twice", "b", "split_part(expand, E'\\nUNION ALL\\n', 1)"},
                    new String[] {"range_join", "b", "replace(expand, ' < ', ' > ')"},
                    new String[] {"tpch_10", "lineitem", "replace(expand, 'o_orderkey', 'o_custkey')"},
                    new String[] {"full_chain", "c", "'SELECT NULL::integer FROM changed WHERE false'"})) {
                sql.run("DELETE FROM fuzz.miss");
                sql.run("SELECT fuzz.sabotaged('%s', '%s', $sql$%s$sql$)".formatted((Object[]) sabotage));
                sql.run("UPDATE fuzz.definition SET tried = name = '%s'".formatted(sabotage[0]));
                sql.run("CALL fuzz.run(1, 60, %d)".formatted(TRANSACTIONS));
                assertThat(sql.text(MISSED)).contains(sabotage[0]);
            }
        }
    }
}
