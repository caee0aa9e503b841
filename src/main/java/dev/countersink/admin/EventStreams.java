package dev.countersink.admin;

import dev.countersink.db.ControlDb;
import dev.countersink.db.Hurry;
import dev.countersink.ingest.IngestMetrics;
import dev.countersink.monitor.ViewBoard;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;
import org.springframework.scheduling.concurrent.CustomizableThreadFactory;
import org.springframework.stereotype.Component;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;
import tools.jackson.databind.json.JsonMapper;

/**
 * Tells those who look that something has changed. One thread looks every two seconds while anybody does; a stream has no thread
 * of its own, and one whose reader is slow holds up no other.
 */
@Component
class EventStreams implements SmartLifecycle {
    /** A browser falls back to asking every two seconds. */
    static final int MOST = 50;

    private static final Logger LOG = LoggerFactory.getLogger(EventStreams.class);
    private static final Duration PAUSE = Duration.ofSeconds(2);
    /** At least so often something is sent: it is noticed that a reader has gone, and ages are shown anew. */
    private static final int LONGEST_PAUSES = 5;

    private static final int WRITERS = 4;
    private static final int RUNS = 20;

    private final ViewBoard board;
    private final ControlDb control;
    private final IngestMetrics ingest;
    private final JsonMapper json;
    private final Set<Stream> streams = ConcurrentHashMap.newKeySet();
    private final ScheduledExecutorService looker =
            Executors.newSingleThreadScheduledExecutor(new CustomizableThreadFactory("events-"));
    private final ExecutorService writers =
            Executors.newFixedThreadPool(WRITERS, new CustomizableThreadFactory("event-writer-"));
    private int before;
    private int quiet;
    private volatile boolean running;

    EventStreams(ViewBoard board, ControlDb control, IngestMetrics ingest, JsonMapper json) {
        this.board = board;
        this.control = control;
        this.ingest = ingest;
        this.json = json;
    }

    private record Stream(SseEmitter emitter, BooleanSupplier admitted, AtomicBoolean busy) {}

    /**
     * Opens a stream.
     *
     * @param admitted whether its caller may still call; it ends when not
     */
    SseEmitter open(BooleanSupplier admitted) {
        Stream stream = new Stream(new SseEmitter(0L), admitted, new AtomicBoolean());
        add(stream);
        stream.emitter().onCompletion(() -> streams.remove(stream));
        stream.emitter().onError(failure -> streams.remove(stream));
        // Sent with the head of the answer, which would wait for it otherwise.
        write(stream);
        return stream.emitter();
    }

    /** However many are opened at the same time, there are no more than so many. */
    private synchronized void add(Stream stream) {
        if (streams.size() >= MOST) {
            throw RefusedException.tooManyStreams(MOST);
        }
        streams.add(stream);
    }

    /** How many there are. */
    int open() {
        return streams.size();
    }

    @Override
    public void start() {
        running = true;
        looker.scheduleWithFixedDelay(this::look, PAUSE.toMillis(), PAUSE.toMillis(), TimeUnit.MILLISECONDS);
    }

    /** Before the web server, which waits for requests that are not over. */
    @Override
    public int getPhase() {
        return Integer.MAX_VALUE;
    }

    @Override
    public void stop() {
        running = false;
        looker.shutdownNow();
        streams.forEach(stream -> stream.emitter().complete());
        writers.shutdownNow();
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    private void look() {
        if (streams.isEmpty()) {
            return;
        }
        Hurry hurry = Hurry.ofTask();
        try {
            int now = digest();
            quiet = now == before ? quiet + 1 : 0;
            before = now;
            if (quiet % LONGEST_PAUSES == 0) {
                streams.forEach(this::send);
            }
        } catch (RuntimeException e) {
            // Whoever asks is told; the page shows it.
            LOG.debug("What is shown cannot be read: {}", e.getMessage());
            streams.forEach(this::send);
        } finally {
            hurry.end();
        }
    }

    /** Differs if what is shown does. */
    private int digest() {
        ViewBoard.Now now = board.now();
        // A lag that grows is no news until it has doubled; a view that is late has a finding, which changes.
        now.views()
                .forEach(view ->
                        view.put("lag", Math.getExponent(view.path("lag").asDouble(0))));
        List<String> runs = control.runs(null, RUNS, null, null, null, null);
        return json.writeValueAsString(now.views()).hashCode()
                ^ now.findings().hashCode()
                ^ runs.hashCode()
                ^ Long.hashCode(ingest.backlog());
    }

    /** One write at a time for each stream; a reader that is too slow misses events, which say no more than the next one. */
    private void send(Stream stream) {
        if (stream.busy().compareAndSet(false, true)) {
            writers.execute(() -> {
                try {
                    write(stream);
                } finally {
                    stream.busy().set(false);
                }
            });
        }
    }

    private void write(Stream stream) {
        try {
            if (stream.admitted().getAsBoolean()) {
                stream.emitter().send(SseEmitter.event().name("changed").data("{}"));
            } else {
                stream.emitter().complete();
            }
        } catch (IOException | IllegalStateException e) { // its reader has gone, and its request with it
            streams.remove(stream);
        }
    }
}
