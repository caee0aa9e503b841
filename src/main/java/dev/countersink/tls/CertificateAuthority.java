package dev.countersink.tls;

import java.io.IOException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Optional;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.springframework.boot.ssl.pem.PemContent;

/** Trust in the certificates of one file alone, as for a server whose certificate a company has signed itself. */
public final class CertificateAuthority {
    private CertificateAuthority() {}

    /**
     * TLS that trusts those certificates, and what they have signed.
     *
     * @param file in PEM; whatever else is in it is passed over
     * @return empty if no certificate can be read from the file
     */
    public static Optional<SSLContext> trusted(Path file) {
        List<X509Certificate> certificates = certificates(file);
        if (certificates.isEmpty()) {
            return Optional.empty();
        }
        try {
            KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
            store.load(null, null);
            int n = 0;
            for (X509Certificate certificate : certificates) {
                store.setCertificateEntry("ca-" + n++, certificate);
            }
            TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            trust.init(store);
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, trust.getTrustManagers(), null);
            return Optional.of(context);
        } catch (IOException | GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private static List<X509Certificate> certificates(Path file) {
        try {
            return PemContent.load(file).getCertificates();
        } catch (IOException | IllegalStateException | IllegalArgumentException e) {
            return List.of();
        }
    }
}
