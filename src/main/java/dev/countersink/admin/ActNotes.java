package dev.countersink.admin;

import dev.countersink.db.AccessDb;
import dev.countersink.db.SqlError;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.transaction.TransactionException;
import tools.jackson.databind.json.JsonMapper;

/**
 * Notes acts that are over, on a thread of its own and many in one statement: who signs in or sends results does not wait for
 * the audit log. While the database is away they are kept, as far as there is room.
 */
final class ActNotes implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(ActNotes.class);
    private static final int ROOM = 10_000;
    private static final int BATCH = 1_000;
    /** What happens meanwhile is noted together. */
    private static final long GATHER_MILLIS = 200;

    private static final long RETRY_MILLIS = 1_000;
    private static final long PATIENCE_MILLIS = 1_000;
    /** So that nobody fills the audit log with tokens that are not valid; all are counted. */
    private static final int FAILURES_A_MINUTE = 100;

    /** Nothing to note: whoever waits for a note looks up. */
    private static final Note WAKE = new Note("", "", "", "", "", "", null, 0);

    private final Supplier<AccessDb> db;
    private final BlockingQueue<Note> queue = new ArrayBlockingQueue<>(ROOM);
    private final AtomicLong lost = new AtomicLong();
    private final CountDownLatch stopped = new CountDownLatch(1);
    private final Thread thread;
    private long minute;
    private int failures;

    /** @param db is opened after the web server is made */
    ActNotes(Supplier<AccessDb> db) {
        this.db = db;
        this.thread = new Thread(this::run, "audit");
        thread.setDaemon(true);
        thread.start();
    }

    /** A row of the audit log. */
    private record Note(
            String at,
            String who,
            String role,
            String address,
            String method,
            String path,
            @Nullable String target,
            int status) {}

    /** @param status of the answer */
    void add(AccessDb.Act act, int status) {
        Note note = new Note(
                Instant.now().toString(),
                act.who(),
                act.role(),
                act.address(),
                act.method(),
                act.path(),
                act.target(),
                status);
        if (!queue.offer(note)) {
            lost.incrementAndGet();
        }
    }

    /** As {@link #add}, for what anybody can send; so it is bounded. */
    void addFailure(AccessDb.Act act, int status) {
        synchronized (this) {
            long now = TimeUnit.NANOSECONDS.toMinutes(System.nanoTime());
            if (now != minute) {
                minute = now;
                failures = 0;
            }
            if (++failures > FAILURES_A_MINUTE) {
                return;
            }
        }
        add(act, status);
    }

    private void run() {
        List<Note> batch = new ArrayList<>();
        boolean last = false;
        try {
            while (!last) {
                if (batch.isEmpty()) {
                    Note first = queue.poll(RETRY_MILLIS, TimeUnit.MILLISECONDS);
                    if (first != null) {
                        batch.add(first);
                    }
                }
                last = stopped.await(batch.isEmpty() ? 0 : GATHER_MILLIS, TimeUnit.MILLISECONDS);
                queue.drainTo(batch, BATCH - batch.size());
                batch.removeIf(note -> note == WAKE);
                if (!batch.isEmpty() && !write(batch)) {
                    last |= stopped.await(RETRY_MILLIS, TimeUnit.MILLISECONDS);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Whether the batch is done with; otherwise it is kept. */
    private boolean write(List<Note> batch) {
        try {
            db.get().noteActs(JsonMapper.shared().writeValueAsString(batch));
        } catch (DataAccessException | TransactionException e) {
            if (SqlError.in(e).filter(SqlError::ofStatement).isEmpty()) {
                return false;
            }
            LOG.warn("{} acts cannot be noted in the audit log: {}", batch.size(), e.getMessage());
        }
        batch.clear();
        long missing = lost.getAndSet(0);
        if (missing > 0) {
            LOG.warn(
                    "The audit log lacks {} sign-ins or requests with results: the database was away for too long",
                    missing);
        }
        return true;
    }

    /** Notes what is left, if that can be done at once. */
    @Override
    public void close() {
        stopped.countDown();
        queue.offer(WAKE);
        try {
            thread.join(PATIENCE_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
