package dev.countersink.config;

import java.util.Locale;
import org.springframework.boot.context.properties.ConfigurationProperties;

/**
 * Where NATS is, and how to log in there.
 *
 * @param url {@code nats://host:port}, {@code tls://host:port}, or several with commas; without one an embedded server
 *     is started
 * @param user with {@code password}
 * @param token instead of a user
 * @param credentials path of a {@code .creds} file
 * @param tls TLS even if the URL begins with {@code nats://}
 */
@ConfigurationProperties("countersink.nats")
public record NatsSettings(String url, String user, String password, String token, String credentials, boolean tls) {

    public NatsSettings {
        url = Check.orNull(url);
        user = Check.orNull(user);
        password = Check.orNull(password);
        token = Check.orNull(token);
        credentials = Check.orNull(credentials);
    }

    public static NatsSettings of(String url, String token) {
        return new NatsSettings(url, null, null, token, null, false);
    }

    public boolean embedded() {
        return url == null;
    }

    @Override
    public String toString() {
        return String.format(
                Locale.ROOT, "NatsSettings[url=%s, user=%s, credentials=%s, tls=%s]", url, user, credentials, tls);
    }
}
