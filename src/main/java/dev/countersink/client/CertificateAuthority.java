package dev.countersink.client;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.util.Collection;
import java.util.Locale;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Trust in the certificates of one file alone, as for a server whose certificate a company has signed itself. */
final class CertificateAuthority {
    private CertificateAuthority() {}

    /**
     * TLS that trusts those certificates, and what they have signed.
     *
     * @param file in PEM or DER
     * @throws ClientException if it has none
     */
    static SSLContext trusted(Path file) {
        try {
            KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
            store.load(null, null);
            int n = 0;
            for (Certificate certificate : certificates(file)) {
                store.setCertificateEntry("ca-" + n++, certificate);
            }
            TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            trust.init(store);
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, trust.getTrustManagers(), null);
            return context;
        } catch (IOException | GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private static Collection<? extends Certificate> certificates(Path file) {
        try (InputStream stream = Files.newInputStream(file)) {
            Collection<? extends Certificate> all =
                    CertificateFactory.getInstance("X.509").generateCertificates(stream);
            if (!all.isEmpty()) {
                return all;
            }
        } catch (IOException | CertificateException e) {
            throw refused(file);
        }
        throw refused(file);
    }

    private static ClientException refused(Path file) {
        return new ClientException(
                ClientException.REFUSED,
                String.format(Locale.ROOT, "No certificate can be read from %s.", file),
                "Name a file in PEM with the certificate of the authority that has signed the server's.");
    }
}
