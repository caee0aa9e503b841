package dev.countersink.ingest;

import dev.countersink.config.IngestSettings;
import dev.countersink.config.StartupException;
import dev.countersink.ingest.db.ResultsDb;
import dev.countersink.ingest.db.SqlErrorClassifier;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.ingest.message.ObjectReference;
import dev.countersink.ingest.nats.Delivery;
import dev.countersink.ingest.nats.Intake;
import dev.countersink.ingest.nats.IntakeLimits;
import dev.countersink.ingest.nats.NatsObjects;
import dev.countersink.ingest.nats.OldestMessages;
import dev.countersink.ingest.nats.Ownership;
import dev.countersink.ingest.nats.PullLink;
import dev.countersink.ingest.nats.ReplySubjects;
import dev.countersink.ingest.nats.ResultsStream;
import dev.countersink.ingest.nats.StreamWatcher;
import io.nats.client.Connection;
import io.nats.client.ConnectionListener;
import io.nats.client.JetStreamOptions;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Moves messages from the stream into the database. The dispatcher's thread decodes them, writers commit them in batches, and
 * only then they are acked. Any number of instances share the work. {@link #close} finishes the current batches and gives
 * the other messages back.
 */
public final class Ingestor implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Ingestor.class);
    private static final byte[] ACK = "+ACK".getBytes(StandardCharsets.US_ASCII);
    private static final Duration POLL = Duration.ofMillis(200);
    private static final Duration LONGEST_POLL = Duration.ofSeconds(5);
    /** Looks at the stream take at most one part in so many of the time. */
    private static final int LOOK_RESTS = 10;

    private static final long HOUSEKEEPING_MILLIS = 250;
    private static final long DATABASE_CHECK_MILLIS = 2000;
    /** A connection on which writer and server have waited for each other for so long is ended, if the next check agrees. */
    private static final Duration STALLED_AFTER = Duration.ofSeconds(2);

    private static final Duration KEEP_ALIVE_AFTER = ResultsStream.ACK_WAIT.dividedBy(3);
    private static final Duration FLUSH_PATIENCE = Duration.ofSeconds(5);
    private static final Duration STOP_PATIENCE = Duration.ofSeconds(60);
    /** A writer rests so many times as long as a batch of a few messages took, so that those which come meanwhile make one batch. */
    private static final int RESTS = 3;

    private static final Duration MOST_REST = Duration.ofMillis(40);
    private static final Duration UNFORESEEN_PAUSE = Duration.ofSeconds(1);
    private static final String READ_ONLY = "25006";
    private static final int JOBS_NAMED = 5;
    private static final int REFUSED_SUBJECTS_NAMED = 100;

    private final Connection connection;
    private final DataSource dataSource;
    private final IngestSettings settings;
    private final IngestMetrics metrics;
    private final Consumer<Throwable> fatal;
    private final ResultsStream stream;
    private final PullLink link;
    private final Intake intake;
    private final Ownership ownership;
    private final StreamWatcher watcher;
    private final OldestMessages oldest;
    private final NatsObjects objects;
    private final ReplySubjects replySubjects;
    private final Setbacks setbacks;
    private final Set<String> refusedSubjects = ConcurrentHashMap.newKeySet();
    private final CountDownLatch stopping = new CountDownLatch(1);
    private final List<Thread> writers = new ArrayList<>();
    private final Set<ResultsDb> writing = ConcurrentHashMap.newKeySet();
    private final ScheduledExecutorService keeper = Executors.newSingleThreadScheduledExecutor(named("ingest-keeper"));
    /** Has a thread of its own: to open many consumers takes longer than acks may wait. */
    private final ScheduledExecutorService looker = Executors.newSingleThreadScheduledExecutor(named("ingest-watcher"));

    /** Has a thread of its own: a server that refuses the question is waited for. */
    private final ScheduledExecutorService ages = Executors.newSingleThreadScheduledExecutor(named("ingest-ages"));

    private final ScheduledExecutorService databaseCheck =
            Executors.newSingleThreadScheduledExecutor(named("ingest-database-check"));
    private final ExecutorService acker = Executors.newSingleThreadExecutor(named("ingest-acker"));
    private final ConnectionListener listener;
    /** Of the thread that looks at the stream. */
    private long pauseNanos = POLL.toNanos();
    /** Of the thread that asks for the oldest messages. */
    private Duration agesPause = Duration.ofSeconds(1);
    /** Why the states of jobs could not be followed last; of the thread that checks the database. */
    private @Nullable String followingFails;

    /**
     * Makes an ingestor that is not started.
     *
     * @param dataSource gives each writer its own connection, at once or not at all
     * @param fatal is called after an error that leaves the program in an unknown state
     */
    public Ingestor(
            Connection connection,
            JetStreamOptions options,
            DataSource dataSource,
            IngestSettings settings,
            MessageDecoder decoder,
            IngestMetrics metrics,
            Consumer<Throwable> fatal) {
        this.connection = connection;
        this.dataSource = dataSource;
        this.settings = settings;
        this.metrics = metrics;
        this.fatal = fatal;
        this.objects = new NatsObjects(connection, options);
        this.stream = new ResultsStream(connection, options);
        this.link = new PullLink(connection, options, decoder, fatal);
        IntakeLimits limits = new IntakeLimits(
                settings.batchMessages(),
                settings.batchBytes().toBytes(),
                settings.linger(),
                settings.writersHere(),
                connection::getMaxPayload);
        this.intake = new Intake(limits, link::request, metrics::holding, metrics.outage()::isTotal);
        this.ownership = new Ownership(stream, link::request, metrics::refused);
        this.watcher =
                new StreamWatcher(stream, intake, decoder, 2L * settings.batchMessages(), ownership, metrics::looked);
        this.oldest = new OldestMessages(stream);
        this.setbacks = new Setbacks(settings.maxAttempts(), settings.giveUpAfter(), metrics.outage());
        this.replySubjects = new ReplySubjects(settings.replySubjects());
        this.listener = (c, event) -> {
            if (event == ConnectionListener.Events.RESUBSCRIBED) {
                intake.abandonPulls();
            }
        };
    }

    /**
     * Starts pulling and writing.
     *
     * @throws StartupException if the stream cannot be used
     */
    public void start() {
        stream.ensure();
        link.start(intake);
        connection.addConnectionListener(listener);
        for (int i = 1; i <= settings.writersHere(); i++) {
            Thread writer = new Thread(guarded(this::writeBatches), "ingest-writer-" + i);
            writers.add(writer);
            writer.start();
        }
        looker.execute(this::look);
        ages.execute(this::lookForOldest);
        keeper.scheduleWithFixedDelay(
                guarded(() -> {
                    intake.housekeep(KEEP_ALIVE_AFTER);
                    link.keepAlive(KEEP_ALIVE_AFTER);
                }),
                HOUSEKEEPING_MILLIS,
                HOUSEKEEPING_MILLIS,
                TimeUnit.MILLISECONDS);
        keeper.scheduleWithFixedDelay(guarded(this::tellProgress), 1, 1, TimeUnit.MINUTES);
        databaseCheck.scheduleWithFixedDelay(
                guarded(this::checkDatabase), 0, DATABASE_CHECK_MILLIS, TimeUnit.MILLISECONDS);
        LOG.info("Ingesting from {} with {} writers", ResultsStream.NAME, writers.size());
    }

    public IngestMetrics metrics() {
        return metrics;
    }

    /** Logs one line a minute while there is a backlog. */
    private void tellProgress() {
        IngestSnapshot now = metrics.snapshot();
        if (now.backlog() == 0) {
            return;
        }
        List<String> stalled = now.jobs().stream()
                .filter(job -> job.stalledSeconds() >= settings.stalledAfter().toSeconds())
                .map(IngestSnapshot.Job::subject)
                .toList();
        LOG.info(
                "Backlog: {} messages of {} jobs ({}); this instance finishes {} a second{}",
                now.backlog(),
                now.jobs().size(),
                largest(now.jobs()),
                Math.round(now.perSecond()),
                stalled.isEmpty() ? "" : "; stalled: " + String.join(", ", stalled));
    }

    private static String largest(List<IngestSnapshot.Job> jobs) {
        String named = jobs.stream()
                .sorted(Comparator.comparingLong(IngestSnapshot.Job::messages).reversed())
                .limit(JOBS_NAMED)
                .map(job -> job.subject() + ": " + job.messages() + ", " + Math.round(job.perSecond()) + "/s"
                        + (job.etaSeconds() == null ? "" : ", done in " + job.etaSeconds() + " s"))
                .collect(Collectors.joining("; "));
        return jobs.size() > JOBS_NAMED ? named + "; …" : named;
    }

    /** Finds an outage even while there is nothing to write. */
    private void checkDatabase() {
        try (ResultsDb db = new ResultsDb(dataSource)) {
            if (!ownership.isKnown()) {
                ownership.setDatabase(db.identity());
                if (!looker.isShutdown()) {
                    looker.execute(guarded(watcher::look)); // nothing was taken until now
                }
            }
            if (db.acceptsWrites()) {
                metrics.outage().ended(databaseCheck);
                lookAfter(db);
            } else {
                metrics.outage().failed(databaseCheck, READ_ONLY, "The database is read-only.");
            }
        } catch (SQLException e) {
            if (stopping.getCount() > 0) { // what is interrupted because the program ends is no outage
                metrics.outage().failed(databaseCheck, e.getSQLState(), SqlErrorClassifier.sentence(e));
            }
        }
    }

    /** What fails here is told, but is no outage: batches do not depend on it. */
    private void lookAfter(ResultsDb db) {
        try {
            endStalled(db);
            tellJobs(db.followJobs(settings.failedShare()));
            followingFails = null;
        } catch (SQLException e) {
            String sentence = SqlErrorClassifier.sentence(e);
            if (stopping.getCount() > 0 && !sentence.equals(followingFails)) {
                followingFails = sentence;
                LOG.warn("The states of jobs are not up to date ({}: {}); trying again", e.getSQLState(), sentence);
            }
        }
    }

    private void endStalled(ResultsDb db) throws SQLException {
        for (ResultsDb writer : writing) {
            if (db.endIfStalled(writer, STALLED_AFTER)) {
                LOG.warn(
                        "A connection to the database has stalled for more than {} s; it is ended, and its batch tried again",
                        STALLED_AFTER.plusMillis(DATABASE_CHECK_MILLIS).toSeconds());
            }
        }
    }

    /** Logs one line when a job starts or ends. */
    private static void tellJobs(List<ResultsDb.JobChange> changes) {
        for (ResultsDb.JobChange job : changes) {
            if (!job.state().equals("pending")) {
                LOG.info(
                        "Job {} {}: {} of {} captures processed, {} failed",
                        job.job(),
                        job.state().equals("running") ? "is running" : "has " + job.state(),
                        job.processed(),
                        job.total(),
                        job.failed());
            }
        }
    }

    /** Looks at the stream. The less that costs the server, the sooner it looks again. */
    private void look() {
        guarded(() -> pauseNanos =
                        Math.max(POLL.toNanos(), LOOK_RESTS * watcher.look().toNanos()))
                .run();
        if (!looker.isShutdown()) {
            looker.schedule(this::look, Math.min(pauseNanos, LONGEST_POLL.toNanos()), TimeUnit.NANOSECONDS);
        }
    }

    private void lookForOldest() {
        guarded(() -> {
                    agesPause = oldest.look(metrics.subjects());
                    metrics.oldest(oldest.published());
                })
                .run();
        if (!ages.isShutdown()) {
            ages.schedule(this::lookForOldest, agesPause.toNanos(), TimeUnit.NANOSECONDS);
        }
    }

    private void writeBatches() {
        try (ResultsDb db = new ResultsDb(dataSource)) {
            writing.add(db);
            BatchWriter writer =
                    new BatchWriter(db, metrics, metrics.outage(), setbacks, settings.maxAttempts(), stopping);
            List<Delivery> batch = intake.next(writer.mostMessages(), System.nanoTime());
            while (!batch.isEmpty()) {
                long begin = System.nanoTime();
                write(writer, batch);
                long end = System.nanoTime();
                batch = intake.next(writer.mostMessages(), end + Math.min(RESTS * (end - begin), MOST_REST.toNanos()));
            }
            metrics.outage().left(writer);
        } catch (InterruptedException e) {
            LOG.info("The batch in work was given up: {}; its messages will come again", e.getMessage());
        }
    }

    private void write(BatchWriter writer, List<Delivery> batch) throws InterruptedException {
        Map<Delivery, Long> aside;
        try {
            aside = writer.write(batch);
        } catch (RuntimeException e) {
            LOG.error(
                    "Writing {} messages failed in a way that was not foreseen; they will come again", batch.size(), e);
            giveBack(batch);
            stopping.await(UNFORESEEN_PAUSE.toMillis(), TimeUnit.MILLISECONDS);
            return;
        } catch (InterruptedException e) {
            giveBack(batch);
            throw e;
        }
        long now = System.nanoTime();
        aside.forEach((delivery, pause) -> intake.putAside(delivery, now + pause));
        List<Delivery> finished =
                batch.stream().filter(delivery -> !aside.containsKey(delivery)).toList();
        if (!finished.isEmpty()) {
            metrics.committed(finished);
            acker.execute(guarded(() -> ack(finished)));
        }
    }

    /**
     * Acks committed messages. If an ack is lost, the message is delivered again, which changes nothing. So nothing is awaited here:
     * after a lost connection the client may match an answer with an older question, and then each batch would wait for its time limit.
     */
    private void ack(List<Delivery> batch) {
        try {
            for (Delivery delivery : batch) {
                ack(delivery);
                delivery.replySubjects().forEach(this::reply);
            }
        } catch (IllegalStateException | IllegalArgumentException e) {
            LOG.debug("Acks may be lost: {}", e.toString());
        } finally {
            intake.release(batch, true);
        }
    }

    /** An object is removed only once it is certain that its message is not delivered again. */
    private void ack(Delivery delivery) {
        ObjectReference object = delivery.removableObject();
        if (object == null) {
            delivery.ack();
        } else if (delivery.ackConfirmed()) {
            objects.remove(object, delivery.subject());
        }
    }

    private void reply(String subject) {
        if (replySubjects.allows(subject)) {
            connection.publish(subject, ACK);
        } else if (refusedSubjects.size() < REFUSED_SUBJECTS_NAMED && refusedSubjects.add(subject)) {
            LOG.warn(
                    "A message asks for an answer to {}, which is none of COUNTERSINK_INGEST_REPLY_SUBJECTS;"
                            + " it is applied, but nothing is published there",
                    subject);
        }
    }

    private void giveBack(List<Delivery> batch) {
        batch.forEach(setbacks::forget);
        try {
            batch.forEach(Delivery::giveBack);
        } catch (IllegalStateException e) {
            LOG.debug("Not connected, so the messages come again by themselves: {}", e.getMessage());
        }
        intake.release(batch, false);
    }

    /** Finishes and acks the current batches, and gives the other messages back. */
    @Override
    public void close() {
        if (stopping.getCount() == 0) {
            return;
        }
        stopping.countDown();
        connection.removeConnectionListener(listener);
        watcher.stop();
        keeper.shutdown();
        looker.shutdown();
        ages.shutdownNow();
        databaseCheck.shutdownNow();
        intake.stop();
        try {
            for (Thread writer : writers) {
                writer.join(STOP_PATIENCE.toMillis());
            }
            acker.shutdown();
            acker.awaitTermination(STOP_PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
            link.close();
            giveBack(intake.drain());
            connection.flush(FLUSH_PATIENCE);
        } catch (TimeoutException e) {
            LOG.debug("Not connected, so the messages come again by themselves.");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        LOG.info("Ingestion stopped after {} messages", metrics.messages());
    }

    /** Logs unexpected exceptions, and the task is repeated. After an Error the program ends. */
    private Runnable guarded(Runnable task) {
        return () -> {
            try {
                task.run();
            } catch (RuntimeException e) {
                LOG.error("A task of the ingestion failed", e);
            } catch (Error e) {
                fatal.accept(e);
            }
        };
    }

    private static ThreadFactory named(String name) {
        return task -> {
            Thread thread = new Thread(task, name);
            thread.setDaemon(true);
            return thread;
        };
    }
}
