package dev.countersink.monitor;

import org.springframework.context.ApplicationContext;

/**
 * An hour of history without the hour: as many samples as one has, each read from the database as every fifteen seconds, but one
 * directly after the other.
 */
public final class HourOfSamples {
    private HourOfSamples() {}

    /** Has the instance take them. */
    public static void take(ApplicationContext instance) {
        ViewBoard board = instance.getBean(ViewBoard.class);
        for (int i = 0; i < History.SAMPLES; i++) {
            board.sample();
        }
    }
}
