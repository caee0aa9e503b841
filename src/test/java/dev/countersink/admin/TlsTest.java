package dev.countersink.admin;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.countersink.config.StartupException;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Keytool;
import dev.countersink.testing.TestFolder;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.Map;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.StandardEnvironment;

/** The web server with a certificate of its own. */
class TlsTest {
    private final Path folder = TestFolder.create("tls");
    private final Path certificate = folder.resolve("certificate.pem");
    private final Path key = folder.resolve("key.pem");

    private final ListAppender<ILoggingEvent> refused = new ListAppender<>();
    private final Logger reload =
            (Logger) LoggerFactory.getLogger("org.springframework.boot.autoconfigure.ssl.FileWatcher");

    @AfterEach
    void delete() throws Exception {
        reload.detachAppender(refused);
        TestFolder.delete(folder);
    }

    @Test
    void itSpeaksTlsAndFollowsARenewedCertificate() throws Exception {
        make("first");
        Map<String, Object> settings =
                Map.of("countersink.http.certificate", certificate.toString(), "countersink.http.key", key.toString());
        try (ItemService service = new ItemService(settings)) {
            int port = service.instance().port();
            assertThat(subject(port)).isEqualTo("CN=first");
            assertThat(ask(port)).startsWith("HTTP/1.1 200").contains("Strict-Transport-Security");
            refused.start();
            reload.addAppender(refused); // the start of the service has removed what was there
            // The key comes first, and the certificate may be long in coming.
            make("second", key);
            Eventually.await("it is tried", () -> refused.list, list -> !list.isEmpty());
            assertThat(subject(port)).isEqualTo("CN=first");
            make("third");
            Eventually.await("the new certificate", () -> subject(port), "CN=third"::equals);
            assertThat(ask(port)).startsWith("HTTP/1.1 200");
        }
    }

    @Test
    void whatIsNoCertificateIsRefusedInASentence() throws Exception {
        make("first");
        assertThatThrownBy(() -> configure(certificate, null))
                .hasRootCauseMessage("Of COUNTERSINK_HTTP_CERTIFICATE and COUNTERSINK_HTTP_KEY only one is set.");
        Path gone = folder.resolve("gone.pem");
        assertThatThrownBy(() -> configure(gone, key))
                .isInstanceOf(StartupException.class)
                .hasMessage("COUNTERSINK_HTTP_CERTIFICATE is " + gone + ", where no certificate can be read.");
        assertThatThrownBy(() -> configure(certificate, certificate))
                .isInstanceOf(StartupException.class)
                .hasMessage("COUNTERSINK_HTTP_KEY is " + certificate + ", where no private key can be read.");
        Path odd = Files.writeString(folder.resolve("odd.pem"), "-----BEGIN CERTIFICATE-----\nx\n");
        assertThatThrownBy(() -> configure(odd, key)).isInstanceOf(StartupException.class);
        configure(certificate, key);
        make("second", key);
        assertThatThrownBy(() -> configure(certificate, key))
                .isInstanceOf(StartupException.class)
                .hasMessage("COUNTERSINK_HTTP_KEY is " + key + ", which is not the key of the certificate in "
                        + certificate + ".");
    }

    private static void configure(Path certificate, Path key) {
        StandardEnvironment environment = new StandardEnvironment();
        environment
                .getPropertySources()
                .addFirst(new MapPropertySource(
                        "test",
                        key == null
                                ? Map.of("countersink.http.certificate", certificate.toString())
                                : Map.of(
                                        "countersink.http.certificate",
                                        certificate.toString(),
                                        "countersink.http.key",
                                        key.toString())));
        Tls.configure(environment);
    }

    /** Writes a new certificate and its key, each of which is replaced at once. */
    private void make(String name) throws Exception {
        make(name, key, certificate);
    }

    /** Writes those of the two that are named. */
    private void make(String name, Path... files) throws Exception {
        String store = name + ".p12";
        Keytool.run(folder, "-genkeypair", "-keyalg", "EC", "-alias", "x", "-dname", "CN=" + name, "-keystore", store);
        KeyStore keys = Keytool.load(folder.resolve(store));
        for (Path file : files) {
            write(
                    file,
                    file.equals(key)
                            ? Keytool.pem(
                                    "PRIVATE KEY",
                                    keys.getKey("x", Keytool.PASSWORD.toCharArray())
                                            .getEncoded())
                            : Keytool.pem(
                                    "CERTIFICATE", keys.getCertificate("x").getEncoded()));
        }
    }

    private static void write(Path file, String text) throws IOException {
        Path fresh = Files.writeString(file.resolveSibling(file.getFileName() + ".new"), text);
        Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
    }

    private static String subject(int port) {
        try (SSLSocket socket = connect(port)) {
            return ((X509Certificate) socket.getSession().getPeerCertificates()[0])
                    .getSubjectX500Principal()
                    .getName();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private static String ask(int port) throws Exception {
        try (SSLSocket socket = connect(port)) {
            socket.getOutputStream()
                    .write("GET /actuator/health/liveness HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                            .getBytes(StandardCharsets.US_ASCII));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
        }
    }

    private static SSLSocket connect(int port) throws Exception {
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, new TrustManager[] {new TrustsAll()}, null);
        SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket("127.0.0.1", port);
        socket.startHandshake();
        return socket;
    }

    private static final class TrustsAll implements X509TrustManager {
        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type) {}

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    }
}
