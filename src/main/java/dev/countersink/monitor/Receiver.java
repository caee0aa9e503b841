package dev.countersink.monitor;

import dev.countersink.config.StartupException;
import dev.countersink.config.WebhookSettings;
import dev.countersink.digest.Sha256;
import dev.countersink.tls.CertificateAuthority;
import java.io.IOException;
import java.io.InputStream;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpTimeoutException;
import java.nio.channels.UnresolvedAddressException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.cert.CertificateException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateNotYetValidException;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.Objects;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;

/** The HTTP server that the webhook tells. Whatever it does, there is an answer in time, and what is wrong is a sentence that names the setting. */
final class Receiver {
    static final String TIMESTAMP = "X-Countersink-Timestamp";
    static final String SIGNATURE = "X-Countersink-Signature";
    static final String DELIVERY = "X-Countersink-Delivery";

    private static final int CLASS = 100;
    private static final int SUCCESS = 2;
    private static final int REDIRECTION = 3;

    private final URI url;
    private final String secret;
    private final Duration patience;
    private final HttpClient http;

    /**
     * The receiver that the settings name.
     *
     * @param patience for how long an answer is waited for
     * @throws StartupException if the file with its authority cannot be read
     */
    Receiver(WebhookSettings settings, Duration patience) {
        this.url = URI.create(Objects.requireNonNull(settings.url()));
        this.secret = Objects.requireNonNull(settings.secret());
        this.patience = patience;
        // Over plain HTTP, the offer of HTTP/2 is more than some receivers can take.
        HttpClient.Builder client =
                HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(patience);
        Path authority = settings.caFile();
        this.http = (authority == null ? client : client.sslContext(trusting(authority))).build();
    }

    /** Sends a notice; returns why it was not taken, or an empty text. */
    String send(String delivery, String body) throws InterruptedException {
        String timestamp = Long.toString(Instant.now().getEpochSecond());
        HttpRequest request = HttpRequest.newBuilder(url)
                .header("Content-Type", "application/json")
                .header(TIMESTAMP, timestamp)
                .header(SIGNATURE, "sha256=" + signature(timestamp, body, secret))
                .header(DELIVERY, delivery)
                .timeout(patience)
                .POST(HttpRequest.BodyPublishers.ofString(body))
                .build();
        try {
            HttpResponse<InputStream> answer = http.send(request, HttpResponse.BodyHandlers.ofInputStream());
            answer.body().close(); // the status is all that is wanted, however long the rest is
            return problem(answer.statusCode());
        } catch (HttpTimeoutException e) {
            return String.format(Locale.ROOT, "it has not answered within %d s", patience.toSeconds());
        } catch (SSLException e) {
            return problem(e);
        } catch (ConnectException e) {
            return caused(e, UnresolvedAddressException.class)
                    ? "the host of COUNTERSINK_WEBHOOK_URL is not known here"
                    : "nobody takes a connection at COUNTERSINK_WEBHOOK_URL";
        } catch (IOException e) {
            return "it ends the connection without an answer of HTTP; see if COUNTERSINK_WEBHOOK_URL has to begin with https";
        }
    }

    /** Of the timestamp, a full stop and the body. */
    static String signature(String timestamp, String body, String secret) {
        return Sha256.signature(secret, timestamp + '.' + body);
    }

    private static String problem(int status) {
        return switch (status / CLASS) {
            case SUCCESS -> "";
            case REDIRECTION ->
                String.format(
                        Locale.ROOT,
                        "it answers %d, which leads elsewhere and is not followed: set COUNTERSINK_WEBHOOK_URL to where it leads",
                        status);
            default -> String.format(Locale.ROOT, "it answers %d", status);
        };
    }

    private static String problem(SSLException failure) {
        if (caused(failure, CertificateExpiredException.class)) {
            return "its certificate has expired, or the clock of this machine is wrong";
        }
        if (caused(failure, CertificateNotYetValidException.class)) {
            return "its certificate is not valid yet, or the clock of this machine is wrong";
        }
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof CertificateException
                    && cause.getCause() == null) { // as against a path that leads nowhere
                return "its certificate is for another host than COUNTERSINK_WEBHOOK_URL names";
            }
            if (cause instanceof GeneralSecurityException) {
                return "its certificate is signed by nobody who is trusted here: name a file with that authority's certificate,"
                        + " or with its own, in COUNTERSINK_WEBHOOK_CA_FILE";
            }
        }
        return "it cannot speak TLS with this program; see if COUNTERSINK_WEBHOOK_URL has to begin with http";
    }

    private static boolean caused(Throwable failure, Class<? extends Throwable> type) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (type.isInstance(cause)) {
                return true;
            }
        }
        return false;
    }

    private static SSLContext trusting(Path file) {
        return CertificateAuthority.trusted(file)
                .orElseThrow(() -> new StartupException(
                        String.format(
                                Locale.ROOT,
                                "COUNTERSINK_WEBHOOK_CA_FILE is %s, where no certificate can be read.",
                                file),
                        "Name a file in PEM with the certificate of the authority that has signed the receiver's.",
                        null));
    }
}
