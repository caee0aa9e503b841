package dev.countersink.testing;

import dev.countersink.config.DbSettings;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** PostgreSQL's own program that runs the steps of several sessions in a given order and shows which of them wait. */
public final class IsolationTester {
    public static final String HOW_TO_INSTALL =
            "isolationtester is not installed: './countersink test' fetches it on Debian and Ubuntu; elsewhere it comes"
                    + " with the client programs of PostgreSQL 14 or newer, or with what builds extensions, and -Disolationtester=PATH says where.";

    private static final String NAME = "isolationtester";
    private static final Path IN_PGXS = Path.of("src", "test", "isolation", NAME);
    private static final Path PACKAGES = Path.of("/usr/lib/postgresql");
    private static final Path FETCHED = Path.of("target", "isolation", "usr", "lib", "postgresql");
    private static final Pattern VERSION = Pattern.compile("\\(PostgreSQL\\) (\\d+)");
    private static final int OLDEST = 14;
    private static final Duration PATIENCE = Duration.ofMinutes(5);

    private final Path program;
    private final Map<String, String> environment;

    private IsolationTester(Path program, Map<String, String> environment) {
        this.program = program;
        this.environment = environment;
    }

    /**
     * The first one that exists: from the system property, the PATH, the folders of packages, or fetched by the script.
     *
     * @param libraries a folder with libpq, for a machine without it
     */
    public static Optional<IsolationTester> find(String libraries) {
        return places().stream()
                .filter(Files::isExecutable)
                .flatMap(program -> Stream.of(
                        new IsolationTester(program, Map.of()),
                        new IsolationTester(program, Map.of("LD_LIBRARY_PATH", libraries))))
                .filter(IsolationTester::runs)
                .findFirst();
    }

    private static List<Path> places() {
        if (System.getProperty(NAME) != null) {
            return List.of(Path.of(System.getProperty(NAME)));
        }
        List<Path> places = new ArrayList<>();
        for (String folder : System.getenv("PATH").split(File.pathSeparator)) {
            places.add(Path.of(folder, NAME));
        }
        places.addAll(versions(PACKAGES));
        ofPgConfig().ifPresent(places::add);
        places.addAll(versions(FETCHED));
        return places;
    }

    /** Searches a folder that has a folder for each major version, the newest first. */
    private static List<Path> versions(Path folder) {
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> versions = Files.list(folder)) {
            return versions.sorted(Comparator.reverseOrder())
                    .map(version -> version.resolve("lib").resolve("pgxs").resolve(IN_PGXS))
                    .toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Next to the makefiles that pg_config reports. */
    private static Optional<Path> ofPgConfig() {
        try {
            Output output = execute(new ProcessBuilder("pg_config", "--pgxs"));
            // <pgxs>/src/makefiles/pgxs.mk
            Path makefile = Path.of(output.text().strip());
            return output.status() == 0 && makefile.getNameCount() > 3
                    ? Optional.of(makefile.getParent().getParent().getParent().resolve(IN_PGXS))
                    : Optional.empty();
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    private boolean runs() {
        try {
            Output output = execute(command("-V"));
            Matcher version = VERSION.matcher(output.text());
            return output.status() == 0 && version.find() && Integer.parseInt(version.group(1)) >= OLDEST;
        } catch (IOException e) {
            return false;
        }
    }

    /** Its output for a spec. Each session has this isolation level, unless a step sets another one. */
    public String run(DbSettings db, Path spec, String level) throws IOException {
        URI url = URI.create(db.url().substring("jdbc:".length()));
        ProcessBuilder command = command("host=%s port=%d user=%s password=%s dbname=%s"
                .formatted(
                        url.getHost(),
                        url.getPort(),
                        db.user(),
                        db.password(),
                        url.getPath().substring(1)));
        command.redirectInput(spec.toFile());
        command.environment()
                .put(
                        "PGOPTIONS",
                        "-c default_transaction_isolation=%s -c statement_timeout=20s -c client_min_messages=warning"
                                .formatted(level.replace(" ", "\\ ")));
        Output output = execute(command);
        if (output.status() != 0) {
            throw new AssertionError("isolationtester ended with %d:%n%s".formatted(output.status(), output.text()));
        }
        return output.text();
    }

    private ProcessBuilder command(String argument) {
        ProcessBuilder command = new ProcessBuilder(program.toString(), argument);
        command.environment().putAll(environment);
        return command;
    }

    private static Output execute(ProcessBuilder command) throws IOException {
        Path file = Files.createTempFile("isolationtester", ".out");
        Process process =
                command.redirectErrorStream(true).redirectOutput(file.toFile()).start();
        try {
            boolean ended = process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS);
            String text = Files.readString(file, StandardCharsets.UTF_8);
            if (!ended) {
                throw new AssertionError("%s has not ended after %s:%n%s"
                        .formatted(command.command().get(0), PATIENCE, text));
            }
            return new Output(process.exitValue(), text);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        } finally {
            process.destroyForcibly();
            Files.delete(file);
        }
    }

    private record Output(int status, String text) {}
}
