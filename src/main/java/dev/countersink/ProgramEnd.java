package dev.countersink;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.ConfigurableApplicationContext;

/**
 * Ends the program: in order when it is told to, whenever that is, and at once after an error that leaves nothing to rely
 * on, such as a full heap. A supervisor starts it again then, and unacked messages come again.
 */
public final class ProgramEnd {
    private static final int INTERNAL_SOFTWARE_ERROR = 70;
    private static final long PATIENCE_MILLIS = Duration.ofSeconds(10).toMillis();
    /** Supervisors kill what does not end after ten seconds; a start that is given up has nothing to lose. */
    private static final long START_PATIENCE_MILLIS = Duration.ofSeconds(8).toMillis();

    private static final Thread HOOK = new Thread(ProgramEnd::end, "end");
    private static final Deque<Runnable> AFTERWARDS = new ArrayDeque<>();
    private static volatile int status;
    private static volatile boolean ending;
    private static volatile boolean started;
    private static ConfigurableApplicationContext context;

    private final AtomicBoolean failing = new AtomicBoolean();

    /**
     * From now on the program closes what is open when it is told to end, and ends with the status that was set last, or 0:
     * to be told to end is no failure, though the JVM would report a signal's number.
     */
    public static void install() {
        Runtime.getRuntime().addShutdownHook(HOOK);
    }

    /** Whether the program was told to end; a start that fails then is no failure. */
    public static boolean isEnding() {
        return ending;
    }

    /** Has an instance closed at the end that begins to start now. */
    static synchronized void closing(ConfigurableApplicationContext starting) {
        if (ending) {
            throw new IllegalStateException("The program was told to end.");
        }
        context = starting;
        started = false;
    }

    static void started() {
        started = true;
    }

    /** Has something done after everything is closed, in the reverse order. */
    public static void afterwards(Runnable task) {
        synchronized (ProgramEnd.class) {
            AFTERWARDS.push(task);
        }
    }

    /** Sets the exit status, and returns it. */
    public static int status(int exitStatus) {
        status = exitStatus;
        return exitStatus;
    }

    private static void end() {
        ConfigurableApplicationContext open;
        Deque<Runnable> tasks;
        synchronized (ProgramEnd.class) {
            ending = true;
            open = context;
            tasks = new ArrayDeque<>(AFTERWARDS);
        }
        try {
            if (open != null) {
                close(open);
            }
            tasks.forEach(Runnable::run);
        } catch (RuntimeException e) {
            logger().warn("The end was not orderly", e);
        } finally {
            Runtime.getRuntime().halt(status);
        }
    }

    /** A context that is starting can be closed only after that, which may take long. */
    private static void close(ConfigurableApplicationContext open) {
        Thread closer = new Thread(open::close, "close");
        closer.start();
        try {
            closer.join(started ? 0 : START_PATIENCE_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    void afterError(Throwable error) {
        if (!failing.compareAndSet(false, true)) {
            return;
        }
        status = INTERNAL_SOFTWARE_ERROR;
        // An orderly end may need what is missing, so it has a time limit.
        Thread limit = new Thread(ProgramEnd::haltLater, "halt");
        limit.setDaemon(true);
        limit.start();
        new Thread(() -> System.exit(INTERNAL_SOFTWARE_ERROR), "exit").start();
        logger().error("An error ends the program", error);
    }

    /** Asked for late: a logger takes a while to set up, and the program may be told to end meanwhile. */
    private static Logger logger() {
        return LoggerFactory.getLogger(ProgramEnd.class);
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
