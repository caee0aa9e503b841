package dev.countersink.config;

import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;

/**
 * Who may call the admin API.
 *
 * @param token the bearer token, 16 characters or more; without one a random one is made and printed once
 */
@ConfigurationProperties("countersink.api")
public record ApiSettings(@Nullable String token) {
    private static final int FLOOR = 16;

    public ApiSettings {
        token = Check.orNull(token);
        if (token != null && token.length() < FLOOR) {
            throw new StartupException(
                    String.format(
                            Locale.ROOT,
                            "countersink.api.token has %d characters, but it must have at least %d.",
                            token.length(),
                            FLOOR),
                    "Make one with 'openssl rand -hex 32', or leave it out: then a random one is printed at start.");
        }
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "ApiSettings[token=%s]", token == null ? "none" : "…");
    }
}
