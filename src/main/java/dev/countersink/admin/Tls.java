package dev.countersink.admin;

import dev.countersink.config.HttpSettings;
import dev.countersink.config.StartupException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.autoconfigure.ssl.PemSslBundleProperties;
import org.springframework.boot.autoconfigure.ssl.PropertiesSslBundle;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.ssl.pem.PemContent;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.MapPropertySource;

/** TLS of the web server, by a bundle of Spring's that follows its files: a certificate that is renewed is used at once. */
public final class Tls {
    private static final String BUNDLE = "countersink";
    private static final String OF_BUNDLE = "spring.ssl.bundle.pem." + BUNDLE;
    private static final String HINT =
            "Name a file in PEM: the certificate and those that signed it, or the private key.";

    private Tls() {}

    /**
     * Turns it on if the settings name a certificate.
     *
     * @throws StartupException if a file cannot be used
     */
    public static void configure(ConfigurableEnvironment environment) {
        HttpSettings http = Binder.get(environment).bindOrCreate("countersink.http", HttpSettings.class);
        Path certificate = http.certificate();
        Path key = http.key();
        if (certificate == null || key == null) {
            return;
        }
        require("COUNTERSINK_HTTP_CERTIFICATE", certificate, "certificate", content -> content.getCertificates());
        require("COUNTERSINK_HTTP_KEY", key, "private key", content -> content.getPrivateKey());
        requireOneOfTheOther(certificate, key);
        environment
                .getPropertySources()
                .addFirst(new MapPropertySource(
                        "tls",
                        Map.of(
                                OF_BUNDLE + ".keystore.certificate",
                                "file:" + certificate.toAbsolutePath(),
                                OF_BUNDLE + ".keystore.private-key",
                                "file:" + key.toAbsolutePath(),
                                // A key that is not the certificate's keeps the pair before it in use.
                                OF_BUNDLE + ".keystore.verify-keys",
                                true,
                                OF_BUNDLE + ".reload-on-update",
                                true,
                                "server.ssl.bundle",
                                BUNDLE)));
    }

    /** Reads a part of a file. */
    private interface Part {
        @Nullable
        Object of(PemContent content);
    }

    private static void require(String setting, Path file, String what, Part part) {
        try {
            if (part.of(PemContent.load(file)) != null) {
                return;
            }
        } catch (IOException | IllegalStateException | IllegalArgumentException e) {
            throw refused(setting, file, what, e);
        }
        throw refused(setting, file, what, null);
    }

    private static void requireOneOfTheOther(Path certificate, Path key) {
        PemSslBundleProperties both = new PemSslBundleProperties();
        both.getKeystore().setCertificate("file:" + certificate.toAbsolutePath());
        both.getKeystore().setPrivateKey("file:" + key.toAbsolutePath());
        both.getKeystore().setVerifyKeys(true);
        try {
            PropertiesSslBundle.get(both).getStores().getKeyStore();
        } catch (IllegalStateException e) {
            throw new StartupException(
                    String.format(
                            Locale.ROOT,
                            "COUNTERSINK_HTTP_KEY is %s, which is not the key of the certificate in %s.",
                            key,
                            certificate),
                    "Name the private key that the certificate was made for.",
                    e);
        }
    }

    private static StartupException refused(String setting, Path file, String what, @Nullable Exception cause) {
        return new StartupException(
                String.format(Locale.ROOT, "%s is %s, where no %s can be read.", setting, file, what), HINT, cause);
    }
}
