package dev.countersink.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Pages of the requested runs: each run once, by any filter, and no page reads many more rows than it has. */
class RunPagesTest {
    private static final int RUNS = 20_000;
    private static final int ROWS = 50;

    /** Several are requested at the same moment, and a few by transactions that had begun long before. */
    private static final String SETUP = """
            INSERT INTO control.run (view, action, state, requested_at, finished_at, code, error, instance)
            SELECT CASE WHEN n %% 10 < 8 THEN 'app.busy' ELSE 'app.v' || n %% 7 END, CASE n %% 3 WHEN 0 THEN 'verify' ELSE 'refresh' END,
                   CASE WHEN broken THEN 'failed' WHEN n > %1$d - 3 THEN 'running' ELSE 'done' END,
                   t, CASE WHEN n <= %1$d - 3 OR broken THEN t + interval '1 s' END, CASE WHEN broken THEN 'XX000' END, CASE WHEN broken THEN 'broken' END, 'test'
            FROM generate_series(1, %1$d) n,
                 LATERAL (SELECT '2026-01-01 00:00Z'::timestamptz + (n / 4) * interval '1 min' - CASE n %% 997 WHEN 0 THEN interval '1 day' ELSE interval '0' END AS t, n %% 5000 = 17 AS broken) x;
            ANALYZE control.run;
            CREATE SCHEMA app;
            CREATE FUNCTION app.walk(most int, view text, state text, since timestamptz, until timestamptz) RETURNS bigint[] LANGUAGE plpgsql AS $$
            DECLARE
                seen bigint[] := '{}';
                page bigint[];
                last bigint;
            BEGIN
                LOOP
                    page := ARRAY(SELECT r.id FROM control.runs(last, most, view, state, since, until) r);
                    seen := seen || page;
                    EXIT WHEN cardinality(page) < most;
                    last := page[most];
                END LOOP;
                RETURN seen;
            END
            $$;
            CREATE FUNCTION app.all_at_once(view text, state text, since timestamptz, until timestamptz) RETURNS bigint[] LANGUAGE sql AS $$
                SELECT coalesce(array_agg(r.id ORDER BY r.requested_at DESC, r.id DESC), '{}') FROM control.run r
                WHERE ($1 IS NULL OR r.view = $1) AND ($2 IS NULL OR r.state = $2) AND ($3 IS NULL OR r.requested_at >= $3) AND ($4 IS NULL OR r.requested_at < $4)
            $$;
            """;

    private static Sql sql;

    @BeforeAll
    static void open() {
        sql = new Sql(TestPostgres.migrated());
        sql.run(SETUP.formatted(RUNS));
    }

    @AfterAll
    static void close() throws Exception {
        sql.close();
    }

    /** View, state, since, until. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "NULL, NULL, NULL, NULL",
                "'app.v3', NULL, NULL, NULL",
                "'app.busy', 'failed', NULL, NULL",
                "NULL, 'failed', NULL, NULL",
                "NULL, 'queued', NULL, NULL",
                "NULL, 'running', NULL, NULL",
                "NULL, NULL, NULL, '2026-01-01 06:30Z'",
                "NULL, 'done', '2026-01-01 03:17Z', '2026-01-01 03:18Z'",
                "'app.v3', 'done', '2026-01-01 03:17Z', NULL",
                "'app.busy', NULL, '2026-01-03 00:00Z', '2026-01-03 02:00Z'",
                "NULL, NULL, '2027-01-01 00:00Z', NULL",
                "NULL, NULL, 'infinity', '-infinity'"
            })
    void pagesHoldEachRunOnceAndReadLittleMore(String filter) {
        for (int most : new int[] {1_000, ROWS}) {
            assertThat(sql.text("SELECT (app.walk(%d, %s) = app.all_at_once(%2$s))::text".formatted(most, filter)))
                    .isEqualTo("true");
        }
        for (String after : new String[] {"NULL", "51", String.valueOf(RUNS / 2)}) {
            assertThat(read("SELECT count(*) FROM control.runs(%s, %d, %s)".formatted(after, ROWS, filter)))
                    .isLessThan(5L * ROWS);
        }
    }

    @Test
    void aPageGoesOnAfterARunThatIsDeleted() {
        sql.run("BEGIN; DELETE FROM control.run WHERE id IN (5000, 5001, 5002)");
        try {
            assertThat(sql.text("SELECT string_agg(id::text, ' ') FROM control.runs(5001, 3)"))
                    .isEqualTo("4999 4998 4997");
            assertThat(sql.number("SELECT count(*) FROM control.runs(0, 3)")).isZero();
        } finally {
            sql.run("ROLLBACK");
        }
    }

    @Test
    void oldRunsAreForgottenWhateverTheirState() {
        sql.run("BEGIN; UPDATE control.run SET state = 'queued', finished_at = NULL WHERE id = 1");
        try {
            long old = sql.number(
                    "SELECT count(*) FROM control.run WHERE requested_at < now() - (now() - '2026-01-02 00:00Z')");
            assertThat(sql.number("SELECT control.forget_runs(now() - '2026-01-02 00:00Z')"))
                    .isEqualTo(old)
                    .isPositive();
            assertThat(sql.number("SELECT count(*) FROM control.run WHERE requested_at < '2026-01-02 00:00Z'"))
                    .isZero();
        } finally {
            sql.run("ROLLBACK");
        }
    }

    /** How many rows of the table a query reads. */
    private static long read(String query) {
        String fetched =
                "SELECT pg_stat_get_xact_tuples_fetched('control.run'::regclass) + pg_stat_get_xact_tuples_returned('control.run'::regclass)";
        sql.run("BEGIN");
        long before = sql.number(fetched);
        sql.number(query);
        long after = sql.number(fetched);
        sql.run("ROLLBACK");
        return after - before;
    }
}
