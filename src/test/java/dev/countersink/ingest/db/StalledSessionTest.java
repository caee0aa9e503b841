package dev.countersink.ingest.db;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.config.DbSettings;
import dev.countersink.config.MessageSettings;
import dev.countersink.db.Database;
import dev.countersink.ingest.message.DecodedMessage;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.AbstractList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyIn;
import org.springframework.jdbc.datasource.DriverManagerDataSource;

/** A slow client is told from a lost connection: a session is ended only if nothing moved between two looks at it. */
class StalledSessionTest {
    private static final int MESSAGES = 20;
    /** More than the client keeps before it sends. */
    private static final int BYTES = 100_000;

    private static final int PLENTY = 1_000_000;

    private final DbSettings db = TestPostgres.migrated();
    private final DriverManagerDataSource dataSource = new DriverManagerDataSource(db.url(), db.user(), db.password());
    private final ExecutorService threads = Executors.newSingleThreadExecutor();
    private final Semaphore asked = new Semaphore(0);
    private final Semaphore given = new Semaphore(0);
    private ResultsDb writer;
    private ResultsDb watcher;

    @BeforeEach
    void open() {
        writer = new ResultsDb(dataSource);
        watcher = new ResultsDb(dataSource);
    }

    @AfterEach
    void close() {
        given.release(PLENTY);
        threads.shutdown();
        writer.close();
        watcher.close();
    }

    @Test
    void aWriterThatGoesOnSlowlyIsLeftAlone() throws Exception {
        Future<Integer> rejected = threads.submit(batch());
        for (int i = 0; i < MESSAGES; i++) {
            assertThat(asked.tryAcquire(1, TimeUnit.MINUTES)).isTrue();
            assertThat(watcher.endIfStalled(writer, Duration.ZERO)).isFalse();
            given.release();
        }
        given.release(PLENTY);
        assertThat(rejected.get(1, TimeUnit.MINUTES)).isEqualTo(MESSAGES);
    }

    @Test
    void aWriterThatSendsNothingBetweenTwoLooksIsEnded() throws Exception {
        Future<Integer> rejected = threads.submit(batch());
        assertThat(asked.tryAcquire(1, TimeUnit.MINUTES)).isTrue();
        given.release();
        assertThat(asked.tryAcquire(1, TimeUnit.MINUTES)).isTrue();
        Eventually.await("it is ended", () -> watcher.endIfStalled(writer, Duration.ZERO), ended -> ended);
        given.release(PLENTY);
        assertThatThrownBy(() -> rejected.get(1, TimeUnit.MINUTES))
                .isInstanceOf(ExecutionException.class)
                .hasCauseInstanceOf(SQLException.class);
        assertThat(writer.apply(List.of(message(1))))
                .as("with another connection")
                .isEqualTo(1);
    }

    @Test
    void aWriterAtRestIsLeftAlone() throws Exception {
        writer.apply(List.of(message(1)));
        assertThat(watcher.endIfStalled(writer, Duration.ZERO)).isFalse();
        assertThat(watcher.endIfStalled(writer, Duration.ZERO)).isFalse();
        assertThat(writer.apply(List.of(message(2)))).isEqualTo(1);
    }

    /** As a session does that has not had its turn at the first look. */
    @Test
    void aSessionThatHasReceivedSomethingBetweenTwoLooksIsLeftAlone() throws Exception {
        try (Connection client = Database.connect(db);
                Sql other = new Sql(db)) {
            client.createStatement().execute("CREATE TEMPORARY TABLE sent (line text)");
            PGConnection session = client.unwrap(PGConnection.class);
            CopyIn copy = session.getCopyAPI().copyIn("COPY sent FROM STDIN");
            String look = "SELECT coalesce(results.stalled_session(%d, 0), '')".formatted(session.getBackendPID());
            send(copy, 1);
            String seen = Eventually.await("it waits", () -> other.text(look), text -> text.endsWith(" 4"));
            send(copy, 2);
            Eventually.await("it has received more", () -> other.text(look), text -> text.endsWith(" 8"));
            String end = "SELECT results.end_stalled(%d, 0, '%s')::text";
            assertThat(other.text(end.formatted(session.getBackendPID(), seen))).isEqualTo("false");
            assertThat(copy.endCopy()).isEqualTo(2);
            assertThat(other.text("SELECT results.end_stalled(0, 0)::text"))
                    .as("of a session that has ended")
                    .isEqualTo("true");
        }
    }

    /** No signal comes from a machine that has lost its power, and what its batch has locked would stay so for hours. */
    @Test
    void theSessionOfAWriterAsksWhetherItsClientIsThere() throws Exception {
        try (Sql session = new Sql(db)) {
            session.run("SELECT results.open_stage()");
            assertThat(session.text("SELECT concat_ws(' ', current_setting('tcp_keepalives_idle'),"
                            + " current_setting('tcp_keepalives_interval'), current_setting('tcp_keepalives_count'))"))
                    .isEqualTo("10 5 3");
        }
    }

    private static void send(CopyIn copy, int line) throws SQLException {
        byte[] bytes = "%03d\n".formatted(line).getBytes(StandardCharsets.US_ASCII);
        copy.writeToCopy(bytes, 0, bytes.length);
        copy.flushCopy();
    }

    /** Applies messages, each of which is sent when the next one is asked for, and given out when it is allowed. */
    private Callable<Integer> batch() {
        List<DecodedMessage> messages = IntStream.range(0, MESSAGES)
                .mapToObj(StalledSessionTest::message)
                .toList();
        List<DecodedMessage> slow = new AbstractList<>() {
            @Override
            public DecodedMessage get(int index) {
                asked.release();
                given.acquireUninterruptibly();
                return messages.get(index);
            }

            @Override
            public int size() {
                return messages.size();
            }
        };
        return () -> writer.apply(slow);
    }

    /** It is for a job that does not exist. */
    private static DecodedMessage message(int sequence) {
        String text =
                "{\"pipeline\": \"moths\", \"source_images\": [{\"id\": \"1\"}], \"detections\": [], \"errors\": \"%s\"}"
                        .formatted("x".repeat(BYTES));
        return DecodedMessage.decode(
                        new MessageDecoder(MessageSettings.defaults()),
                        new DecodedMessage.Origin(
                                "RESULTS", sequence, "results.7", Map.of(), text.getBytes(StandardCharsets.UTF_8)))
                .get(0);
    }
}
