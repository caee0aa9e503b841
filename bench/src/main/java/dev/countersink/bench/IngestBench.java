package dev.countersink.bench;

import com.zaxxer.hikari.HikariDataSource;
import dev.countersink.config.IngestSettings;
import dev.countersink.config.MessageSettings;
import dev.countersink.db.Database;
import dev.countersink.db.TallyDb;
import dev.countersink.demo.Workload;
import dev.countersink.embedded.Servers;
import dev.countersink.ingest.IngestMetrics;
import dev.countersink.ingest.Ingestor;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.ingest.nats.NatsLink;
import dev.countersink.ingest.nats.ResultsStream;
import io.nats.client.Connection;
import io.nats.client.JetStreamApiException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * A backlog of messages, to the last commit and everything merged, against one COPY of the very same rows into the
 * same tables without triggers; then a steady rate.
 */
final class IngestBench {
    private static final long MERGE_EVERY_NANOS = TimeUnit.SECONDS.toNanos(1);
    private static final long POLL_NANOS = TimeUnit.MILLISECONDS.toNanos(10);

    private final Servers servers;
    private final Path dir;
    private final int backlog;
    private final int rate;
    private final int seconds;

    IngestBench(Servers servers, Path dir, int backlog, int rate, int seconds) {
        this.servers = servers;
        this.dir = dir;
        this.backlog = backlog;
        this.rate = rate;
        this.seconds = seconds;
    }

    void run() throws Exception {
        BenchDatabase kept = BenchDatabase.seeded(servers.db(), backlog + rate * seconds);
        BenchDatabase plain = kept.plainTwin();
        Connection publisher = NatsLink.connect(servers.nats());
        Connection consumer = NatsLink.connect(servers.nats());
        try (HikariDataSource pool = Database.pool(kept.settings())) {
            ResultsStream stream = new ResultsStream(publisher, NatsLink.jetStream(servers.nats()));
            stream.ensure();
            Workload workload = new Workload(1);
            publish(publisher, workload, 1, backlog);
            IngestMetrics metrics = IngestMetrics.unregistered();
            try (Ingestor ingestor = new Ingestor(
                            consumer,
                            NatsLink.jetStream(servers.nats()),
                            Database.unpooled(kept.settings()),
                            IngestSettings.defaults(),
                            new MessageDecoder(MessageSettings.defaults()),
                            metrics,
                            error -> {
                                throw new IllegalStateException(error);
                            });
                    Merger merger = new Merger(new TallyDb(pool))) {
                merger.start();
                double ingest = drain(ingestor, publisher, kept, metrics);
                double copy = copy(kept, plain);
                System.out.printf(
                        Locale.ROOT,
                        "COPY of the same rows: %.2f s; ratio COPY / (ingest and merge): %.2f%n",
                        copy,
                        copy / ingest);
                steady(publisher, workload, kept, metrics);
            }
        } finally {
            publisher.close();
            consumer.close();
        }
    }

    private static void publish(Connection nats, Workload workload, int first, int count)
            throws IOException, JetStreamApiException {
        for (int i = first; i < first + count; i++) {
            nats.publish("results.1", workload.message(i).getBytes(StandardCharsets.UTF_8));
        }
        nats.jetStream().publish("results.none", new byte[0]); // answered: all before it are stored
    }

    private double drain(Ingestor ingestor, Connection nats, BenchDatabase database, IngestMetrics metrics)
            throws SQLException, IOException, JetStreamApiException {
        try (java.sql.Connection connection = database.connect()) {
            long start = System.nanoTime();
            ingestor.start();
            while (metrics.snapshot().messages() < backlog + 1) {
                LockSupport.parkNanos(POLL_NANOS);
            }
            double committed = (System.nanoTime() - start) / 1e9;
            while (BenchDatabase.call(connection, "bench.pending()") > 0) {
                LockSupport.parkNanos(POLL_NANOS);
            }
            double merged = (System.nanoTime() - start) / 1e9;
            long processed = BenchDatabase.call(connection, "bench.processed()");
            if (processed != backlog) {
                throw new IllegalStateException(
                        String.format(Locale.ROOT, "%d captures are processed, not %d", processed, backlog));
            }
            System.out.printf(
                    Locale.ROOT,
                    "%,d messages: last commit after %.2f s (%,.0f messages/s), all merged after %.2f s%n",
                    backlog,
                    committed,
                    backlog / committed,
                    merged);
            return merged;
        }
    }

    private double copy(BenchDatabase from, BenchDatabase to) throws SQLException, IOException {
        double seconds = 0;
        for (String table : BenchDatabase.WRITTEN) {
            Path file = dir.resolve(table + ".copy");
            from.copyOut(table, file);
            long start = System.nanoTime();
            long rows = to.copyIn(table, file);
            double took = (System.nanoTime() - start) / 1e9;
            System.out.printf(Locale.ROOT, "  COPY %s: %,d rows in %.2f s%n", table, rows, took);
            seconds += took;
            Files.delete(file);
        }
        return seconds;
    }

    /** Publishes at a steady rate; the stored count tells when each message could be read in it. */
    private void steady(Connection nats, Workload workload, BenchDatabase database, IngestMetrics before)
            throws SQLException {
        int count = rate * seconds;
        long[] published = new long[count];
        double[] countMillis = new double[count];
        String[] messages = new String[count];
        for (int i = 0; i < count; i++) {
            messages[i] = workload.message(backlog + 1 + i);
        }
        Thread publisher = new Thread(() -> {
            long start = System.nanoTime();
            for (int i = 0; i < count; i++) {
                long due = start + i * (TimeUnit.SECONDS.toNanos(1) / rate);
                while (System.nanoTime() < due) {
                    LockSupport.parkNanos(due - System.nanoTime());
                }
                published[i] = System.nanoTime();
                nats.publish("results.1", messages[i].getBytes(StandardCharsets.UTF_8));
            }
        });
        publisher.start();
        try (java.sql.Connection connection = database.connect()) {
            int seen = 0;
            while (seen < count) {
                int processed = (int) BenchDatabase.call(connection, "bench.processed()") - backlog;
                long now = System.nanoTime();
                while (seen < processed) {
                    countMillis[seen] = (now - published[seen]) / 1e6;
                    seen++;
                }
                LockSupport.parkNanos(POLL_NANOS);
            }
        }
        Arrays.sort(countMillis);
        System.out.printf(
                Locale.ROOT,
                "%d messages/s for %d s: publish to commit p50 %.0f ms, p99 %.0f ms; publish to stored count p50 %.0f ms, p99 %.0f ms%n",
                rate,
                seconds,
                before.snapshot().p50Millis(),
                before.snapshot().p99Millis(),
                countMillis[count / 2],
                countMillis[(int) (count * 0.99)]);
    }

    /** Merges both projections every second, again at once while there is more, as the scheduler does. */
    private static final class Merger implements AutoCloseable {
        private final Thread thread;
        private volatile boolean stopped;

        Merger(TallyDb tally) {
            thread = new Thread(() -> {
                while (!stopped) {
                    long start = System.nanoTime();
                    for (String name : new String[] {"results.fact", "results.job_fact"}) {
                        while (tally.merge(name).more()) {
                            // the rest at once
                        }
                    }
                    LockSupport.parkNanos(MERGE_EVERY_NANOS - (System.nanoTime() - start));
                }
            });
        }

        void start() {
            thread.start();
        }

        @Override
        public void close() {
            stopped = true;
            LockSupport.unpark(thread);
            try {
                thread.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
