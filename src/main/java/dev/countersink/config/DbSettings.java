package dev.countersink.config;

import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * The address of PostgreSQL.
 *
 * @param url {@code jdbc:postgresql://…} or {@code postgres://…}; without one an embedded server is started
 * @param user overrides a user in the URL
 * @param password overrides a password in the URL
 * @param poolSize connections of this instance, at least 4
 */
@ConfigurationProperties("countersink.db")
public record DbSettings(
        @Nullable String url,
        @Nullable String user,
        @Nullable String password,
        @DefaultValue("12") int poolSize) {
    public static final int DEFAULT_POOL_SIZE = 12;

    public DbSettings {
        url = Check.orNull(url);
        user = Check.orNull(user);
        password = Check.orNull(password);
        Check.within("countersink.db.pool-size", poolSize, 4, 1000, DEFAULT_POOL_SIZE);
    }

    public static DbSettings of(@Nullable String url, @Nullable String user, @Nullable String password) {
        return new DbSettings(url, user, password, DEFAULT_POOL_SIZE);
    }

    public boolean embedded() {
        return url == null;
    }

    /** The address as it may be shown: without user, password and parameters. */
    public String shownUrl() {
        return String.valueOf(Shown.url(url));
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "DbSettings[url=%s, user=%s, poolSize=%d]", Shown.url(url), user, poolSize);
    }
}
