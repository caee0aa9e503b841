package dev.countersink.monitor;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Something that an operator should know, and what to do about it.
 *
 * @param level how bad it is
 * @param view whose it is, null if it concerns no view
 * @param sentence what is wrong
 * @param remedy what to do
 */
public record Finding(Level level, @Nullable String view, String sentence, String remedy) {

    /** The worst is last. */
    public enum Level {
        OK,
        WARN,
        BAD;

        /** As it is shown, and written as JSON. */
        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }
}
