package dev.countersink.config;

import java.net.URI;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;

/**
 * Who is told of alerts.
 *
 * @param url where they are sent by POST; null: nobody is told
 * @param secret signs them, 16 characters or more
 * @param caFile a PEM file with the authority that has signed the receiver's certificate; null: those that Java knows
 */
@ConfigurationProperties("countersink.webhook")
public record WebhookSettings(
        @Nullable String url,
        @Nullable String secret,
        @Nullable Path caFile) {
    private static final int FLOOR = 16;
    private static final int LAST_PORT = 65_535;
    private static final String HINT = "Make one with 'openssl rand -hex 32', and give it to the receiver too.";

    public WebhookSettings {
        url = Check.orNull(url);
        secret = Check.orNull(secret);
        caFile = caFile == null || caFile.toString().isBlank() ? null : caFile;
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

    /** It is told without the URL, which may have a password in it. */
    private static void requireHttp(String url) {
        URI uri;
        try {
            uri = URI.create(url);
        } catch (IllegalArgumentException e) {
            throw noUrl();
        }
        boolean http = "http".equalsIgnoreCase(uri.getScheme()) || "https".equalsIgnoreCase(uri.getScheme());
        if (!http || uri.getHost() == null || uri.getPort() > LAST_PORT) {
            throw noUrl();
        }
        if (uri.getUserInfo() != null) {
            throw new StartupException(
                    "COUNTERSINK_WEBHOOK_URL has a user in it, which is not sent.",
                    "Leave it out: what is sent is signed with COUNTERSINK_WEBHOOK_SECRET, so that the receiver knows who sends it.");
        }
    }

    private static StartupException noUrl() {
        return new StartupException(
                "COUNTERSINK_WEBHOOK_URL is no URL of HTTP.", "Write it as in https://example.org/alerts.");
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "WebhookSettings[url=%s]", url == null ? "none" : "…");
    }
}
