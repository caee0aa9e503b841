package dev.countersink.config;

import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * Where the admin API listens.
 *
 * @param port 0 takes a free one
 * @param address if null: all addresses, or only 127.0.0.1 if no API token is configured either
 * @param forwarded whether a proxy before this instance sets X-Forwarded-For, so that it is to be trusted
 */
@ConfigurationProperties("countersink.http")
public record HttpSettings(
        @DefaultValue("8080") int port,
        @Nullable String address,
        @DefaultValue("false") boolean forwarded) {

    public HttpSettings {
        Check.within("countersink.http.port", port, 0, 65_535, 8080);
        address = Check.orNull(address);
    }
}
