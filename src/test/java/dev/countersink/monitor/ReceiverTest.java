package dev.countersink.monitor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import dev.countersink.config.StartupException;
import dev.countersink.config.WebhookSettings;
import dev.countersink.testing.Keytool;
import dev.countersink.testing.TestFolder;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is wrong with a receiver is told in a sentence that names the setting, without a word of Java's. */
class ReceiverTest {
    private static final Duration PATIENCE = Duration.ofSeconds(20);
    private static final InetAddress HERE = InetAddress.getLoopbackAddress();
    private static final String AUTHORITY = "COUNTERSINK_WEBHOOK_CA_FILE";

    private static Path folder;
    private ExecutorService threads;
    private HttpServer server;

    @BeforeAll
    static void makeCertificates() throws Exception {
        folder = TestFolder.create("receiver");
        make("authority", "bc:c");
        make("own", "san=ip:127.0.0.1");
        make("other", "san=ip:127.0.0.1");
        make("elsewhere", "san=dns:elsewhere.example");
        sign("old", "-400d");
        sign("early", "+10d");
    }

    @AfterAll
    static void delete() {
        TestFolder.delete(folder);
    }

    @BeforeEach
    void open() {
        threads = Executors.newCachedThreadPool();
    }

    @AfterEach
    void close() {
        if (server != null) {
            server.stop(0);
        }
        threads.shutdownNow();
    }

    @Test
    void aCertificateOfItsOwnIsTakenIfItsFileIsNamed() throws Exception {
        serve("own");
        assertThat(told("https", "own.pem")).isEmpty();
        assertThat(told("https", null)).contains("signed by nobody who is trusted here", AUTHORITY);
        assertThat(told("https", "other.pem")).contains("signed by nobody who is trusted here", AUTHORITY);
    }

    @Test
    void aCertificateForAnotherHostIsRefused() throws Exception {
        serve("elsewhere");
        assertThat(told("https", "elsewhere.pem"))
                .isEqualTo("its certificate is for another host than COUNTERSINK_WEBHOOK_URL names");
    }

    @Test
    void aCertificateIsRefusedBeforeAndAfterItsTime() throws Exception {
        serve("old");
        assertThat(told("https", "authority.pem")).startsWith("its certificate has expired");
        server.stop(0);
        serve("early");
        assertThat(told("https", "authority.pem")).startsWith("its certificate is not valid yet");
    }

