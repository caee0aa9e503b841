package dev.countersink.ingest.db;

import dev.countersink.ingest.message.DecodeException;
import dev.countersink.ingest.message.DecodedMessage;
import dev.countersink.ingest.message.MessageDecoder;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.postgresql.PGConnection;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/**
 * The only database access of the ingestion. It holds one connection, because stage tables belong to a session; after a failure
 * it opens another one. Not thread-safe: each writer has its own.
 */
public final class ResultsDb implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(ResultsDb.class);

    static final String NO_DEAD_LETTER = "RS030";

    private static final long BYTES_OF_A_STATEMENT = 8L * 1024 * 1024;
    /** For what takes no time: an answer that has not come by then will not come. */
    private static final int BRIEF_MILLIS = 10_000;

    private static final int FOLLOW_MILLIS = 30_000;
    private static final long AT_REST = 0;
    /** What {@code results.stalled_session} says of a session that has ended. */
    private static final String GONE = "";

    private final DataSource dataSource;
    private volatile @Nullable Connection connection;
    /** Null until the stage is open. */
    private volatile @Nullable Session session;
    /** When the transaction in work last sent something; {@link #AT_REST} without one. */
    private volatile long sentNanos = AT_REST;

    private boolean wasOpen;
    /** The last look at it; of the one who looks. */
    private @Nullable Look lastLook;

    public ResultsDb(DataSource dataSource) {
        this.dataSource = dataSource;
    }

    /** A message that the database rejected; {@code msg} is its index in the batch. */
    private record Reject(int msg, String sqlState, String reason) {}

    /**
     * Applies a batch in one transaction. Messages that cannot be decoded or are rejected become dead letters.
     *
     * @return how many became dead letters
     */
    public int apply(List<DecodedMessage> batch) throws SQLException {
        return inTransaction(c -> apply(c, batch, this::sent)).size();
    }

    /** Applies a batch, and makes each rejected message a dead letter; returns those. */
    private static List<Reject> apply(Connection c, List<DecodedMessage> batch, Runnable sent) throws SQLException {
        List<Reject> rejects = new ArrayList<>();
        if (new StageCopier(c.unwrap(PGConnection.class).getCopyAPI(), batch, sent).fill()) {
            sent.run();
            rejects.addAll(applyStaged(c));
        }
        for (int msg = 0; msg < batch.size(); msg++) {
            DecodeException fault = batch.get(msg).fault();
            if (fault != null) {
                rejects.add(new Reject(msg, fault.sqlState(), fault.reason()));
            }
        }
        recordDeadLetters(
                c,
                rejects.stream()
                        .map(r -> new DeadLetter(
                                batch.get(r.msg()).letter(),
                                r.sqlState(),
                                batch.get(r.msg()).explain(r.reason())))
                        .toList());
        return rejects;
    }

    /**
     * Applies a dead letter in one transaction. It is then marked as replayed, or has the new reason why it was rejected.
     *
     * @return why it was rejected again; empty if it was applied
     */
    Optional<Replays.Rejection> replay(long id, MessageDecoder decoder) throws SQLException {
        return inTransaction(c -> apply(c, DecodedMessage.decode(decoder, beginReplay(c, id)), this::sent).stream()
                .findFirst()
                .map(reject -> new Replays.Rejection(reject.sqlState(), reject.reason())));
    }

    /** Stores the new failure of a dead letter whose replay was rolled back. */
    void recordReplayFailure(long id, Replays.Rejection rejection) throws SQLException {
        inTransaction(c -> {
            recordDeadLetters(c, List.of(new DeadLetter(beginReplay(c, id), rejection.sqlState(), rejection.reason())));
            return true;
        });
    }

    private static DecodedMessage.Origin beginReplay(Connection c, long id) throws SQLException {
        try (PreparedStatement call = c.prepareStatement(
                "SELECT stream, stream_seq, subject, headers, payload FROM results.begin_replay(?)")) {
            call.setLong(1, id);
            try (ResultSet row = call.executeQuery()) {
                row.next();
                return new DecodedMessage.Origin(
                        row.getString(1), row.getLong(2), row.getString(3), headers(row.getString(4)), row.getBytes(5));
            }
        }
    }

    private static Map<String, List<String>> headers(String json) {
        return JsonMapper.shared().readValue(json, new TypeReference<>() {});
    }

    /** Makes one message a dead letter. */
    public void recordDeadLetter(DecodedMessage.Origin origin, String sqlState, String reason) throws SQLException {
        inTransaction(c -> {
            recordDeadLetters(c, List.of(new DeadLetter(origin, sqlState, reason)));
            return true;
        });
    }

    /**
     * Counts an attempt at a message that was delivered several times. The count survives the end of the program.
     *
     * @return how many attempts have begun but not ended, with this one
     */
    public int beginAttempt(DecodedMessage.Origin origin, long publishedMicros) throws SQLException {
        return inTransaction(c -> {
            try (PreparedStatement call = c.prepareStatement("SELECT results.begin_attempt(?, ?, ?)")) {
                identify(call, origin, publishedMicros);
                try (ResultSet row = call.executeQuery()) {
                    row.next();
                    return row.getInt(1);
                }
            }
        });
    }

    /** Deletes the attempts of a message that was applied or made a dead letter. */
    public void endAttempt(DecodedMessage.Origin origin, long publishedMicros) throws SQLException {
        inTransaction(c -> {
            try (PreparedStatement call = c.prepareStatement("SELECT results.end_attempt(?, ?, ?)")) {
                identify(call, origin, publishedMicros);
                return call.execute();
            }
        });
    }

    /** Whether batches can be applied to this server. */
    public boolean acceptsWrites() throws SQLException {
        return ask("SELECT results.accepts_writes()", row -> row.getBoolean(1));
    }

    /** Tells this database from every other one. */
    public String identity() throws SQLException {
        return ask("SELECT results.database_identity()", row -> row.getString(1));
    }

    /**
     * A job whose state has changed.
     *
     * @param before null for a job that is new
     */
    public record JobChange(long job, String before, String state, long total, long processed, long failed) {}

    /** Updates the states of jobs from their progress. Returns the changes; each is returned to one instance only. */
    public List<JobChange> followJobs(double failedShare) throws SQLException {
        try (Connection c = connectionFor(FOLLOW_MILLIS);
                PreparedStatement call = c.prepareStatement(
                        "SELECT job_id, state_before, state, total, processed, failed FROM results.follow_jobs(?)")) {
            call.setDouble(1, failedShare);
            List<JobChange> changes = new ArrayList<>();
            try (ResultSet row = call.executeQuery()) {
                while (row.next()) {
                    changes.add(new JobChange(
                            row.getLong(1),
                            row.getString(2),
                            row.getString(3),
                            row.getLong(4),
                            row.getLong(5),
                            row.getLong(6)));
                }
            }
            return changes;
        }
    }

    /** @param backend as the server says: behind a connection pooler, the one of the protocol is made up */
    private record Session(Connection connection, int backend) {}

    private record Look(Session session, long sentNanos, String received) {}

    /**
     * Ends the connection of another one if what it sent, or the answer to it, got lost on the way: it waits for the server,
     * which waits for it. What it had in work is rolled back, and it fails. Only a look at the server tells this from
     * a statement that takes long. Two looks in a row must find it so, and nothing sent or received in between: on a machine
     * without a free processor, each of them may just not have had its turn. So call this regularly, from one thread.
     *
     * @param after how long both must have waited
     * @return whether it was so
     */
    public boolean endIfStalled(ResultsDb other, Duration after) throws SQLException {
        long since = other.sentNanos;
        Session waiting = other.session;
        Look before = other.lastLook;
        other.lastLook = null;
        if (waiting == null || since == AT_REST || System.nanoTime() - since <= after.toNanos()) {
            return false;
        }
        try (Connection c = connectionFor(BRIEF_MILLIS)) {
            boolean ended;
            if (before != null && before.session() == waiting && before.sentNanos() == since) {
                ended = endStalled(c, waiting.backend(), after, before.received());
            } else {
                String received = stalledSession(c, waiting.backend(), after);
                other.lastLook = received == null ? null : new Look(waiting, since, received);
                ended = GONE.equals(received);
            }
            if (!ended || other.sentNanos != since) {
                return false;
            }
        }
        waiting.connection().abort(Runnable::run);
        return true;
    }

    private static @Nullable String stalledSession(Connection c, int backend, Duration after) throws SQLException {
        try (PreparedStatement call = c.prepareStatement("SELECT results.stalled_session(?, ?)")) {
            call.setInt(1, backend);
            call.setDouble(2, after.toMillis() / 1e3);
            try (ResultSet row = call.executeQuery()) {
                row.next();
                return row.getString(1);
            }
        }
    }

    private static boolean endStalled(Connection c, int backend, Duration after, String received) throws SQLException {
        try (PreparedStatement call = c.prepareStatement("SELECT results.end_stalled(?, ?, ?)")) {
            call.setInt(1, backend);
            call.setDouble(2, after.toMillis() / 1e3);
            call.setString(3, received);
            try (ResultSet row = call.executeQuery()) {
                row.next();
                return row.getBoolean(1);
            }
        }
    }

    private void sent() {
        long now = System.nanoTime();
        sentNanos = now == AT_REST ? 1 : now;
    }

    /** A connection of its own, on which no answer is awaited for longer. */
    private Connection connectionFor(int millis) throws SQLException {
        Connection brief = dataSource.getConnection();
        try {
            brief.setNetworkTimeout(Runnable::run, millis);
            return brief;
        } catch (SQLException e) {
            brief.close();
            throw e;
        }
    }

    private static void identify(PreparedStatement call, DecodedMessage.Origin origin, long publishedMicros)
            throws SQLException {
        call.setString(1, origin.stream());
        call.setLong(2, origin.sequence());
        call.setObject(3, Instant.EPOCH.plus(publishedMicros, ChronoUnit.MICROS).atOffset(ZoneOffset.UTC));
    }

    private interface Answer<T> {
        T of(ResultSet row) throws SQLException;
    }

    /** Calls a function that returns one row soon. */
    private <T> T ask(String call, Answer<T> answer) throws SQLException {
        try (Connection c = connectionFor(BRIEF_MILLIS);
                PreparedStatement statement = c.prepareStatement(call);
                ResultSet row = statement.executeQuery()) {
            row.next();
            return answer.of(row);
        }
    }

    private interface Work<T> {
        T in(Connection connection) throws SQLException;
    }

    private <T> T inTransaction(Work<T> work) throws SQLException {
        wasOpen = false;
        try {
            sent();
            Connection open = open();
            wasOpen = true;
            T result = work.in(open);
            sent();
            open.commit();
            return result;
        } catch (SQLException e) {
            giveUp(e);
            throw e;
        } catch (RuntimeException e) {
            giveUp(new SQLException(e));
            throw e;
        } finally {
            sentNanos = AT_REST;
        }
    }

    /** Whether the last transaction had a connection, so that its failure came afterwards. */
    public boolean wasOpen() {
        return wasOpen;
    }

    private Connection open() throws SQLException {
        if (connection == null) {
            Connection fresh = dataSource.getConnection();
            sent(); // waiting for the connection was no waiting for its server
            connection = fresh;
            int usual = fresh.getNetworkTimeout();
            fresh.setNetworkTimeout(Runnable::run, BRIEF_MILLIS);
            // Independent of the database's default: apply_batch is written for this level.
            fresh.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
            fresh.setAutoCommit(false);
            int backend;
            try (PreparedStatement call = fresh.prepareStatement("SELECT results.open_stage(), pg_backend_pid()");
                    ResultSet row = call.executeQuery()) {
                row.next();
                backend = row.getInt(2);
            }
            fresh.commit();
            fresh.setNetworkTimeout(Runnable::run, usual);
            session = new Session(fresh, backend);
        }
        return connection;
    }

    private void giveUp(SQLException cause) {
        if (connection == null) {
            return;
        }
        try {
            connection.rollback();
            if (SqlErrorClassifier.keepsConnection(cause)) {
                return;
            }
        } catch (SQLException e) {
            LOG.debug("Could not roll back: {}", e.getMessage());
        }
        close();
    }

    private static List<Reject> applyStaged(Connection c) throws SQLException {
        List<Reject> rejects = new ArrayList<>();
        try (PreparedStatement call = c.prepareStatement("SELECT msg, sqlstate, reason FROM results.apply_batch()");
                ResultSet rows = call.executeQuery()) {
            while (rows.next()) {
                rejects.add(new Reject(rows.getInt(1), rows.getString(2), rows.getString(3)));
            }
        }
        return rejects;
    }

    private record DeadLetter(DecodedMessage.Origin origin, String sqlState, String reason) {}

    /** Stores dead letters; each statement has as many as fit into a moderate size. */
    private static void recordDeadLetters(Connection c, List<DeadLetter> letters) throws SQLException {
        int from = 0;
        long bytes = 0;
        for (int i = 0; i < letters.size(); i++) {
            bytes += letters.get(i).origin().weight();
            if (bytes > BYTES_OF_A_STATEMENT || i == letters.size() - 1) {
                recordTogether(c, letters.subList(from, i + 1));
                from = i + 1;
                bytes = 0;
            }
        }
    }

    private static void recordTogether(Connection c, List<DeadLetter> letters) throws SQLException {
        try (PreparedStatement call = c.prepareStatement("SELECT results.record_dead_letters(?, ?, ?, ?, ?, ?, ?)")) {
            call.setArray(1, texts(c, letters, letter -> letter.origin().stream()));
            Object[] sequences =
                    letters.stream().map(letter -> letter.origin().sequence()).toArray();
            call.setArray(2, c.createArrayOf("bigint", sequences));
            call.setArray(3, texts(c, letters, letter -> letter.origin().subject()));
            call.setArray(4, texts(c, letters, letter -> json(letter.origin().headers())));
            Object[] payloads =
                    letters.stream().map(letter -> letter.origin().payload()).toArray(byte[][]::new);
            call.setArray(5, c.createArrayOf("bytea", payloads));
            call.setArray(6, texts(c, letters, DeadLetter::reason));
            call.setArray(7, texts(c, letters, DeadLetter::sqlState));
            call.execute();
        }
    }

    private static Array texts(Connection c, List<DeadLetter> letters, Function<DeadLetter, String> text)
            throws SQLException {
        return c.createArrayOf(
                "text", letters.stream().map(text).map(ResultsDb::storable).toArray());
    }

    /** PostgreSQL cannot store NUL. */
    private static String storable(String text) {
        return text.replace('\0', '\ufffd');
    }

    /** Replaces what jsonb cannot store: NUL and unpaired surrogates. */
    private static String json(Map<String, List<String>> headers) {
        Map<String, List<String>> storable = new LinkedHashMap<>();
        headers.forEach((name, values) -> storable.put(
                wellFormed(name), values.stream().map(ResultsDb::wellFormed).toList()));
        return JsonMapper.shared().writeValueAsString(storable);
    }

    private static String wellFormed(String text) {
        return new String(storable(text).getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8);
    }

    /** Closes the connection; the next call opens another one. */
    @Override
    public void close() {
        Connection open = connection;
        session = null;
        connection = null;
        if (open == null) {
            return;
        }
        try {
            open.close();
        } catch (SQLException e) {
            LOG.debug("Could not close the connection: {}", e.getMessage());
        }
    }
}
