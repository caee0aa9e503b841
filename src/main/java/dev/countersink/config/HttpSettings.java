package dev.countersink.config;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * Where the admin API listens.
 *
 * @param port 0 takes a free one
 * @param address if null: all addresses, or only 127.0.0.1 if no API token is configured either
 * @param forwarded whether a proxy before this instance sets X-Forwarded-For, so that it is to be trusted
 * @param certificate a PEM file; with it the API speaks TLS only
 * @param key a PEM file with its private key
 */
@ConfigurationProperties("countersink.http")
public record HttpSettings(
        @DefaultValue("8080") int port,
        @Nullable String address,
        @DefaultValue("false") boolean forwarded,
        @Nullable Path certificate,
        @Nullable Path key) {

    public HttpSettings {
        Check.within("countersink.http.port", port, 0, 65_535, 8080);
        address = Check.orNull(address);
        certificate = orNull(certificate);
        key = orNull(key);
        if ((certificate == null) != (key == null)) {
            throw new StartupException(
                    "Of COUNTERSINK_HTTP_CERTIFICATE and COUNTERSINK_HTTP_KEY only one is set.",
                    "Set both for TLS, or neither.");
        }
    }

    private static @Nullable Path orNull(@Nullable Path file) {
        return file == null || file.toString().isBlank() ? null : file;
    }

    /** As a browser on this machine would name it. */
    public String host() {
        if (address == null || "0.0.0.0".equals(address) || "::".equals(address)) {
            return "localhost";
        }
        return address.indexOf(':') < 0 ? address : "[" + address + "]";
    }
}
