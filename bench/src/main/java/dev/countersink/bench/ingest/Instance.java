package dev.countersink.bench.ingest;

import com.zaxxer.hikari.HikariDataSource;
import dev.countersink.bench.BenchDatabase;
import dev.countersink.config.IngestSettings;
import dev.countersink.config.MessageSettings;
import dev.countersink.config.NatsSettings;
import dev.countersink.db.Database;
import dev.countersink.db.TallyDb;
import dev.countersink.ingest.IngestMetrics;
import dev.countersink.ingest.IngestSnapshot;
import dev.countersink.ingest.Ingestor;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.ingest.nats.NatsLink;
import io.nats.client.Connection;
import java.sql.SQLException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;

/** The ingestion as the service runs it, with a merge of both projections every second. */
final class Instance implements AutoCloseable {
    private static final long POLL_NANOS = TimeUnit.MILLISECONDS.toNanos(5);

    private final IngestMetrics metrics = IngestMetrics.unregistered();
    private final AtomicReference<Throwable> fatal = new AtomicReference<>();
    private final Connection connection;
    private final HikariDataSource pool;
    private final java.sql.Connection watching;
    private final Ingestor ingestor;
    private final Merger merger;
    private long started;

    Instance(BenchDatabase database, NatsSettings nats, int writers) {
        this.connection = NatsLink.connect(nats);
        this.pool = Database.pool(database.settings());
        this.watching = database.connect();
        this.ingestor = new Ingestor(
                connection,
                NatsLink.jetStream(nats),
                Database.unpooled(database.settings()),
                IngestSettings.defaults().withWriters(writers),
                new MessageDecoder(MessageSettings.defaults()),
                metrics,
                fatal::set);
        this.merger = new Merger(new TallyDb(pool));
    }

    Instance start() {
        started = System.nanoTime();
        merger.start();
        ingestor.start();
        return this;
    }

    /** Since the start. */
    double seconds() {
        return (System.nanoTime() - started) / 1e9;
    }

    IngestSnapshot snapshot() {
        return metrics.snapshot();
    }

    /** A number that a query of the instance's database gives. */
    long number(String query) throws SQLException {
        return BenchDatabase.call(watching, query);
    }

    /** Waits until the captures of so many messages are committed, each with one of its own. */
    void awaitCommitted(long messages) throws SQLException {
        while (metrics.messages() < messages) {
            pause();
        }
        // a message that came twice was counted twice
        awaitNumber("(SELECT count(*) FROM results.job_capture)", messages);
    }

    /** Waits until the query gives at least so much. */
    void awaitNumber(String query, long least) throws SQLException {
        while (number(query) < least) {
            pause();
        }
    }

    void awaitMerged() throws SQLException {
        while (number("bench.pending()") > 0) {
            pause();
        }
    }

    private void pause() {
        if (fatal.get() != null) {
            throw new IllegalStateException(fatal.get());
        }
        merger.check();
        LockSupport.parkNanos(POLL_NANOS);
    }

    @Override
    public void close() throws SQLException {
        ingestor.close();
        merger.close();
        watching.close();
        pool.close();
        Lab.close(connection);
    }
}
