package dev.countersink.db;

import dev.countersink.config.DbSettings;
import dev.countersink.config.StartupException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A PostgreSQL address in the driver's format, made from any of its usual spellings.
 *
 * @param url {@code jdbc:postgresql://…}, without user and password
 * @param user of the settings, otherwise of the URL; may be null
 * @param password of the settings, otherwise of the URL; may be null
 */
record JdbcUrl(String url, @Nullable String user, @Nullable String password) {
    private static final String JDBC = "jdbc:postgresql:";
    private static final List<String> SCHEMES = List.of("jdbc:postgresql://", "postgres://", "postgresql://");
    private static final Pattern HOSTS =
            Pattern.compile("(?:(?:[^:,@\\[\\]\\s]*|\\[[0-9A-Fa-f:.%]*\\])(?::\\d{1,5})?,?)*");
    private static final int SHORTEST_SECRET = 3;

    static JdbcUrl of(DbSettings settings) {
        String text = Objects.requireNonNull(settings.url(), "an embedded server has no URL before it runs");
        Optional<String> scheme = SCHEMES.stream().filter(text::startsWith).findFirst();
        if (scheme.isEmpty()) {
            if (text.startsWith(JDBC)) {
                return new JdbcUrl(text, settings.user(), settings.password());
            }
            throw refused("it must begin with jdbc:postgresql:// or postgres://");
        }
        String rest = text.substring(scheme.get().length());
        int at = endOfLogin(rest);
        String[] login = at < 0 ? new String[0] : rest.substring(0, at).split(":", 2);
        String place = rest.substring(at + 1);
        if (!HOSTS.matcher(authority(place)).matches()) {
            throw refused("its host or port cannot be read");
        }
        return new JdbcUrl(
                JDBC + "//" + place,
                settings.user() != null ? settings.user() : part(login, 0),
                settings.password() != null ? settings.password() : part(login, 1));
    }

    /** The address as it may be shown: parameters may have a password. */
    String shown() {
        return url.replaceFirst("\\?.*", "");
    }

    /** Replaces passwords in a message of the driver. */
    String withoutSecrets(String message) {
        String shown = message.replace(url, shown());
        Matcher parameter = Pattern.compile("(?i)[?&][a-z]*password=([^&]*)").matcher(url);
        while (parameter.find()) {
            shown = without(without(shown, parameter.group(1)), decoded(parameter.group(1)));
        }
        return password == null ? shown : without(shown, password);
    }

    private static String without(String text, String secret) {
        return secret.length() < SHORTEST_SECRET ? text : text.replace(secret, "…");
    }

    /**
     * The index of the @ after user and password, -1 if there is none. A password may have any characters, as they are or as
     * %XX; a host has neither @ nor a port that is no number.
     */
    private static int endOfLogin(String rest) {
        String authority = authority(rest);
        int at = authority.lastIndexOf('@');
        return at >= 0 || HOSTS.matcher(authority).matches() ? at : rest.lastIndexOf('@');
    }

    private static String authority(String rest) {
        return rest.split("[/?]", 2)[0];
    }

    private static @Nullable String part(String[] login, int index) {
        return login.length > index ? decoded(login[index]) : null;
    }

    /** A % that begins no %XX stands for itself. */
    private static String decoded(String text) {
        try {
            return URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            return text;
        }
    }

    private static StartupException refused(String why) {
        return new StartupException(
                "COUNTERSINK_DB_URL is no PostgreSQL address: " + why + ".",
                "Write it as in postgres://user:password@db.example.org:5432/app, or leave it out for an embedded server;"
                        + " in a user or password, special characters are written as %XX.");
    }
}
