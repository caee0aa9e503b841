package dev.countersink.config;

import java.net.URI;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;

/**
 * Who is told of alerts.
 *
 * @param url where they are sent by POST; null: nobody is told
 * @param secret signs them, 16 characters or more
 */
@ConfigurationProperties("countersink.webhook")
public record WebhookSettings(
        @Nullable String url, @Nullable String secret) {
    private static final int FLOOR = 16;
    private static final String HINT = "Make one with 'openssl rand -hex 32', and give it to the receiver too.";

    public WebhookSettings {
        url = Check.orNull(url);
        secret = Check.orNull(secret);
        if (url != null) {
            requireHttp(url);
            if (secret == null) {
                throw new StartupException(
                        "COUNTERSINK_WEBHOOK_URL is set, but COUNTERSINK_WEBHOOK_SECRET is not.", HINT);
            }
        }
        if (secret != null && secret.length() < FLOOR) {
            throw new StartupException(
                    String.format(
                            Locale.ROOT,
                            "COUNTERSINK_WEBHOOK_SECRET has %d characters, but it must have at least %d.",
                            secret.length(),
                            FLOOR),
                    HINT);
        }
    }

    private static void requireHttp(String url) {
        try {
            URI uri = URI.create(url);
            if (uri.getHost() != null && ("http".equals(uri.getScheme()) || "https".equals(uri.getScheme()))) {
                return;
            }
        } catch (IllegalArgumentException e) {
            // It is told without the URL, which may have a password in it.
        }
        throw new StartupException(
                "COUNTERSINK_WEBHOOK_URL is no URL of HTTP.", "Write it as in https://example.org/alerts.");
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "WebhookSettings[url=%s]", url == null ? "none" : "…");
    }
}
