package dev.countersink.config;

import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;

/**
 * How the program logs.
 *
 * @param format {@code text} for people, or {@code json}, an object a line, for programs
 */
@ConfigurationProperties("countersink.log")
public record LogSettings(@Nullable String format) {
    private static final String TEXT = "text";
    private static final String JSON = "json";
    private static final Set<String> FORMATS = Set.of(TEXT, JSON);

    public LogSettings {
        String given = Check.orNull(format);
        String word = given == null ? TEXT : given.toLowerCase(Locale.ROOT);
        if (!FORMATS.contains(word)) {
            throw Check.refused("countersink.log.format", given, "it must be text or json", TEXT);
        }
        format = word;
    }

    /** Whether each line is an object. */
    public boolean json() {
        return JSON.equals(format);
    }
}
