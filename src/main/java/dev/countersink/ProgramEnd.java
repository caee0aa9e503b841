package dev.countersink;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.SpringApplication;

/**
 * Ends the program after an error that leaves nothing to rely on, such as a full heap: a supervisor starts it again, and
 * unacked messages come again.
 */
class ProgramEnd {
    private static final Logger LOG = LoggerFactory.getLogger(ProgramEnd.class);
    private static final int INTERNAL_SOFTWARE_ERROR = 70;
    private static final long PATIENCE_MILLIS = Duration.ofSeconds(10).toMillis();

    private static volatile int status;

    private final AtomicBoolean ending = new AtomicBoolean();

    /**
     * From now on the program ends with the status that was set last, or 0, as soon as everything is closed: to be told to
     * end is no failure, though the JVM would report a signal's number.
     */
    static void haltWhenClosed() {
        SpringApplication.getShutdownHandlers().add(() -> Runtime.getRuntime().halt(status));
    }

    /** Sets the exit status, and returns it. */
    static int status(int exitStatus) {
        status = exitStatus;
        return exitStatus;
    }

    void afterError(Throwable error) {
        if (!ending.compareAndSet(false, true)) {
            return;
        }
        status = INTERNAL_SOFTWARE_ERROR;
        // An orderly end may need what is missing, so it has a time limit.
        Thread limit = new Thread(ProgramEnd::haltLater, "halt");
        limit.setDaemon(true);
        limit.start();
        new Thread(() -> System.exit(INTERNAL_SOFTWARE_ERROR), "exit").start();
        LOG.error("An error ends the program", error);
    }

    private static void haltLater() {
        try {
            Thread.sleep(PATIENCE_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        Runtime.getRuntime().halt(INTERNAL_SOFTWARE_ERROR);
    }
}
