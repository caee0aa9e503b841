package dev.countersink.bench.engine;

import dev.countersink.bench.BenchDatabase;
import dev.countersink.bench.ServiceProcess;
import dev.countersink.config.NatsSettings;
import dev.countersink.demo.Workload;
import dev.countersink.embedded.EmbeddedNats;
import dev.countersink.ingest.nats.NatsLink;
import io.nats.client.Connection;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.springframework.util.FileSystemUtils;

/** Whether the service keeps a target lag while it takes in messages. */
final class TargetLag implements Scenario {
    private static final int TARGET_MS = 250;
    private static final int RATE = 300;
    private static final int SECONDS = 60;
    private static final int WARM_UP_SECONDS = 75;
    private static final long POLL_NANOS = TimeUnit.MILLISECONDS.toNanos(10);
    private static final List<String> VIEWS = List.of("results.fact", "results.job_fact");

    /** When each message was seen, in ms after its publication. */
    private record Seen(double[] committed, double[] counted) {}

    @Override
    public String name() {
        return "target-lag";
    }

    @Override
    public String does() {
        return "The service as a process of its own, with nats-server, the database and the bench on the same machine, takes in 300 messages a second for 60 s, after 75 s to warm up, in which autovacuum gathers its first statistics of tables that were empty. "
                + "Both of its projections have a target lag of 250 ms. Measured by the engine: the lag at the end of each merge, as tally.status shows it. "
                + "Measured from outside, by polling every 10 ms: from the moment at which another session sees a message's capture processed to the moment at which the stored count shows it. "
                + "The ratio is the p99 divided by the target.";
    }

    @Override
    public int minutes() {
        return 3;
    }

    @Override
    public Outcome run(Lab lab) throws Exception {
        int warm = RATE * lab.scaled(WARM_UP_SECONDS, 3);
        int count = warm + RATE * lab.scaled(SECONDS, 2);
        Path dir = Files.createTempDirectory("countersink-lag");
        BenchDatabase database = BenchDatabase.beside(lab.db(), "lag", count);
        try (EmbeddedNats nats = EmbeddedNats.start(dir);
                Session session = new Session(database.settings())) {
            for (String view : VIEWS) {
                session.run(String.format(
                        Locale.ROOT, "SELECT tally.schedule('%s', '{\"target_lag_ms\":%d}')", view, TARGET_MS));
            }
            try (ServiceProcess service = ServiceProcess.start(dir, database.settings(), nats.settings())) {
                service.awaitIngesting();
                Seen seen = watch(session, service, nats.settings(), warm, count);
                while (session.number("SELECT bench.pending()") > 0) {
                    service.requireAlive();
                    LockSupport.parkNanos(POLL_NANOS);
                }
                List<Figure> figures = new ArrayList<>();
                for (String view : VIEWS) {
                    figures.add(shown(session, view));
                }
                figures.add(outside(seen, warm));
                figures.add(Figure.only(
                        "from the publication to the stored count", percentiles(since(seen.counted, warm))));
                service.stop();
                Shop.requireVerified(session, "results.%");
                return new Outcome(figures, List.of());
            }
        } finally {
            database.drop();
            FileSystemUtils.deleteRecursively(dir);
        }
    }

    private static Seen watch(Session session, ServiceProcess service, NatsSettings nats, int warm, int count)
            throws Exception {
        long[] published = new long[count];
        Seen seen = new Seen(new double[count], new double[count]);
        Connection connection = NatsLink.connect(nats);
        Thread publisher = publisher(connection, published);
        try {
            publisher.start();
            boolean reset = false;
            int commits = 0;
            int counts = 0;
            long complete = 0;
            while (counts < count) {
                service.requireAlive();
                String[] committed = session.text(String.format(
                                Locale.ROOT,
                                "SELECT concat_ws(' ', captures, complete) FROM bench.committed(%d)",
                                complete))
                        .split(" ");
                complete = Long.parseLong(committed[1]);
                commits = note(published, seen.committed, commits, Long.parseLong(committed[0]));
                counts = note(published, seen.counted, counts, session.number("SELECT bench.processed()"));
                // Merges are still to come, so there will be a lag.
                if (!reset && counts >= warm && count - counts >= RATE) {
                    session.run("DELETE FROM tally.lag_minute");
                    reset = true;
                }
                LockSupport.parkNanos(POLL_NANOS);
            }
        } finally {
            publisher.interrupt();
            publisher.join();
            connection.close();
        }
        return seen;
    }

    private static Thread publisher(Connection connection, long[] published) {
        Workload workload = new Workload(1);
        byte[][] messages = new byte[published.length][];
        for (int i = 0; i < messages.length; i++) {
            messages[i] = workload.message(1 + i).getBytes(StandardCharsets.UTF_8);
        }
        return new Thread(() -> {
            long start = System.nanoTime();
            for (int i = 0; i < messages.length && !Thread.currentThread().isInterrupted(); i++) {
                long due = start + i * (TimeUnit.SECONDS.toNanos(1) / RATE);
                while (System.nanoTime() < due && !Thread.currentThread().isInterrupted()) {
                    LockSupport.parkNanos(due - System.nanoTime());
                }
                published[i] = System.nanoTime();
                connection.publish("results.1", messages[i]);
            }
        });
    }

    /** The messages up to now are there: those that were not before have taken so long. */
    private static int note(long[] published, double[] millis, int seen, long now) {
        long time = System.nanoTime();
        for (int i = seen; i < now; i++) {
            millis[i] = (time - published[i]) / 1e6;
        }
        return (int) Math.max(seen, now);
    }

    /** What tally.status shows. */
    private static Figure shown(Session session, String view) throws SQLException {
        String[] lag = session.text(String.format(
                        Locale.ROOT,
                        "SELECT concat_ws(' ', lag_p50 * 1000, lag_p99 * 1000, (SELECT d.interval_ms FROM tally.due() d WHERE d.name = s.name)) FROM tally.status s WHERE name = '%s'",
                        view))
                .split(" ");
        double p99 = Double.parseDouble(lag[1]);
        return new Figure(
                "lag of " + view + ", by tally.status / target",
                String.format(
                        Locale.ROOT,
                        "p50 %.0f ms, p99 %.0f ms, merged every %s ms",
                        Double.parseDouble(lag[0]),
                        p99,
                        lag[2]),
                p99 / TARGET_MS,
                Aim.atMost(1.0));
    }

    private static Figure outside(Seen seen, int warm) {
        double[] lag = new double[seen.counted.length - warm];
        for (int i = 0; i < lag.length; i++) {
            lag[i] = Math.max(0, seen.counted[warm + i] - seen.committed[warm + i]);
        }
        Arrays.sort(lag);
        return new Figure(
                "from the commit to the stored count, from outside / target",
                percentiles(lag),
                lag[(int) (lag.length * 0.99)] / TARGET_MS,
                Aim.atMost(1.0));
    }

    private static double[] since(double[] millis, int warm) {
        double[] part = Arrays.copyOfRange(millis, warm, millis.length);
        Arrays.sort(part);
        return part;
    }

    private static String percentiles(double[] sorted) {
        return String.format(
                Locale.ROOT,
                "p50 %.0f ms, p99 %.0f ms, most %.0f ms",
                sorted[sorted.length / 2],
                sorted[(int) (sorted.length * 0.99)],
                sorted[sorted.length - 1]);
    }
}
