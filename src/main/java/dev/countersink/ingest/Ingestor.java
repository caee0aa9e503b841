package dev.countersink.ingest;

import dev.countersink.config.IngestSettings;
import dev.countersink.config.StartupException;
import dev.countersink.ingest.db.ResultsDb;
import dev.countersink.ingest.message.DecodedMessage;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.ingest.message.Subjects;
import dev.countersink.ingest.nats.Delivery;
import dev.countersink.ingest.nats.Intake;
import dev.countersink.ingest.nats.PullLink;
import dev.countersink.ingest.nats.ResultsStream;
import dev.countersink.ingest.nats.Rotation;
import io.nats.client.Connection;
import io.nats.client.ConnectionListener;
import io.nats.client.JetStreamApiException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Messages from the stream into the database: the dispatcher's thread decodes what comes, writers commit it in batches, and
 * only then it is acked. Any number of instances share the work; {@link #close} finishes the batch in work and gives the
 * rest back.
 */
public final class Ingestor implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(Ingestor.class);
    private static final byte[] ACK = "+ACK".getBytes(StandardCharsets.US_ASCII);
    private static final int MOST_OPEN = 256;
    private static final Duration POLL = Duration.ofMillis(200);
    private static final Duration IDLE_AFTER = Duration.ofMinutes(1);
    private static final Duration TURN = Duration.ofSeconds(2);
    private static final Duration KEEP_ALIVE_AFTER = ResultsStream.ACK_WAIT.dividedBy(3);
    private static final Duration FLUSH_PATIENCE = Duration.ofSeconds(5);
    private static final Duration STOP_PATIENCE = Duration.ofSeconds(60);
    private static final Duration UNFORESEEN_PAUSE = Duration.ofSeconds(1);

    private final Connection connection;
    private final DataSource dataSource;
    private final IngestSettings settings;
    private final IngestMetrics metrics;
    private final ResultsStream stream;
    private final PullLink link;
    private final Intake intake;
    private final Rotation rotation = new Rotation(MOST_OPEN);
    private final CountDownLatch stopping = new CountDownLatch(1);
    private final List<Thread> writers = new ArrayList<>();
    private final ScheduledExecutorService keeper = Executors.newSingleThreadScheduledExecutor(named("ingest-keeper"));
    private final ExecutorService acker = Executors.newSingleThreadExecutor(named("ingest-acker"));
    private final ConnectionListener listener;
    private boolean failing;

    public Ingestor(
            Connection connection,
            DataSource dataSource,
            IngestSettings settings,
            MessageDecoder decoder,
            IngestMetrics metrics) {
        this.connection = connection;
        this.dataSource = dataSource;
        this.settings = settings;
        this.metrics = metrics;
        this.stream = new ResultsStream(connection);
        this.link = new PullLink(connection, decoder);
        this.intake = new Intake(
                settings.batchMessages(),
                settings.batchBytes().toBytes(),
                settings.linger(),
                link::request,
                metrics::holding);
        this.listener = (c, event) -> {
            if (event == ConnectionListener.Events.RESUBSCRIBED) {
                intake.abandonPulls();
            }
        };
    }

    /**
     * Begins.
     *
     * @throws StartupException if the stream cannot be used
     */
    public void start() {
        stream.ensure();
        link.start(intake, 4 * settings.batchBytes().toBytes() + 2 * connection.getMaxPayload());
        connection.addConnectionListener(listener);
        Thread writer = new Thread(this::writeBatches, "ingest-writer");
        writers.add(writer);
        writer.start();
        keeper.execute(this::look);
        keeper.scheduleWithFixedDelay(
                guarded(() -> intake.housekeep(KEEP_ALIVE_AFTER)), 250, 250, TimeUnit.MILLISECONDS);
        LOG.info("Ingesting from {}", ResultsStream.NAME);
    }

    public IngestMetrics metrics() {
        return metrics;
    }

    /** Finds the subjects that have messages, and comes back the sooner the less that costs. */
    private void look() {
        long begin = System.nanoTime();
        try {
            openAndClose(stream.backlog());
            failing = false;
        } catch (IOException | JetStreamApiException | RuntimeException e) {
            complain(e);
            recoverStream(e);
        }
        long took = System.nanoTime() - begin;
        if (!keeper.isShutdown()) {
            keeper.schedule(this::look, Math.max(POLL.toNanos(), 10 * took), TimeUnit.NANOSECONDS);
        }
    }

    private void openAndClose(Map<String, Long> backlog) {
        for (String subject : intake.takeLost()) {
            intake.close(subject);
            rotation.lost(subject);
        }
        long turn = 2L * settings.batchMessages();
        Rotation.Change change = rotation.next(
                backlog.keySet(),
                subject -> intake.nothingSince(subject, IDLE_AFTER),
                subject -> intake.hasServed(subject, turn, TURN));
        change.close().forEach(intake::close);
        change.open().forEach(this::open);
        List<IngestSnapshot.Job> jobs = new ArrayList<>();
        backlog.forEach((subject, messages) ->
                jobs.add(new IngestSnapshot.Job(subject, Subjects.jobId(subject), messages, rotation.isOpen(subject))));
        metrics.jobs(jobs);
    }

    private void open(String subject) {
        try {
            stream.openConsumer(subject);
            intake.open(subject);
        } catch (IOException | JetStreamApiException e) {
            rotation.lost(subject);
            complain(e);
        }
    }

    private void recoverStream(Exception cause) {
        if (cause instanceof JetStreamApiException) {
            try {
                stream.ensure();
            } catch (StartupException e) {
                LOG.error("{} {}", e.getMessage(), e.hint());
            }
        }
    }

    private void complain(Exception e) {
        if (failing) {
            LOG.debug("Still: {}", e.toString());
        } else if (stopping.getCount() > 0) {
            LOG.warn("Looking for messages failed, trying again: {}", e.toString());
        }
        failing = true;
    }

    private void writeBatches() {
        try (ResultsDb db = new ResultsDb(dataSource)) {
            BatchWriter writer = new BatchWriter(db, metrics, stopping);
            for (List<Delivery> batch = intake.next(); !batch.isEmpty(); batch = intake.next()) {
                write(writer, batch);
            }
        } catch (InterruptedException e) {
            LOG.info("The batch in work was given up: {}; its messages will come again", e.getMessage());
        }
    }

    private void write(BatchWriter writer, List<Delivery> batch) throws InterruptedException {
        List<DecodedMessage> messages = new ArrayList<>(batch.size());
        batch.forEach(delivery -> messages.addAll(delivery.results()));
        try {
            writer.write(messages);
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
        metrics.committed(batch);
        acker.execute(() -> ack(batch));
    }

    /** Acks what is committed. An ack that gets lost brings the message again, and it changes nothing then. */
    private void ack(List<Delivery> batch) {
        try {
            for (Delivery delivery : batch) {
                delivery.ack();
                for (DecodedMessage result : delivery.results()) {
                    if (result.replySubject() != null) {
                        connection.publish(result.replySubject(), ACK);
                    }
                }
            }
            connection.flush(FLUSH_PATIENCE);
        } catch (TimeoutException | IllegalStateException | IllegalArgumentException e) {
            LOG.debug("Acks may be lost: {}", e.toString());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            intake.release(batch);
        }
    }

    private void giveBack(List<Delivery> batch) {
        try {
            batch.forEach(Delivery::giveBack);
        } catch (IllegalStateException e) {
            LOG.debug("Not connected, so the messages come again by themselves: {}", e.getMessage());
        }
        intake.release(batch);
    }

    /** Finishes the batch in work, acks it, and gives the rest back. */
    @Override
    public void close() {
        if (stopping.getCount() == 0) {
            return;
        }
        stopping.countDown();
        connection.removeConnectionListener(listener);
        keeper.shutdown();
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
        LOG.info("Ingestion stopped after {} messages", metrics.snapshot().messages());
    }

    private static Runnable guarded(Runnable task) {
        return () -> {
            try {
                task.run();
            } catch (RuntimeException e) {
                LOG.error("A periodic task failed; it goes on", e);
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
