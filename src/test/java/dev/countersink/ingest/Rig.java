package dev.countersink.ingest;

import dev.countersink.config.DbSettings;
import dev.countersink.config.IngestSettings;
import dev.countersink.config.MessageSettings;
import dev.countersink.db.Database;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.ingest.nats.NatsLink;
import dev.countersink.ingest.nats.ResultsStream;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.TestNats;
import dev.countersink.testing.TestPostgres;
import io.nats.client.Connection;
import io.nats.client.JetStreamApiException;
import io.nats.client.JetStreamManagement;
import io.nats.client.impl.Headers;
import io.nats.client.impl.NatsMessage;
import java.io.IOException;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import javax.sql.DataSource;
import org.springframework.util.unit.DataSize;

/** A NATS server and a database for one test, with the real ingestion between them. */
public final class Rig implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofMinutes(2);
    private static final IngestSettings DEFAULTS = IngestSettings.defaults()
            .withBatch(200, DataSize.ofMegabytes(4), Duration.ofMillis(10))
            .withReplySubjects("_INBOX.>", "$JS.ACK.>", "workers.*");

    private final DbSettings database;
    private final TestNats nats = new TestNats();
    private final Connection publisher = NatsLink.connect(nats.settings());
    private final List<Throwable> fatal = new CopyOnWriteArrayList<>();
    private final Deque<Runnable> opened = new ArrayDeque<>();
    private java.sql.Connection kept;

    public Rig() {
        this(TestPostgres.migrated());
    }

    /** With so many captures, and what else {@link #seed} makes. */
    static Rig seeded(int captures) {
        Rig rig = new Rig();
        rig.seed(captures);
        return rig;
    }

    /** Uses a migrated database that the test provides. */
    public Rig(DbSettings database) {
        this.database = database;
        new ResultsStream(publisher, NatsLink.jetStream(nats.settings())).ensure();
    }

    /** From now on all statements use one session, whose plans and caches stay warm. */
    public void keepSession() throws SQLException {
        kept = Database.connect(database);
    }

    public DbSettings database() {
        return database;
    }

    /** The errors that would have ended the program. */
    public List<Throwable> fatal() {
        return fatal;
    }

    public TestNats nats() {
        return nats;
    }

    public Connection connection() {
        return publisher;
    }

    public JetStreamManagement management() throws IOException {
        return publisher.jetStreamManagement();
    }

    /** Starts an instance with its own connection. */
    public Ingestor ingest() {
        return ingest(DEFAULTS);
    }

    public Ingestor ingest(IngestSettings settings) {
        return ingest(settings, new MessageDecoder(MessageSettings.defaults()));
    }

    public Ingestor ingest(MessageDecoder decoder) {
        return ingest(DEFAULTS, decoder);
    }

    /** Starts one with another data source. */
    public Ingestor ingestFrom(DataSource source) {
        return ingest(DEFAULTS, new MessageDecoder(MessageSettings.defaults()), source);
    }

    private Ingestor ingest(IngestSettings settings, MessageDecoder decoder) {
        return ingest(settings, decoder, dataSource());
    }

    private Ingestor ingest(IngestSettings settings, MessageDecoder decoder, DataSource source) {
        Connection connection = NatsLink.connect(nats.settings());
        Ingestor ingestor = new Ingestor(
                connection,
                NatsLink.jetStream(nats.settings()),
                source,
                settings,
                decoder,
                IngestMetrics.unregistered(),
                fatal::add);
        opened.push(() -> {
            ingestor.close();
            close(connection);
        });
        ingestor.start();
        return ingestor;
    }

    public DataSource dataSource() {
        return Database.unpooled(database);
    }

    public void publish(String subject, String json) throws IOException, JetStreamApiException {
        publish(subject, Messages.bytes(json), null);
    }

    public void publish(String subject, byte[] payload, String contentEncoding)
            throws IOException, JetStreamApiException {
        Headers headers = new Headers();
        if (contentEncoding != null) {
            headers.add("Content-Encoding", contentEncoding);
        }
        publisher
                .jetStream()
                .publish(NatsMessage.builder()
                        .subject(subject)
                        .headers(headers)
                        .data(payload)
                        .build());
    }

    /** Publishes, and returns whether that was possible. */
    public boolean published(String subject, String json) {
        try {
            publish(subject, json);
            return true;
        } catch (IOException | JetStreamApiException | RuntimeException e) {
            return false;
        }
    }

    public boolean connected() {
        return publisher.getStatus() == Connection.Status.CONNECTED;
    }

    /** Waits until every message is acked, which happens only after the commit. */
    public void awaitFinished() {
        Eventually.await("every message is acked", PATIENCE, this::left, left -> left == 0);
    }

    /** The number of messages left in the stream. */
    public long left() throws IOException, JetStreamApiException {
        return management().getStreamInfo(ResultsStream.NAME).getStreamState().getMsgCount();
    }

    public void execute(String sql) {
        withStatement(sql, statement -> statement.execute(sql));
    }

    public long number(String sql) {
        return ((Number) rows(sql).get(0).get(0)).longValue();
    }

    public List<List<Object>> rows(String sql) {
        return withStatement(sql, statement -> {
            try (ResultSet result = statement.executeQuery(sql)) {
                List<List<Object>> rows = new ArrayList<>();
                while (result.next()) {
                    List<Object> row = new ArrayList<>();
                    for (int i = 1; i <= result.getMetaData().getColumnCount(); i++) {
                        row.add(result.getObject(i));
                    }
                    rows.add(row);
                }
                return rows;
            }
        });
    }

    private interface Use<T> {
        T of(Statement statement) throws SQLException;
    }

    private <T> T withStatement(String sql, Use<T> use) {
        try {
            if (kept != null) {
                try (Statement statement = kept.createStatement()) {
                    return use.of(statement);
                }
            }
            try (java.sql.Connection connection = Database.connect(database);
                    Statement statement = connection.createStatement()) {
                return use.of(statement);
            }
        } catch (SQLException e) {
            throw new IllegalStateException(sql, e);
        }
    }

    /** Merges until every derived view is up to date. */
    public void refreshAll() {
        List<List<Object>> failed =
                rows("SELECT s.name, r.* FROM tally.status s CROSS JOIN LATERAL tally.refresh(s.name) r"
                        + " WHERE r.outcome = 'failed' OR r.quarantined > 0");
        if (!failed.isEmpty()) {
            throw new AssertionError("these could not be refreshed: " + failed);
        }
    }

    /** One project with captures 1 to {@code captures}, a pipeline "random", and the jobs 1 to 3. */
    public void seed(int captures) {
        execute("INSERT INTO results.project (id, name) VALUES (1, 'Moths')");
        execute("INSERT INTO results.deployment (id, project_id, name) VALUES (1, 1, 'Meadow')");
        execute("INSERT INTO results.event (id, project_id, deployment_id, group_by) VALUES (1, 1, 1, '2026-04-16')");
        execute("INSERT INTO results.capture (id, project_id, deployment_id, event_id, path)"
                + " SELECT n, 1, 1, 1, n || '.jpg' FROM generate_series(1, " + captures + ") n");
        execute("INSERT INTO results.algorithm (id, key, name, task_type) VALUES"
                + " (1, 'random-detector', 'Detector', 'detection'),"
                + " (2, 'random-species-classifier', 'Species', 'classification')");
        execute("INSERT INTO results.pipeline (id, slug, name) VALUES (1, 'random', 'Random')");
        execute("INSERT INTO results.pipeline_algorithm (pipeline_id, algorithm_id) VALUES (1, 1), (1, 2)");
        execute("INSERT INTO results.job (id, project_id, pipeline_id, name)"
                + " SELECT n, 1, 1, 'job ' || n FROM generate_series(1, 3) n");
    }

    @Override
    public void close() {
        while (!opened.isEmpty()) {
            opened.pop().run();
        }
        close(publisher);
        nats.close();
        if (kept != null) {
            try {
                kept.close();
            } catch (SQLException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    private static void close(Connection connection) {
        try {
            connection.close();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
