package dev.countersink.ingest.db;

import dev.countersink.ingest.message.MessageDecoder;
import java.sql.SQLException;
import java.util.Optional;
import javax.sql.DataSource;

/** Applies dead letters again, in the same way as new messages. Thread-safe. */
public final class Replays {
    private static final int ATTEMPTS = 3;

    private final MessageDecoder decoder;
    private final DataSource dataSource;

    public Replays(DataSource dataSource, MessageDecoder decoder) {
        this.dataSource = dataSource;
        this.decoder = decoder;
    }

    /**
     * Why a message was rejected.
     *
     * @param sqlState of {@code results.error_catalogue()}, or the server's
     * @param reason a sentence
     */
    public record Rejection(String sqlState, String reason) {}

    /**
     * Applies a dead letter again. It is then marked as replayed, or stays a dead letter with the new reason. This may be repeated.
     *
     * @return why it was rejected again; empty if it was applied
     * @throws SQLException a failure that is not the message's fault; the dead letter is unchanged
     */
    public Optional<Rejection> replay(long deadLetter) throws SQLException {
        try (ResultsDb db = new ResultsDb(dataSource)) {
            for (int attempt = 1; ; attempt++) {
                try {
                    return db.replay(deadLetter, decoder);
                } catch (SQLException e) {
                    // Another writer may have caused it, so even the message's own fault is tried again.
                    boolean worthwhile =
                            SqlErrorClassifier.keepsConnection(e) && !ResultsDb.NO_DEAD_LETTER.equals(e.getSQLState());
                    if (worthwhile && attempt < ATTEMPTS) {
                        continue;
                    }
                    if (worthwhile && SqlErrorClassifier.isOfMessage(e)) {
                        Rejection rejection = new Rejection(e.getSQLState(), SqlErrorClassifier.sentence(e));
                        db.recordReplayFailure(deadLetter, rejection);
                        return Optional.of(rejection);
                    }
                    throw e;
                }
            }
        }
    }
}