    @Test
    void theWrongSchemeIsNamed() throws Exception {
        serve("own");
        assertThat(told("http", null)).contains("COUNTERSINK_WEBHOOK_URL has to begin with https");
        String plain = odd("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "https");
        assertThat(plain).endsWith("see if COUNTERSINK_WEBHOOK_URL has to begin with http");
    }

    @ParameterizedTest
    @ValueSource(ints = {301, 302, 303, 307, 308})
    void aRedirectIsNotFollowed(int status) throws Exception {
        serve(null, exchange -> {
            exchange.getResponseHeaders().set("Location", "/elsewhere?token=hidden");
            exchange.sendResponseHeaders(status, -1);
        });
        assertThat(told("http", null))
                .isEqualTo("it answers " + status
                        + ", which leads elsewhere and is not followed: set COUNTERSINK_WEBHOOK_URL to where it leads");
    }

    @Test
    void anAnswerWithoutEndIsNotRead() throws Exception {
        serve(null, exchange -> {
            exchange.sendResponseHeaders(500, 0);
            byte[] much = new byte[64 * 1024];
            while (true) {
                exchange.getResponseBody().write(much); // until nobody reads it any more
            }
        });
        assertThat(told("http", null)).isEqualTo("it answers 500");
    }

    @Test
    void whoTakesAConnectionAndSaysNothingIsGivenUp() throws Exception {
        for (String scheme : new String[] {"http", "https"}) {
            try (ServerSocket silent = new ServerSocket(0, 1, HERE)) {
                assertThat(receiver(scheme, silent.getLocalPort(), null, Duration.ofSeconds(1))
                                .send("1-firing", "{}"))
                        .isEqualTo("it has not answered within 1 s");
            }
        }
    }

    @Test
    void whatIsNoHttpIsTold() throws Exception {
        assertThat(odd("220 mail.example.org ESMTP\r\n", "http"))
                .startsWith("it ends the connection without an answer of HTTP");
    }

    /** What is told of a server that says this to everybody. */
    private String odd(String said, String scheme) throws Exception {
        try (ServerSocket odd = new ServerSocket(0, 1, HERE)) {
            threads.execute(() -> {
                try (Socket socket = odd.accept();
                        OutputStream out = socket.getOutputStream()) {
                    assertThat(socket.getInputStream().read()).isPositive();
                    out.write(said.getBytes(StandardCharsets.US_ASCII));
                } catch (IOException e) {
                    // The test is over.
                }
            });
            return receiver(scheme, odd.getLocalPort(), null, PATIENCE).send("1-firing", "{}");
        }
    }

    @Test
    void whereNobodyListensIsTold() throws Exception {
        int port;
        try (ServerSocket closed = new ServerSocket(0, 1, HERE)) {
            port = closed.getLocalPort();
        }
        assertThat(receiver("http", port, null, PATIENCE).send("1-firing", "{}"))
                .isEqualTo("nobody takes a connection at COUNTERSINK_WEBHOOK_URL");
        WebhookSettings unknown = new WebhookSettings("http://no-such-host.invalid/", "a-secret-for-the-tests", null);
        assertThat(new Receiver(unknown, PATIENCE).send("1-firing", "{}"))
                .isEqualTo("the host of COUNTERSINK_WEBHOOK_URL is not known here");
    }

    @Test
    void aFileWithoutCertificatesIsRefusedAtTheStart() throws Exception {
        Files.writeString(folder.resolve("empty.pem"), "no certificate");
        for (String file : new String[] {"empty.pem", "gone.pem"}) {
            assertThatThrownBy(() -> receiver("https", 443, file, PATIENCE))
                    .isInstanceOf(StartupException.class)
                    .hasMessage(AUTHORITY + " is " + folder.resolve(file) + ", where no certificate can be read.");
        }
    }

    private interface Answer {
        void write(HttpExchange exchange) throws IOException;
    }

    private String told(String scheme, String authority) throws InterruptedException {
        return receiver(scheme, server.getAddress().getPort(), authority, PATIENCE)
                .send("1-firing", "{}");
    }

    private static Receiver receiver(String scheme, int port, String authority, Duration patience) {
        return new Receiver(
                new WebhookSettings(
                        scheme + "://127.0.0.1:" + port + "/alerts",
                        "a-secret-for-the-tests",
                        authority == null ? null : folder.resolve(authority)),
                patience);
    }

    private void serve(String certificate) throws Exception {
        serve(certificate, exchange -> exchange.sendResponseHeaders(204, -1));
    }

    private void serve(String certificate, Answer answer) throws Exception {
        InetSocketAddress address = new InetSocketAddress(HERE, 0);
        if (certificate == null) {
            server = HttpServer.create(address, 0);
        } else {
            HttpsServer https = HttpsServer.create(address, 0);
            https.setHttpsConfigurator(new HttpsConfigurator(tls(Keytool.load(folder.resolve(certificate)))));
            server = https;
        }
        server.createContext("/", exchange -> {
            exchange.getRequestBody().readAllBytes();
            try (exchange) {
                answer.write(exchange);
            }
        });
        server.setExecutor(threads);
        server.start();
    }

    private static SSLContext tls(KeyStore keys) throws Exception {
        KeyManagerFactory managers = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        managers.init(keys, Keytool.PASSWORD.toCharArray());
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(managers.getKeyManagers(), null, null);
        return context;
    }

    /** A certificate that has signed itself. */
    private static void make(String name, String extension) throws Exception {
        keytool(name, "-genkeypair", "-keyalg", "EC", "-dname", "CN=" + name, "-ext", extension);
        write(name, Keytool.load(folder.resolve(name)).getCertificate("x").getEncoded());
    }

    /** A certificate of the authority for this machine, valid for a year. */
    private static void sign(String name, String from) throws Exception {
        keytool(name, "-genkeypair", "-keyalg", "EC", "-dname", "CN=" + name);
        keytool(name, "-certreq", "-file", name + ".csr");
        keytool(
                "authority",
                "-gencert",
                "-infile",
                name + ".csr",
                "-outfile",
                name + ".der",
                "-ext",
                "san=ip:127.0.0.1",
                "-startdate",
                from,
                "-validity",
                "365");
        Keytool.run(folder, "-importcert", "-noprompt", "-alias", "ca", "-keystore", name, "-file", "authority.pem");
        keytool(name, "-importcert", "-noprompt", "-file", name + ".der");
    }

    private static void keytool(String store, String... words) throws Exception {
        List<String> command = new ArrayList<>(List.of(words));
        command.addAll(List.of("-alias", "x", "-keystore", store));
        Keytool.run(folder, command.toArray(String[]::new));
    }

    private static void write(String name, byte[] certificate) throws Exception {
        Files.writeString(folder.resolve(name + ".pem"), Keytool.pem("CERTIFICATE", certificate));
    }
}
