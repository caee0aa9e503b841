package dev.countersink.db;

import dev.countersink.config.DbSettings;
import dev.countersink.config.StartupException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A PostgreSQL address in the driver's format, made from any of its usual spellings.
 *
 * @param url {@code jdbc:postgresql://…}, without user and password
 * @param user of the settings, otherwise of the URL; may be null
 * @param password of the settings, otherwise of the URL; may be null
 */
record JdbcUrl(String url, @Nullable String user, @Nullable String password) {
    private static final String JDBC = "jdbc:";

    static JdbcUrl of(DbSettings settings) {
        String text = Objects.requireNonNull(settings.url(), "an embedded server has no URL before it runs");
        if (text.startsWith("jdbc:postgresql:")) {
            return new JdbcUrl(text, settings.user(), settings.password());
        }
        if (!text.startsWith("postgres://") && !text.startsWith("postgresql://")) {
            throw refused(null);
        }
        try {
            URI uri = new URI(text);
            String[] login = uri.getRawUserInfo() == null
                    ? new String[0]
                    : uri.getRawUserInfo().split(":", 2);
            // Taken from the text, because java.net.URI returns no host if there are several with commas.
            String authority = uri.getRawAuthority() == null ? "" : uri.getRawAuthority();
            String hosts = authority.substring(authority.lastIndexOf('@') + 1);
            String query = uri.getRawQuery() == null ? "" : "?" + uri.getRawQuery();
            return new JdbcUrl(
                    JDBC + "postgresql://" + hosts + uri.getRawPath() + query,
                    settings.user() != null ? settings.user() : part(login, 0),
                    settings.password() != null ? settings.password() : part(login, 1));
        } catch (URISyntaxException e) {
            throw refused(e);
        }
    }

    private static @Nullable String part(String[] login, int index) {
        return login.length > index
                ? URLDecoder.decode(login[index].replace("+", "%2B"), StandardCharsets.UTF_8)
                : null;
    }

    private static StartupException refused(@Nullable Exception cause) {
        return new StartupException(
                "countersink.db.url is no PostgreSQL address: it must begin with jdbc:postgresql:// or postgres://.",
                "Write it as in jdbc:postgresql://db.example.org:5432/app, or leave it out for an embedded server.",
                cause);
    }
}
