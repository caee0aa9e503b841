package dev.countersink.results;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.DbSettings;
import dev.countersink.db.Database;
import dev.countersink.testing.Differences;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Writers execute random statements, two mergers merge, and in every snapshot each live view equals its oracle.
 * {@code -Dcountersink.seed=N} repeats the writers' choices (their interleaving stays the scheduler's);
 * {@code -Dcountersink.random.seconds=N} runs longer.
 */
class RandomWritersTest {
    private static final List<String> VIEWS = List.of(
            "fact",
            "job_fact",
            "capture_counts",
            "event_counts",
            "deployment_counts",
            "project_counts",
            "taxon_counts",
            "job_progress");
    private static final List<String> PROJECTIONS = List.of("results.fact", "results.job_fact");
    private static final int WRITERS = 5;
    private static final int MERGERS = 2;

    private final long seed = Long.getLong("countersink.seed", System.nanoTime() & 0xffffff);
    private final AtomicBoolean failed = new AtomicBoolean();
    private final AtomicInteger commits = new AtomicInteger();
    private final AtomicInteger rollbacks = new AtomicInteger();
    private final AtomicInteger checks = new AtomicInteger();
    private final AtomicInteger merges = new AtomicInteger();
    private final Semaphore toMerge = new Semaphore(0);
    private final DbSettings db = TestPostgres.migrated();
    /** Counted from here, because migrating may take longer than that. */
    private final long endNs =
            System.nanoTime() + TimeUnit.SECONDS.toNanos(Long.getLong("countersink.random.seconds", 12));

    @Test
    @Timeout(value = 1, unit = TimeUnit.HOURS)
    void inEverySnapshotOfRandomWritersEachLiveViewEqualsItsOracle() throws Exception {
        System.out.printf("countersink.seed=%d%n", seed);
        try (Sql sql = new Sql(db)) {
            sql.run(SEED_ROWS);
            List<Callable<Void>> roles = new ArrayList<>();
            for (int i = 0; i < WRITERS; i++) {
                Random random = new Random(seed * 31 + i);
                roles.add(() -> repeat(connection -> () -> write(connection, random)));
            }
            for (int i = 0; i < MERGERS; i++) {
                Random random = new Random(seed * 31 - 1 - i);
                roles.add(() -> repeat(connection -> () -> merge(connection, random)));
            }
            roles.add(() -> repeat(this::checking));
            runAll(roles);

            for (String projection : PROJECTIONS) {
                sql.run("SELECT tally.refresh('%s')".formatted(projection));
                assertThat(sql.number("SELECT count(*) FROM tally.verify('%s')".formatted(projection)))
                        .isZero();
                assertThat(sql.number("SELECT count(*) FROM %s_delta".formatted(projection)))
                        .isZero();
            }
            for (String view : VIEWS) {
                assertThat(sql.text(Differences.sql("results." + view, "results." + view + "_def")))
                        .as("%s against its oracle, seed %d", view, seed)
                        .isEmpty();
            }
            assertThat(sql.number("SELECT count(*) FROM tally.quarantine")).isZero();
            sql.run("UPDATE results.project_counts SET captures = captures + 1 WHERE project_id = 1");
            assertThat(sql.text(Differences.sql("results.project_counts", "results.project_counts_def")))
                    .as("a difference would have been seen")
                    .contains("too much", "missing");
        }
        System.out.printf(
                "%d commits, %d rollbacks, %d merges, %d snapshots compared%n",
                commits.get(), rollbacks.get(), merges.get(), checks.get());
        assertThat(checks.get()).isPositive();
    }

