package dev.countersink.bench.engine;

import java.util.Locale;

/**
 * What a ratio shall be.
 *
 * @param bound not to be passed
 * @param atMost whether it is the most, else the least
 */
public record Aim(double bound, boolean atMost) {
    public static Aim atMost(double bound) {
        return new Aim(bound, true);
    }

    public static Aim atLeast(double bound) {
        return new Aim(bound, false);
    }

    boolean met(double ratio) {
        return atMost ? ratio <= bound : ratio >= bound;
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "%s %s", atMost ? "≤" : "≥", bound);
    }
}
