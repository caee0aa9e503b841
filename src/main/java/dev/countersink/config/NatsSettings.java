package dev.countersink.config;

import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;

/**
 * The address of NATS, and how to log in.
 *
 * @param url {@code nats://host:port}, {@code tls://host:port}, or several separated by commas; if null, an embedded server
 *     is started
 * @param user together with {@code password}
 * @param token instead of a user
 * @param credentials path of a {@code .creds} file
 * @param tls TLS even if the URL begins with {@code nats://}
 * @param domain of JetStream, if the stream is in another domain than that of the server
 * @param prefix of JetStream's API as this account imports it, instead of a domain
 */
@ConfigurationProperties("countersink.nats")
public record NatsSettings(
        @Nullable String url,
        @Nullable String user,
        @Nullable String password,
        @Nullable String token,
        @Nullable String credentials,
        boolean tls,
        @Nullable String domain,
        @Nullable String prefix) {

    public NatsSettings {
        url = Check.orNull(url);
        user = Check.orNull(user);
        password = Check.orNull(password);
        token = Check.orNull(token);
        credentials = Check.orNull(credentials);
        domain = Check.orNull(domain);
        prefix = Check.orNull(prefix);
        if (domain != null && prefix != null) {
            throw new StartupException(
                    String.format(
                            Locale.ROOT,
                            "COUNTERSINK_NATS_DOMAIN is %s and COUNTERSINK_NATS_PREFIX is %s, but only one of them can be used.",
                            domain,
                            prefix),
                    "Leave one of them out.");
        }
    }

    public static NatsSettings of(String url, @Nullable String token) {
        return new NatsSettings(url, null, null, token, null, false, null, null);
    }

    public boolean embedded() {
        return url == null;
    }

    /** The address as it may be shown: without user, password and token. */
    public String shownUrl() {
        return String.valueOf(Shown.url(url));
    }

    /** Replaces the secrets in a message. */
    public String withoutSecrets(String message) {
        return Shown.without(message, url, password, token);
    }

    @Override
    public String toString() {
        return String.format(
                Locale.ROOT,
                "NatsSettings[url=%s, user=%s, credentials=%s, tls=%s, domain=%s, prefix=%s]",
                Shown.url(url),
                user,
                credentials,
                tls,
                domain,
                prefix);
    }
}