    private void runAll(List<Callable<Void>> roles) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(roles.size());
        try {
            List<Future<Void>> all = new ArrayList<>();
            roles.forEach(role -> all.add(threads.submit(role)));
            for (Future<Void> one : all) {
                one.get();
            }
        } finally {
            threads.shutdownNow();
            threads.awaitTermination(1, TimeUnit.MINUTES);
        }
    }

    private Void repeat(Role role) throws Exception {
        try (Connection connection = Database.connect(db);
                Statement statement = connection.createStatement()) {
            statement.execute("SET statement_timeout = '60s'; SET deadlock_timeout = '50ms'; SET jit = off");
            connection.setAutoCommit(false);
            Step step = role.on(connection);
            while (System.nanoTime() < endNs && !failed.get()) {
                step.run();
            }
            return null;
        } catch (Exception | AssertionError e) {
            failed.set(true);
            throw e;
        }
    }

    private void write(Connection connection, Random random) throws SQLException {
        RandomWrites writes = new RandomWrites(random);
        int dice = random.nextInt(10);
        connection.setTransactionIsolation(
                dice < 7
                        ? Connection.TRANSACTION_READ_COMMITTED
                        : dice < 9 ? Connection.TRANSACTION_REPEATABLE_READ : Connection.TRANSACTION_SERIALIZABLE);
        String sql = "";
        try (Statement statement = connection.createStatement()) {
            for (int n = 1 + random.nextInt(random.nextInt(10) == 0 ? 30 : 6); n > 0; n--) {
                boolean undone = random.nextInt(8) == 0;
                if (undone) {
                    statement.execute("SAVEPOINT s");
                }
                sql = writes.next();
                statement.execute(sql);
                if (undone) {
                    statement.execute("ROLLBACK TO SAVEPOINT s");
                }
            }
            if (random.nextInt(7) == 0) {
                connection.rollback();
                rollbacks.incrementAndGet();
            } else {
                connection.commit();
                commits.incrementAndGet();
                toMerge.release();
            }
        } catch (SQLException e) {
            if (!isOfARace(e)) {
                throw new SQLException(sql, e);
            }
            connection.rollback();
            rollbacks.incrementAndGet();
        }
    }

    /** Deadlocks, serialization failures, violated constraints, and cycles of taxa. */
    private static boolean isOfARace(SQLException e) {
        String state = e.getSQLState();
        return state.startsWith("40") || state.startsWith("23") || state.equals("RS020");
    }

    private void merge(Connection connection, Random random) throws SQLException, InterruptedException {
        if (!toMerge.tryAcquire(100, TimeUnit.MILLISECONDS)) {
            return;
        }
        String projection = PROJECTIONS.get(random.nextInt(PROJECTIONS.size()));
        int maxKeys = random.nextBoolean() ? 50_000 : 1 + random.nextInt(40);
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery(
                        "SELECT outcome, error FROM tally.merge('%s', %d)".formatted(projection, maxKeys))) {
            row.next();
            assertThat(row.getString("outcome"))
                    .as("merge of %s: %s", projection, row.getString("error"))
                    .isIn("merged", "nothing", "busy");
            if (random.nextInt(20) == 0) {
                connection.rollback();
            } else {
                connection.commit();
                merges.incrementAndGet();
            }
        } catch (SQLException e) {
            connection.rollback();
            if (!"40P01".equals(e.getSQLState())) { // with a writer that truncates two tables
                throw e;
            }
        }
    }

    /** The statement is prepared once, because planning would take most of the time. */
    private Step checking(Connection connection) throws SQLException {
        connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
        Map<String, PreparedStatement> comparisons = new LinkedHashMap<>();
        for (String view : VIEWS) {
            String sql = Differences.sql("results." + view + "_live", "results." + view + "_def");
            comparisons.put(view, connection.prepareStatement(sql));
        }
        return () -> check(connection, comparisons);
    }

    private void check(Connection connection, Map<String, PreparedStatement> comparisons) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            // TRUNCATE is not MVCC-safe, so none may run between the snapshot and the read.
            statement.execute("LOCK TABLE results.classification, results.job_capture, results.identification,"
                    + " results.project_included_taxon, results.project_excluded_taxon IN ACCESS SHARE MODE");
            for (Map.Entry<String, PreparedStatement> comparison : comparisons.entrySet()) {
                try (ResultSet row = comparison.getValue().executeQuery()) {
                    row.next();
                    assertThat(row.getString(1))
                            .as("%s_live against its oracle, seed %d", comparison.getKey(), seed)
                            .isEmpty();
                }
            }
            connection.commit();
            checks.incrementAndGet();
        } catch (SQLException e) {
            connection.rollback();
            if (!"40P01".equals(e.getSQLState())) {
                throw e;
            }
        }
    }

    private interface Role {
        Step on(Connection connection) throws SQLException;
    }

    private interface Step {
        void run() throws SQLException, InterruptedException;
    }

    static final String SEED_ROWS = """
            INSERT INTO results.project (name) VALUES ('one'), ('two');
            INSERT INTO results.taxon (name) SELECT 'taxon ' || n FROM generate_series(1, 20) n;
            UPDATE results.taxon SET parent_id = id / 2 WHERE id > 1;
            INSERT INTO results.deployment (project_id) VALUES (1), (1), (2);
            INSERT INTO results.event (project_id, deployment_id, group_by)
                SELECT d.project_id, d.id, n::text FROM results.deployment d, generate_series(1, 2) n;
            INSERT INTO results.capture (project_id, deployment_id, event_id, path, captured_at, byte_size)
                SELECT e.project_id, e.deployment_id, e.id, e.id || '/' || n, timestamptz '2026-06-01 00:00Z' + interval '1 minute' * n, n
                FROM results.event e, generate_series(1, 12) n;
            INSERT INTO results.algorithm (key) VALUES ('finds'), ('names'), ('filters');
            INSERT INTO results.pipeline (slug) VALUES ('first'), ('second');
            INSERT INTO results.pipeline_algorithm VALUES (1, 1), (1, 2), (2, 1), (2, 3);
            INSERT INTO results.job (project_id, pipeline_id, total_captures) VALUES (1, 1, 24), (1, 2, 24), (2, 1, 12), (2, NULL, 1);
            """;
}
