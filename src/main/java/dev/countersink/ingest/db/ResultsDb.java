package dev.countersink.ingest.db;

import dev.countersink.ingest.message.DecodeException;
import dev.countersink.ingest.message.DecodedMessage;
import dev.countersink.ingest.message.MessageDecoder;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import javax.sql.DataSource;
import org.postgresql.PGConnection;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/**
 * The ingestion's only way to the database. Holds one connection, for the stage tables are the session's; after a failure
 * it takes another one. Not thread-safe: one per writer.
 */
public final class ResultsDb implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(ResultsDb.class);

    static final String NO_DEAD_LETTER = "RS030";

    private final DataSource dataSource;
    private Connection connection;

    public ResultsDb(DataSource dataSource) {
        this.dataSource = dataSource;
    }

    /** A message that the database rejected, by its place in the batch. */
    private record Reject(int msg, String sqlState, String reason) {}

    /**
     * Applies a batch in one transaction: what cannot be decoded or is rejected becomes a dead letter, the rest is written.
     *
     * @return how many became dead letters
     */
    public int apply(List<DecodedMessage> batch) throws SQLException {
        return inTransaction(c -> apply(c, batch)).size();
    }

    /** Applies a batch, with each message that is rejected made a dead letter; returns those. */
    private static List<Reject> apply(Connection c, List<DecodedMessage> batch) throws SQLException {
        List<Reject> rejects = new ArrayList<>();
        if (new StageCopier(c.unwrap(PGConnection.class).getCopyAPI(), batch).fill()) {
            rejects.addAll(applyStaged(c));
        }
        for (int msg = 0; msg < batch.size(); msg++) {
            DecodeException fault = batch.get(msg).fault();
            if (fault != null) {
                rejects.add(new Reject(msg, fault.sqlState(), fault.getMessage()));
            }
        }
        for (Reject reject : rejects) {
            DecodedMessage rejected = batch.get(reject.msg());
            recordDeadLetter(c, rejected.letter(), reject.sqlState(), rejected.explain(reject.reason()));
        }
        return rejects;
    }

    /**
     * Applies a dead letter in one transaction: afterwards it is marked as replayed, or says why it is rejected again.
     *
     * @return why, or nothing
     */
    Optional<Replays.Rejection> replay(long id, MessageDecoder decoder) throws SQLException {
        return inTransaction(c -> apply(c, DecodedMessage.decode(decoder, beginReplay(c, id))).stream()
                .findFirst()
                .map(reject -> new Replays.Rejection(reject.sqlState(), reject.reason())));
    }

    /** Records that a dead letter failed again in a way that left nothing of its transaction. */
    void recordReplayFailure(long id, Replays.Rejection rejection) throws SQLException {
        inTransaction(c -> {
            recordDeadLetter(c, beginReplay(c, id), rejection.sqlState(), rejection.reason());
            return null;
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
    public void recordDeadLetter(DecodedMessage incoming, String sqlState, String reason) throws SQLException {
        inTransaction(c -> {
            recordDeadLetter(c, incoming.letter(), sqlState, reason);
            return null;
        });
    }

    private interface Work<T> {
        T in(Connection connection) throws SQLException;
    }

    private <T> T inTransaction(Work<T> work) throws SQLException {
        try {
            Connection open = open();
            T result = work.in(open);
            open.commit();
            return result;
        } catch (SQLException e) {
            giveUp(e);
            throw e;
        } catch (RuntimeException e) {
            giveUp(new SQLException(e));
            throw e;
        }
    }

    private Connection open() throws SQLException {
        if (connection == null) {
            Connection fresh = dataSource.getConnection();
            connection = fresh;
            fresh.setAutoCommit(false);
            try (PreparedStatement call = fresh.prepareStatement("SELECT results.open_stage()")) {
                call.execute();
            }
            fresh.commit();
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

    private static void recordDeadLetter(Connection c, DecodedMessage.Origin origin, String sqlState, String reason)
            throws SQLException {
        try (PreparedStatement call =
                c.prepareStatement("SELECT results.record_dead_letter(?, ?, ?, ?::jsonb, ?, ?, ?)")) {
            call.setString(1, origin.stream());
            call.setLong(2, origin.sequence());
            call.setString(3, storable(origin.subject()));
            call.setString(4, json(origin.headers()));
            call.setBytes(5, origin.payload());
            call.setString(6, storable(reason));
            call.setString(7, sqlState);
            call.execute();
        }
    }

    /** The database holds no NUL. */
    private static String storable(String text) {
        return text.replace('\0', '\ufffd');
    }

    private static String json(Map<String, List<String>> headers) {
        StringBuilder json = new StringBuilder("{");
        headers.forEach((name, values) -> {
            json.append(json.length() == 1 ? "" : ", ");
            quote(json, name);
            json.append(": [");
            for (int i = 0; i < values.size(); i++) {
                json.append(i == 0 ? "" : ", ");
                quote(json, values.get(i));
            }
            json.append(']');
        });
        return json.append('}').toString();
    }

    private static void quote(StringBuilder json, String text) {
        json.append('"');
        for (char c : storable(text).toCharArray()) {
            if (c == '"' || c == '\\') {
                json.append('\\').append(c);
            } else if (c < ' ' || Character.isSurrogate(c)) {
                json.append(c < ' ' ? String.format(Locale.ROOT, "\\u%04x", (int) c) : "\ufffd");
            } else {
                json.append(c);
            }
        }
        json.append('"');
    }

    /** Gives the connection back; the next call takes another one. */
    @Override
    public void close() {
        Connection open = connection;
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
