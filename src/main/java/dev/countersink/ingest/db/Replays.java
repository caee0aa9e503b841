package dev.countersink.ingest.db;

import dev.countersink.ingest.message.MessageDecoder;
import java.sql.SQLException;
import java.util.Optional;
import javax.sql.DataSource;

/** Applies dead letters again, by the same path as fresh messages. Thread-safe. */
public final class Replays {
    private static final int ATTEMPTS = 3;

    private final MessageDecoder decoder;
    private final DataSource dataSource;

    public Replays(DataSource dataSource, MessageDecoder decoder) {
        this.dataSource = dataSource;
        this.decoder = decoder;
    }

    /**
     * Why a message is rejected.
     *
     * @param sqlState of {@code results.error_catalogue()}, or the server's
     * @param reason a sentence
     */
    public record Rejection(String sqlState, String reason) {}

    /**
     * Applies a dead letter again, any number of times: it is marked as replayed, or stays a dead letter with the new reason.
     *
     * @return why it is rejected again, or nothing
     * @throws SQLException a failure that is not the message's fault; the dead letter is as it was
     */
    public Optional<Rejection> replay(long deadLetter) throws SQLException {
        try (ResultsDb db = new ResultsDb(dataSource)) {
            for (int attempt = 1; ; attempt++) {
                try {
                    return db.replay(deadLetter, decoder);
                } catch (SQLException e) {
                    // Another writer may have been in its way, so even its own fault is tried again.
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
