package dev.countersink.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.Keytool;
import dev.countersink.testing.TestFolder;
import dev.countersink.testing.TestInstance;
import dev.countersink.testing.TestNats;
import dev.countersink.testing.TestPostgres;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Commands for an instance whose certificate an authority has signed that Java does not know. */
class ClientTlsTest {
    private static final int NO_ANSWER = 3;

    private static Path folder;
    private static TestNats nats;
    private static TestInstance instance;
    private static Path token;

    @BeforeAll
    static void start() throws Exception {
        folder = TestFolder.create("client-tls");
        token = Files.writeString(folder.resolve("token"), TestInstance.token());
        authority("ours");
        authority("others");
        KeyStore server = signed("server", "ours", "SAN=ip:127.0.0.1");
        write(
                "key.pem",
                "PRIVATE KEY",
                server.getKey("x", Keytool.PASSWORD.toCharArray()).getEncoded());
        write("server.pem", "CERTIFICATE", server.getCertificate("x").getEncoded());
        DbSettings db = TestPostgres.migrated();
        nats = new TestNats();
        instance = TestInstance.start(
                db,
                nats,
                Map.of(
                        "countersink.http.certificate",
                                folder.resolve("server.pem").toString(),
                        "countersink.http.key", folder.resolve("key.pem").toString()));
    }

    @AfterAll
    static void stop() throws Exception {
        if (instance != null) {
            instance.close();
        }
        if (nats != null) {
            nats.close();
        }
        TestFolder.delete(folder);
    }

    /** What a command has printed. */
    private record Printed(int status, String out, String err) {}

    @Test
    void itsCertificateIsTrustedByTheAuthoritysFileAlone() {
        Printed trusted = views("https://127.0.0.1:" + instance.port(), "ours.pem");
        assertThat(trusted.err()).isEmpty();
        assertThat(trusted.status()).isZero();
        assertThat(trusted.out()).startsWith("NAME ");
        for (Printed refused : List.of(
                views("https://127.0.0.1:" + instance.port(), null),
                views("https://127.0.0.1:" + instance.port(), "others.pem"))) {
            assertThat(refused.status()).isEqualTo(NO_ANSWER);
            assertThat(refused.err()).contains("The certificate of https://127.0.0.1", "is not trusted", "--ca-file");
        }
    }

    @Test
    void anotherNameThanTheCertificatesIsRefusedInSpiteOfTheFile() {
        Printed refused = views("https://localhost:" + instance.port(), "ours.pem");
        assertThat(refused.status()).isEqualTo(NO_ANSWER);
        assertThat(refused.err()).contains("is not trusted", "localhost");
    }

    @Test
    void aFileWithoutCertificatesAndOneForHttpAreRefused() throws Exception {
        for (String text : new String[] {"", "no certificate", "-----BEGIN CERTIFICATE-----\nx\n"}) {
            Files.writeString(folder.resolve("odd.pem"), text);
            Printed odd = views("https://127.0.0.1:" + instance.port(), "odd.pem");
            assertThat(odd.status()).as(text).isEqualTo(1);
            assertThat(odd.err()).contains("No certificate can be read from ", "odd.pem");
        }
        assertThat(views("https://127.0.0.1:" + instance.port(), "gone.pem").err())
                .contains("No certificate can be read from ", "gone.pem");
        Printed plain = views("http://127.0.0.1:" + instance.port(), "ours.pem");
        assertThat(plain.status()).isEqualTo(2);
        assertThat(plain.err()).contains("--ca-file is for an address with https");
    }

    private static Printed views(String url, String authority) {
        List<String> words = new ArrayList<>(List.of("views", "--url", url, "--token-file", token.toString()));
        if (authority != null) {
            words.addAll(List.of("--ca-file", folder.resolve(authority).toString()));
        }
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        int status = Commands.line(new Commands())
                .setOut(new PrintWriter(out))
                .setErr(new PrintWriter(err))
                .execute(words.toArray(String[]::new));
        return new Printed(status, out.toString(), err.toString());
    }

    private static void authority(String name) throws Exception {
        Keytool.run(
                folder,
                "-genkeypair",
                "-keyalg",
                "EC",
                "-alias",
                "x",
                "-dname",
                "CN=" + name,
                "-ext",
                "bc:c",
                "-keystore",
                name);
        write(
                name + ".pem",
                "CERTIFICATE",
                Keytool.load(folder.resolve(name)).getCertificate("x").getEncoded());
    }

    /** A certificate that an authority has signed, with its key. */
    private static KeyStore signed(String name, String authority, String extension) throws Exception {
        Keytool.run(folder, "-genkeypair", "-keyalg", "EC", "-alias", "x", "-dname", "CN=" + name, "-keystore", name);
        Keytool.run(folder, "-certreq", "-alias", "x", "-keystore", name, "-file", name + ".csr");
        Keytool.run(
                folder,
                "-gencert",
                "-alias",
                "x",
                "-keystore",
                authority,
                "-infile",
                name + ".csr",
                "-outfile",
                name + ".der",
                "-ext",
                extension);
        Keytool.run(folder, "-importcert", "-noprompt", "-alias", "ca", "-keystore", name, "-file", authority + ".pem");
        Keytool.run(folder, "-importcert", "-alias", "x", "-keystore", name, "-file", name + ".der");
        return Keytool.load(folder.resolve(name));
    }

    private static void write(String file, String type, byte[] bytes) throws Exception {
        Files.writeString(folder.resolve(file), Keytool.pem(type, bytes));
    }
}
