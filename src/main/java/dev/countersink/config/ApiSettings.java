package dev.countersink.config;

import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

/**
 * Who may call the admin API.
 *
 * @param token the bearer token, 16 characters or more; without one a random one is made and printed once
 * @param rate requests a second that each token may send to an instance, 0 for any number
 * @param failures requests with a wrong token within a minute after which an address has to wait, 0 for any number
 * @param maxBody bytes of the body of a request, unless it is one of results, which have {@link IntakeSettings}
 */
@ConfigurationProperties("countersink.api")
public record ApiSettings(
        @Nullable String token,
        @DefaultValue("0") int rate,
        @DefaultValue("10") int failures,
        @DefaultValue("1MB") DataSize maxBody) {
    private static final int FLOOR = 16;
    private static final String HINT =
            "Make one with 'openssl rand -hex 32', or leave it out: then a random one is printed at start.";

    public ApiSettings {
        token = Check.orNull(token);
        if (token != null && token.length() < FLOOR) {
            throw new StartupException(
                    String.format(
                            Locale.ROOT,
                            "COUNTERSINK_API_TOKEN has %d characters, but it must have at least %d.",
                            token.length(),
                            FLOOR),
                    HINT);
        }
        if (token != null && !token.chars().allMatch(ApiSettings::isPlain)) {
            throw new StartupException(
                    "COUNTERSINK_API_TOKEN has a space or a character beyond ASCII, which cannot be sent in a header.",
                    HINT);
        }
        Check.within("countersink.api.rate", rate, 0, 100_000, 0);
        Check.within("countersink.api.failures", failures, 0, 1_000_000, 10);
        Check.within(
                "countersink.api.max-body",
                maxBody,
                DataSize.ofKilobytes(16),
                DataSize.ofMegabytes(64),
                DataSize.ofMegabytes(1));
    }

    private static boolean isPlain(int character) {
        return character > ' ' && character <= '~';
    }

    @Override
    public String toString() {
        return String.format(
                Locale.ROOT,
                "ApiSettings[token=%s, rate=%d, failures=%d, maxBody=%s]",
                token == null ? "none" : "…",
                rate,
                failures,
                maxBody);
    }
}
