package dev.countersink.bench.engine;

import java.util.Locale;

/**
 * One line of the table.
 *
 * @param what was measured
 * @param value in its unit, as text
 * @param ratio of two things done in the same run; NaN if the line has none
 * @param aim what the ratio shall be; null where it is only for comparison
 */
public record Figure(String what, String value, double ratio, Aim aim) {
    public static final String HEAD = "| what | figure | ratio | aim | |\n|---|---|---|---|---|\n";

    /** A line without a ratio. */
    public static Figure only(String what, String value) {
        return new Figure(what, value, Double.NaN, null);
    }

    public String row() {
        return String.format(
                Locale.ROOT,
                "| %s | %s | %s | %s | %s |%n",
                what,
                value,
                Double.isNaN(ratio) ? "" : number(ratio),
                aim == null ? "" : aim,
                aim == null ? "" : aim.met(ratio) ? "met" : "**not met**");
    }

    /** Three digits that matter. */
    public static String number(double value) {
        return String.format(Locale.ROOT, value >= 100 ? "%,.0f" : value >= 10 ? "%.1f" : "%.2f", value);
    }
}
