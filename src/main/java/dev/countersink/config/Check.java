package dev.countersink.config;

import java.time.Duration;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.springframework.util.unit.DataSize;

/** Checks of settings. Each message names the key, the value, the bounds and the default. */
final class Check {
    private Check() {}

    static int within(String key, int value, int floor, int ceiling, int standard) {
        if (value < floor || value > ceiling) {
            throw refused(
                    key,
                    value,
                    String.format(Locale.ROOT, "it must be at least %d and at most %d", floor, ceiling),
                    String.valueOf(standard));
        }
        return value;
    }

    static double within(String key, double value, double floor, double ceiling, double standard) {
        if (!(value >= floor && value <= ceiling)) {
            throw refused(
                    key,
                    value,
                    String.format(Locale.ROOT, "it must be at least %s and at most %s", floor, ceiling),
                    String.valueOf(standard));
        }
        return value;
    }

    static String cron(String key, String value, String standard) {
        Cron.problem(value).ifPresent(problem -> {
            throw new StartupException(
                    String.format(Locale.ROOT, "%s: %s", SettingNames.shown(key), problem),
                    String.format(Locale.ROOT, "Change it, or leave it out: the default is \"%s\", in UTC.", standard));
        });
        return value;
    }

    static Duration within(String key, Duration value, Duration floor, Duration ceiling, Duration standard) {
        if (value.compareTo(floor) < 0 || value.compareTo(ceiling) > 0) {
            throw refused(
                    key,
                    text(value),
                    String.format(Locale.ROOT, "it must be at least %s and at most %s", text(floor), text(ceiling)),
                    text(standard));
        }
        return value;
    }

    static DataSize within(String key, DataSize value, DataSize floor, DataSize ceiling, DataSize standard) {
        if (value.compareTo(floor) < 0 || value.compareTo(ceiling) > 0) {
            throw refused(
                    key,
                    text(value),
                    String.format(Locale.ROOT, "it must be at least %s and at most %s", text(floor), text(ceiling)),
                    text(standard));
        }
        return value;
    }

    /** A setting given as an empty string counts as not set. */
    static @Nullable String orNull(@Nullable String value) {
        return value == null || value.isBlank() ? null : value.strip();
    }

    static StartupException refused(String key, @Nullable Object value, String why, String standard) {
        return new StartupException(
                String.format(Locale.ROOT, "%s is %s, but %s.", SettingNames.shown(key), value, why),
                String.format(Locale.ROOT, "Change it, or leave it out: the default is %s.", standard));
    }

    private static String text(Duration value) {
        return value.toMillis() % 1000 == 0 ? value.toSeconds() + "s" : value.toMillis() + "ms";
    }

    private static String text(DataSize value) {
        if (value.toBytes() % (1024 * 1024) == 0) {
            return value.toMegabytes() + "MB";
        }
        return value.toBytes() % 1024 == 0 ? value.toKilobytes() + "KB" : value.toBytes() + "B";
    }
}
