package dev.countersink.client;

import dev.countersink.tls.CertificateAuthority;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import javax.net.ssl.SSLContext;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import tools.jackson.databind.JsonNode;

/** What all commands that call the API have in common: where it is, the token, and how answers are printed. */
abstract class ClientCommand implements Callable<Integer> {
    private static final String TOKEN = "COUNTERSINK_API_TOKEN";

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before call()
    private CommandSpec spec;

    @Option(
            names = "--url",
            paramLabel = "URL",
            defaultValue = "http://localhost:8080",
            description = "the instance (${DEFAULT-VALUE})")
    private String url = "";

    @Option(
            names = "--token-file",
            paramLabel = "FILE",
            description = "a file with the token; without it COUNTERSINK_API_TOKEN")
    private @Nullable Path tokenFile;

    @Option(
            names = "--ca-file",
            paramLabel = "FILE",
            description =
                    "certificates in PEM: the server's has to be signed by one of them; without it, by one that Java trusts")
    private @Nullable Path caFile;

    @Option(names = "--json", description = "print JSON, for programs")
    private boolean json;

    @Override
    public final Integer call() {
        if (caFile != null && !url.toLowerCase(Locale.ROOT).startsWith("https:")) {
            throw misused(String.format(Locale.ROOT, "--ca-file is for an address with https, and --url is %s.", url));
        }
        return execute(new ApiClient(url.replaceFirst("/+$", ""), token(), caFile == null ? null : trusting(caFile)));
    }

    private static SSLContext trusting(Path file) {
        return CertificateAuthority.trusted(file)
                .orElseThrow(() -> new ClientException(
                        ClientException.REFUSED,
                        String.format(Locale.ROOT, "No certificate can be read from %s.", file),
                        "Name a file in PEM with the certificate of the authority that has signed the server's."));
    }

    /** Returns the exit status. */
    abstract int execute(ApiClient api);

    private @Nullable String token() {
        if (tokenFile == null) {
            return System.getenv(TOKEN);
        }
        try {
            return Files.readString(tokenFile).strip();
        } catch (IOException e) {
            throw new ClientException(
                    ClientException.REFUSED,
                    String.format(Locale.ROOT, "The token cannot be read from %s.", tokenFile),
                    "Name a file that this user may read.");
        }
    }

    /** Refuses the command line. */
    final ParameterException misused(String sentence) {
        return new ParameterException(spec.commandLine(), sentence);
    }

    final PrintWriter out() {
        return spec.commandLine().getOut();
    }

    final boolean wantsJson() {
        return json;
    }

    /** Prints an answer as it is for programs, or its rows as a table for people. */
    final void print(JsonNode answer, List<String> columns) {
        if (json) {
            out().println(answer.toString());
        } else {
            Table.print(answer.path("items"), columns, out());
        }
    }

    /** Prints an answer as it is for programs, or its fields in lines for people. */
    final void print(JsonNode answer) {
        if (json) {
            out().println(answer.toString());
        } else {
            answer.properties()
                    .forEach(field -> out().println(String.format(
                            Locale.ROOT, "%-18s %s", field.getKey(), Table.text(field.getValue()))));
        }
    }
}
