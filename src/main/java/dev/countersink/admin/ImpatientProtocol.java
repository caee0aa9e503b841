package dev.countersink.admin;

import java.time.Duration;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.coyote.AbstractProcessor;
import org.apache.coyote.Constants;
import org.apache.coyote.http11.Http11NioProtocol;
import org.apache.tomcat.util.net.NioChannel;
import org.apache.tomcat.util.net.NioEndpoint;
import org.apache.tomcat.util.net.SocketWrapperBase;
import org.jspecify.annotations.Nullable;
import org.springframework.scheduling.concurrent.CustomizableThreadFactory;

/**
 * HTTP/1.1 with a time limit for the whole head of a request. The time-out of a connection begins anew with each byte, so
 * that a client with a byte every few seconds would hold one for hours.
 *
 * <p>Public with a constructor without arguments, because Tomcat makes it by its name.
 */
public final class ImpatientProtocol extends Http11NioProtocol {
    static final Duration HEAD = Duration.ofSeconds(10);

    private final NioEndpoint endpoint;
    private @Nullable ScheduledExecutorService clock;

    public ImpatientProtocol() {
        this(new NioEndpoint());
    }

    private ImpatientProtocol(NioEndpoint endpoint) {
        super(endpoint);
        this.endpoint = endpoint;
    }

    @Override
    public void start() throws Exception {
        super.start();
        CustomizableThreadFactory threads = new CustomizableThreadFactory("http-heads-");
        threads.setDaemon(true);
        clock = Executors.newSingleThreadScheduledExecutor(threads);
        clock.scheduleWithFixedDelay(this::closeLate, 1, 1, TimeUnit.SECONDS);
    }

    @Override
    public void stop() throws Exception {
        if (clock != null) {
            clock.shutdownNow();
        }
        super.stop();
    }

    private void closeLate() {
        long now = System.nanoTime();
        for (SocketWrapperBase<NioChannel> connection : endpoint.getConnections()) {
            if (connection.getCurrentProcessor() instanceof AbstractProcessor processor && isLate(processor, now)) {
                connection.close();
            }
        }
    }

    /** A connection keeps its processor between two reads only while the head of its request is incomplete. */
    private static boolean isLate(AbstractProcessor processor, long now) {
        long began = processor.getRequest().getStartTimeNanos();
        return began >= 0
                && now - began > HEAD.toNanos()
                && processor.getRequest().getRequestProcessor().getStage() == Constants.STAGE_ENDED
                && !processor.isAsync();
    }
}
