package dev.countersink.jobs;

import java.time.Duration;

/**
 * The moments at which a view is asked about. They are on a grid that all views share, so that one question is for many of
 * them, whenever each was declared or last merged: those of one interval are asked about together, and those of different
 * intervals at few moments. A view never waits longer than its interval for the next one.
 */
final class Cadence {
    /** Each a multiple of those before it, so that what is due on a coarse grid is due on the finer ones too. */
    private static final Duration[] GRIDS = {
        Duration.ofMillis(25),
        Duration.ofMillis(50),
        Duration.ofMillis(100),
        Duration.ofMillis(200),
        Duration.ofSeconds(1)
    };

    private static final int GRIDS_PER_INTERVAL = 4;

    private Cadence() {}

    /** The next moment after {@code now}, in nanoseconds as of {@link System#nanoTime}. */
    static long next(long now, Duration interval) {
        long period = period(interval.toNanos());
        return Math.floorDiv(now + interval.toNanos(), period) * period;
    }

    /** The interval, rounded down to the grid: by less than a quarter. */
    private static long period(long interval) {
        long grid = GRIDS[0].toNanos();
        for (Duration candidate : GRIDS) {
            if (candidate.toNanos() * GRIDS_PER_INTERVAL <= interval) {
                grid = candidate.toNanos();
            }
        }
        return Math.max(interval / grid * grid, 1);
    }
}
