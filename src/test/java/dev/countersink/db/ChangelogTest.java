package dev.countersink.db;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.digest.Sha256;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The changelog, the install scripts for psql and the folders name the same files, in the same order. */
class ChangelogTest {
    private static final Pattern NOT_INSTALLED =
            Pattern.compile("^sql/(tests|examples)/|/(un)?install\\.sql$|/upgrade\\.sql$");
    private static final Pattern CHANGE = Pattern.compile("<changeSet id=\"([^\"]+\\.sql)\"");
    private static final Pattern FILE = Pattern.compile("<sqlFile path=\"([^\"]+)\"");
    private static final Pattern INCLUDE = Pattern.compile("(?m)^\\\\ir +(\\S+)");

    @Test
    void eachChangeIsNamedForItsFile() throws IOException {
        assertThat(found(CHANGE, Path.of("liquibase/changelog.xml")))
                .isEqualTo(found(FILE, Path.of("liquibase/changelog.xml")))
                .doesNotHaveDuplicates();
    }

    @Test
    void everySqlFileIsListed() throws IOException {
        List<String> there;
        try (Stream<Path> files =
                Stream.concat(Files.walk(Path.of("liquibase/migrations")), Files.walk(Path.of("sql")))) {
            there = files.map(Path::toString)
                    .filter(f -> f.endsWith(".sql") && !NOT_INSTALLED.matcher(f).find())
                    .toList();
        }
        assertThat(found(CHANGE, Path.of("liquibase/changelog.xml"))).containsExactlyInAnyOrderElementsOf(there);
    }

    /** Not even a comment: a database that has run it would be refused. What it left out is a file of its own. */
    @Test
    void aMigrationNeverChangesOnceItIsThere() throws IOException {
        List<String> there;
        try (Stream<Path> files = Files.walk(Path.of("liquibase/migrations"))) {
            there = files.filter(Files::isRegularFile)
                    .sorted()
                    .map(file -> digest(file) + "  " + file)
                    .toList();
        }
        assertThat(there).isEqualTo(Files.readAllLines(Path.of("sql/tests/migrations.txt")));
    }

    @Test
    void psqlInstallsInTheSameOrder() throws IOException {
        for (String schema : List.of("tally", "results")) {
            Path folder = Path.of("sql", schema);
            Path script = folder.resolve(schema.equals("tally") ? "scripts/install.sql" : "install.sql");
            List<String> installed = found(INCLUDE, script).stream()
                    .map(f -> script.resolveSibling(f).normalize().toString())
                    .filter(f -> f.startsWith("sql/"))
                    .toList();
            List<String> listed = found(CHANGE, Path.of("liquibase/changelog.xml")).stream()
                    .filter(f -> f.startsWith("sql/%s/".formatted(schema)))
                    .toList();
            assertThat(installed).isEqualTo(listed);
        }
    }

    private static String digest(Path file) {
        try {
            return Sha256.hex(Files.readAllBytes(file));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static List<String> found(Pattern pattern, Path file) throws IOException {
        return pattern.matcher(Files.readString(file))
                .results()
                .map(m -> m.group(1))
                .toList();
    }
}
