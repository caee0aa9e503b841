package dev.countersink.bench.ingest;

import dev.countersink.bench.BenchDatabase;
import dev.countersink.bench.engine.Aim;
import dev.countersink.bench.engine.Figure;
import dev.countersink.config.DbSettings;
import dev.countersink.demo.Workload;
import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
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
            Process first = start(lab, database.settings());
            awaitMore(watching, first, 0);
            first.destroyForcibly().waitFor();
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
            Process second = start(lab, database.settings());
            long ingesting = awaitIngesting(lab, second);
            awaitMore(watching, second, before);
            long commit = System.nanoTime();
            awaitMore(watching, second, messages - 1L);
            long end = System.nanoTime();
            second.destroy();
            int status = second.waitFor();
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

    private static void awaitMore(java.sql.Connection watching, Process service, long than) throws SQLException {
        while (BenchDatabase.call(watching, COMMITTED) <= than) {
            if (!service.isAlive()) {
                throw new IllegalStateException("The service has ended with status " + service.exitValue());
            }
            LockSupport.parkNanos(POLL_NANOS);
        }
    }

    private static long awaitIngesting(Lab lab, Process service) throws IOException {
        while (!java.nio.file.Files.readString(log(lab)).contains("Ingesting from")) {
            if (!service.isAlive()) {
                throw new IllegalStateException("The service has ended with status " + service.exitValue());
            }
            LockSupport.parkNanos(POLL_NANOS);
        }
        return System.nanoTime();
    }

    private static Path log(Lab lab) {
        return lab.dir().resolve("service.log");
    }

    private static Process start(Lab lab, DbSettings db) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx512m",
                // Its log says when it ingests, also where the class path has a quieter one.
                "-Dlogging.config=classpath:logback.xml"));
        String classes = System.getProperty("java.class.path");
        if (classes.contains(File.pathSeparator)) {
            command.addAll(List.of("-cp", classes, "dev.countersink.cli.Main"));
        } else {
            command.addAll(List.of("-jar", Path.of(classes).toAbsolutePath().toString()));
        }
        command.add("run");
        ProcessBuilder builder =
                new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log(lab).toFile());
        // A class path of tests has an empty entry, which means the current folder: the changelog must not be there
        // too.
        builder.directory(lab.dir().toFile());
        builder.environment()
                .putAll(Map.of(
                        "COUNTERSINK_HTTP_PORT", "0",
                        "COUNTERSINK_DB_URL", db.url(),
                        "COUNTERSINK_NATS_URL", lab.nats().url()));
        put(builder, "COUNTERSINK_DB_USER", db.user());
        put(builder, "COUNTERSINK_DB_PASSWORD", db.password());
        put(builder, "COUNTERSINK_NATS_TOKEN", lab.nats().token());
        return builder.start();
    }

    private static void put(ProcessBuilder builder, String name, String value) {
        if (value != null) {
            builder.environment().put(name, value);
        }
    }
}
