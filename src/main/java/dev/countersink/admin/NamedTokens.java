package dev.countersink.admin;

import dev.countersink.db.AccessDb;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.LongSupplier;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.scheduling.concurrent.CustomizableThreadFactory;

/**
 * The named tokens as the database has them, read again when somebody calls and the list is older than a second. While the
 * database does not answer, the last list holds, so that results can be sent and metrics read; nobody waits for it long.
 */
final class NamedTokens implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(NamedTokens.class);
    /** How long a revoked token may still work. */
    private static final long FRESH = Duration.ofSeconds(1).toNanos();
    /** For a token that is not in the list: it may have just been made. */
    private static final long FRESH_FOR_UNKNOWN = Duration.ofMillis(200).toNanos();

    /** For the database; whoever comes later while it does not answer waits no more. */
    private static final long PATIENCE = Duration.ofSeconds(1).toNanos();

    private final Supplier<List<AccessDb.ValidToken>> source;
    private final LongSupplier clock;
    private final ExecutorService reader;
    private volatile Read last;
    private @Nullable Future<?> reading;
    private volatile long readingSince;

    /** @param clock in nanoseconds */
    NamedTokens(Supplier<List<AccessDb.ValidToken>> source, LongSupplier clock) {
        this.source = source;
        this.clock = clock;
        this.last = new Read(List.of(), clock.getAsLong() - FRESH);
        CustomizableThreadFactory threads = new CustomizableThreadFactory("tokens-");
        threads.setDaemon(true);
        this.reader = Executors.newSingleThreadExecutor(threads);
    }

    /** What was read, and when reading began. */
    private record Read(List<AccessDb.ValidToken> tokens, long at) {}

    /** The token with this hash. */
    Optional<AccessDb.ValidToken> withHash(byte[] hash) {
        return find(token -> MessageDigest.isEqual(token.hash(), hash));
    }

    Optional<AccessDb.ValidToken> named(String name) {
        return find(token -> token.name().equals(name));
    }

    /** Has the list read again for the next caller. */
    void changed() {
        last = new Read(last.tokens(), clock.getAsLong() - FRESH);
    }

    private Optional<AccessDb.ValidToken> find(Predicate<AccessDb.ValidToken> wanted) {
        Optional<AccessDb.ValidToken> found = find(read(FRESH), wanted);
        return found.isPresent() ? found : find(read(FRESH_FOR_UNKNOWN), wanted);
    }

    private Optional<AccessDb.ValidToken> find(Read read, Predicate<AccessDb.ValidToken> wanted) {
        double age = (clock.getAsLong() - read.at()) / (double) TimeUnit.SECONDS.toNanos(1);
        return read.tokens().stream()
                .filter(wanted)
                .filter(token -> token.seconds() == null || token.seconds() > age)
                .findFirst();
    }

    private Read read(long fresh) {
        if (clock.getAsLong() - last.at() >= fresh) {
            Future<?> begun = begin();
            await(begun, PATIENCE - (clock.getAsLong() - readingSince));
        }
        return last;
    }

    private synchronized Future<?> begin() {
        Future<?> running = reading;
        if (running == null || running.isDone()) {
            running = reader.submit(this::load);
            reading = running;
            readingSince = clock.getAsLong();
        }
        return running;
    }

    private void load() {
        long begin = clock.getAsLong();
        try {
            last = new Read(List.copyOf(source.get()), begin);
        } catch (RuntimeException e) {
            LOG.debug("The named tokens cannot be read: {}", e.getMessage());
        }
    }

    private static void await(Future<?> reading, long nanos) {
        try {
            reading.get(Math.max(nanos, 0), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (TimeoutException e) {
            LOG.debug("The named tokens are not read in time: the last list holds.");
        } catch (ExecutionException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() {
        reader.shutdownNow();
    }
}
