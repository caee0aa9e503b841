package dev.countersink.bench.ingest;

import dev.countersink.bench.BenchDatabase;
import dev.countersink.config.DbSettings;
import dev.countersink.config.NatsSettings;
import dev.countersink.demo.Workload;
import dev.countersink.ingest.nats.NatsLink;
import dev.countersink.ingest.nats.ResultsStream;
import io.nats.client.Connection;
import io.nats.client.JetStreamApiException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Locale;

/** Where scenarios run: a stream, a seeded database of which each run gets a copy, and how much of the full size. */
final class Lab implements AutoCloseable {
    private final NatsSettings nats;
    private final double scale;
    private final Path dir;
    private final PrintStream out;
    private final Connection publisher;
    private BenchDatabase seeded;
    private int copies;

    Lab(NatsSettings nats, double scale, Path dir, PrintStream out) {
        this.nats = nats;
        this.scale = scale;
        this.dir = dir;
        this.out = out;
        this.publisher = NatsLink.connect(nats);
        new ResultsStream(publisher, NatsLink.jetStream(nats)).ensure();
    }

    void seed(DbSettings db, int captures) throws SQLException {
        seeded = BenchDatabase.seeded(db, captures);
    }

    /** So many at full scale, but never fewer than the least that says anything. */
    int scaled(int full, int least) {
        return (int) Math.max(least, Math.round(full * scale));
    }

    /** Tells how far a scenario is. */
    void say(String format, Object... arguments) {
        out.printf(Locale.ROOT, "  " + format + "%n", arguments);
    }

    Path dir() {
        return dir;
    }

    NatsSettings nats() {
        return nats;
    }

    /** A database as it was seeded, which is the stream's from now on. */
    BenchDatabase database() throws SQLException {
        try {
            new ResultsStream(publisher, NatsLink.jetStream(nats)).disown();
        } catch (IOException | JetStreamApiException e) {
            throw new IllegalStateException(e);
        }
        return seeded.copy("run" + ++copies);
    }

    String text(String query) throws SQLException {
        try (java.sql.Connection connection = seeded.connect();
                Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(query)) {
            rows.next();
            return rows.getString(1);
        }
    }

    /** An instance of the ingestion, with merges every second. */
    Instance instance(BenchDatabase database, int writers) {
        return new Instance(database, nats, writers);
    }

    void publish(int job, String message) {
        publisher.publish("results." + job, message.getBytes(StandardCharsets.UTF_8));
    }

    /** Messages of realistic shape for captures from the first on, to one job. */
    void publish(int job, Workload workload, int first, int count) {
        for (int i = first; i < first + count; i++) {
            publish(job, workload.message(i));
        }
    }

    /** Waits until the server has stored what was published. */
    void awaitStored() throws IOException, JetStreamApiException {
        publisher.jetStream().publish("results.none", new byte[0]); // answered: all before it are stored
    }

    /** Empties the stream. */
    void purge() throws IOException, JetStreamApiException {
        publisher.jetStreamManagement().purgeStream(ResultsStream.NAME);
    }

    @Override
    public void close() {
        close(publisher);
    }

    static void close(Connection connection) {
        try {
            connection.close();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
