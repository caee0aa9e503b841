package dev.countersink;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.ConfigurableApplicationContext;

/**
 * Ends the program. When the program is told to stop, it closes everything in order, even during the start. After an error
 * such as a full heap it exits at once: a supervisor then restarts it, and unacked messages are delivered again.
 */
public final class ProgramEnd {
    private static final int INTERNAL_SOFTWARE_ERROR = 70;
    private static final long PATIENCE_MILLIS = Duration.ofSeconds(10).toMillis();
    /** Supervisors kill a program that has not ended after ten seconds. A start that is abandoned has nothing to lose. */
    private static final long START_PATIENCE_MILLIS = Duration.ofSeconds(8).toMillis();
    /** What is at work then is cut off: its transaction is rolled back, and others go on with it. */
    private static final long END_PATIENCE_MILLIS = Duration.ofMillis(9_500).toMillis();

    private static final Thread HOOK = new Thread(ProgramEnd::end, "end");
    private static final Deque<Runnable> AFTERWARDS = new ArrayDeque<>();
    private static volatile int status;
    private static volatile boolean ending;
    private static volatile boolean started;
    private static @Nullable ConfigurableApplicationContext context;

    private final AtomicBoolean failing = new AtomicBoolean();

    /**
     * From now on the program closes everything when it is told to end. Its exit status is then the one that was set last, or
     * 0, because being told to end is no failure. The JVM itself would report the number of the signal.
     */
    public static void install() {
        Runtime.getRuntime().addShutdownHook(HOOK);
    }

    /** Whether the program was told to end. A start that fails after that is no failure. */
    public static boolean isEnding() {
        return ending;
    }

    /** Registers a starting instance, so that it is closed at the end. */
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

    /** Registers a task that runs after everything is closed; the last one registered runs first. */
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
        @Nullable ConfigurableApplicationContext open;
        Deque<Runnable> tasks;
        synchronized (ProgramEnd.class) {
            ending = true;
            open = context;
            tasks = new ArrayDeque<>(AFTERWARDS);
        }
        try {
            if (open == null || close(open)) {
                tasks.forEach(Runnable::run);
            }
        } catch (RuntimeException e) {
            logger().warn("The end was not orderly", e);
        } finally {
            Runtime.getRuntime().halt(status);
        }
    }

    /**
     * Closes an instance, and returns whether it is closed. One that is still starting can be closed only when it has
     * started, which may take long.
     */
    private static boolean close(ConfigurableApplicationContext open) {
        Thread closer = new Thread(open::close, "close");
        closer.start();
        try {
            closer.join(started ? END_PATIENCE_MILLIS : START_PATIENCE_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        if (started && closer.isAlive()) {
            logger().warn("Not everything has ended in time; what is still at work is cut off");
        }
        return !closer.isAlive();
    }

    void afterError(Throwable error) {
        if (!failing.compareAndSet(false, true)) {
            return;
        }
        status = INTERNAL_SOFTWARE_ERROR;
        // An orderly end may need the very thing that is missing, so it has a time limit.
        Thread limit = new Thread(ProgramEnd::haltLater, "halt");
        limit.setDaemon(true);
        limit.start();
        new Thread(() -> System.exit(INTERNAL_SOFTWARE_ERROR), "exit").start();
        logger().error("An error ends the program", error);
    }

    /** Created only when needed: a logger takes a while to set up, and the program may be told to end meanwhile. */
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
