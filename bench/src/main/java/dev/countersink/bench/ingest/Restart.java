package dev.countersink.bench.ingest;

import dev.countersink.bench.BenchDatabase;
import dev.countersink.bench.ServiceProcess;
import dev.countersink.bench.engine.Aim;
import dev.countersink.bench.engine.Figure;
import dev.countersink.demo.Workload;
import java.sql.SQLException;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** The service killed in the middle of a backlog, and started again at once. */
final class Restart implements Scenario {
    private static final int MESSAGES = 10_000;
    private static final Aim AIM = Aim.atMost(3);
    private static final long POLL_NANOS = TimeUnit.MILLISECONDS.toNanos(2);
    private static final String COMMITTED = "(SELECT count(*) FROM results.job_capture)";

    @Override
    public String name() {
        return "restart";
    }

    @Override
    public String does() {
        return "The service as a process of its own in the middle of a backlog of 10,000 messages: kill -9, started again at once, and until everything is committed; "
                + "the messages that it held come again after 3 s. The ratio is the seconds from the line that says it is ingesting to the first commit.";
    }

    @Override
    public int captures(Lab lab) {
        return lab.scaled(MESSAGES, 500);
    }

    @Override
    public List<Figure> run(Lab lab) throws Exception {
        int messages = captures(lab);
        BenchDatabase database = lab.database();
        lab.publish(1, new Workload(1), 1, messages);
        lab.awaitStored();
        try (java.sql.Connection watching = database.connect()) {
            ServiceProcess first = ServiceProcess.start(lab.dir(), database.settings(), lab.nats());
            awaitMore(watching, first, 0);
            first.kill();
            long killed = System.nanoTime();
            // What it sent last may still be committed.
            while (BenchDatabase.call(
                            watching,
                            "(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                                    + " AND pid <> pg_backend_pid() AND backend_type = 'client backend')")
                    > 0) {
                LockSupport.parkNanos(POLL_NANOS);
            }
            long before = BenchDatabase.call(watching, COMMITTED);
            ServiceProcess second = ServiceProcess.start(lab.dir(), database.settings(), lab.nats());
            long ingesting = second.awaitIngesting();
            awaitMore(watching, second, before);
            long commit = System.nanoTime();
            awaitMore(watching, second, messages - 1L);
            long end = System.nanoTime();
            int status = second.stop();
            double firstCommit = Math.max(0, (commit - ingesting) / 1e9);
            return List.of(
                    Figure.only("committed at the kill", before + " of " + messages),
                    Figure.only("from the kill to the first commit, its start included", seconds(commit - killed)),
                    new Figure(
                            "from its start's end to the first commit", seconds(commit - ingesting), firstCommit, AIM),
                    Figure.only("from the kill to the last commit", seconds(end - killed)),
                    Figure.only("exit status after SIGTERM", Integer.toString(status)));
        } finally {
            lab.purge();
            database.drop();
        }
    }

    private static String seconds(long nanos) {
        return String.format(Locale.ROOT, "%.2f s", nanos / 1e9);
    }

    private static void awaitMore(java.sql.Connection watching, ServiceProcess service, long than) throws SQLException {
        while (BenchDatabase.call(watching, COMMITTED) <= than) {
            service.requireAlive();
            LockSupport.parkNanos(POLL_NANOS);
        }
    }
}
