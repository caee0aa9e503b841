package dev.countersink.ingest.nats;

import io.nats.client.JetStreamApiException;
import java.io.IOException;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Lets instances of one database alone take messages from the stream: those of another database would get a part of them, and
 * nobody would notice. A consumer names the database. It expires when no instance has pulled from it for five minutes, so a restart
 * does not lose the stream to somebody else. Not thread-safe, except for {@link #setDatabase}.
 */
public final class Ownership {
    private static final Logger LOG = LoggerFactory.getLogger(Ownership.class);
    private static final long CHECK_NANOS = Duration.ofSeconds(2).toNanos();
    private static final int UNANSWERED = 3;
    /** After the server refused, or did not answer. */
    private static final long REFUSED_NANOS = Duration.ofMinutes(1).toNanos();

    private static final long PULL_NANOS = Duration.ofSeconds(30).toNanos();

    private final ResultsStream stream;
    private final Intake.Requests requests;
    private final Listener listener;
    private volatile @Nullable String identity;
    private boolean owner;
    private int unanswered;
    private @Nullable String refusal;
    private long dueNanos = System.nanoTime();
    private long pulledNanos = dueNanos - PULL_NANOS;

    public Ownership(ResultsStream stream, Intake.Requests requests, Listener listener) {
        this.stream = stream;
        this.requests = requests;
        this.listener = listener;
    }

    /** Is called with what each check has found. */
    public interface Listener {
        /** @param why this instance takes no messages, as a sentence; null if it does */
        void refused(@Nullable String why);
    }

    /** Sets which database this instance writes to: its name, and after a comma what tells it from others. */
    public void setDatabase(String database) {
        identity = database;
    }

    public boolean isKnown() {
        return identity != null;
    }

    /** Whether this instance may take messages. It may not while it does not know its own database. */
    boolean mayTake() throws IOException, JetStreamApiException {
        String mine = identity;
        if (mine == null) {
            return false;
        }
        if (System.nanoTime() - dueNanos >= 0) {
            dueNanos = System.nanoTime() + CHECK_NANOS;
            Optional<String> found = ask(mine);
            if (found.isEmpty()) {
                dueNanos = System.nanoTime() + REFUSED_NANOS;
            }
            note(mine, found.orElse(mine));
        }
        if (owner && System.nanoTime() - pulledNanos >= PULL_NANOS) {
            pulledNanos = System.nanoTime();
            requests.send(new Intake.PullRequest(ResultsStream.OWNER, 0, 1, Intake.UNLIMITED, false));
        }
        return owner;
    }

    /** A server that does not answer has no right for it, if that lasts. */
    private Optional<String> ask(String mine) throws IOException, JetStreamApiException {
        try {
            Optional<String> found = stream.ownerOr(mine);
            unanswered = 0;
            return found;
        } catch (IOException e) {
            if (++unanswered < UNANSWERED) {
                throw e;
            }
            LOG.debug("The stream's owner is not known: {}", e.getMessage());
            return Optional.empty();
        }
    }

    /** Why it may not, as a sentence; null if it may. */
    @Nullable
    String refusal() {
        return refusal;
    }

    private void note(String mine, String found) {
        boolean same = key(found).equals(key(mine));
        if (same && refusal != null) {
            LOG.info("The stream {} is this database's now", ResultsStream.NAME);
        }
        String before = refusal;
        owner = same;
        refusal = same
                ? null
                : String.format(
                        Locale.ROOT,
                        "Messages of the stream %s go to another database (%s), so this instance takes none for its own (%s):"
                                + " each would get a part of them. Use another NATS account; or, if nothing runs with the"
                                + " other database any more, wait five minutes, or remove the consumer %s.",
                        ResultsStream.NAME,
                        found.isEmpty() ? "unnamed" : found,
                        mine,
                        ResultsStream.OWNER);
        if (refusal != null && !refusal.equals(before)) {
            LOG.error("{}", refusal);
        }
        listener.refused(refusal);
    }

    /** Without the name, which may be changed. */
    private static String key(String identity) {
        return identity.substring(identity.lastIndexOf(' ') + 1);
    }
}
