package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.junit.jupiter.api.DynamicContainer.dynamicContainer;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.IsolationTester;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.TestFactory;
import org.springframework.util.function.SingletonSupplier;

/**
 * Runs every spec of sql/tests/isolation at every isolation level; sql/tests/isolation/README.md says what they prove. After an
 * intended change: {@code ./mvnw -Dtest=IsolationTest -Dcountersink.isolation.write=true test}, and look at the diff.
 */
class IsolationTest {
    private static final Path SPECS = Path.of("sql", "tests", "isolation");
    private static final Path EXPECTED = SPECS.resolve("expected");
    private static final List<String> LEVELS = List.of("read committed", "repeatable read", "serializable");
    private static final Pattern START = Pattern.compile("^(?=starting permutation: )", Pattern.MULTILINE);

    @TestFactory
    Stream<DynamicNode> everySpecEndsAsItsOracleSaysAtEveryIsolationLevel() throws Exception {
        Optional<IsolationTester> tester = IsolationTester.find(libraries());
        try (Stream<Path> files = Files.list(SPECS)) {
            List<Path> specs = files.filter(file -> file.toString().endsWith(".spec"))
                    .sorted()
                    .toList();
            assertThat(specs).isNotEmpty();
            return specs.stream().map(spec -> levels(tester, spec));
        }
    }

    /** The database of a spec is made when it is needed; every permutation begins with app.reset(). */
    private static DynamicNode levels(Optional<IsolationTester> tester, Path file) {
        IsolationSpec spec = IsolationSpec.read(file);
        Supplier<DbSettings> database = SingletonSupplier.of(IsolationTest::database);
        return dynamicContainer(
                spec.name(),
                LEVELS.stream()
                        .map(level -> dynamicTest(spec.name() + ", " + level, () -> {
                            // Here, not above: a factory that makes no tests is reported as no tests, not as skipped.
                            assumeTrue(tester.isPresent(), IsolationTester.HOW_TO_INSTALL);
                            String transcript = tester.get().run(database.get(), file, level);
                            spec.judge(level, transcript);
                            compare(spec.name(), level, transcript);
                        })));
    }

    private static DbSettings database() {
        DbSettings db = TestPostgres.migrated();
        try (Sql sql = new Sql(db)) {
            sql.run(Files.readString(SPECS.resolve("setup.sql")));
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
        return db;
    }

    /** A level's file has the permutations that end differently than at the level below. */
    private static void compare(String spec, String level, String transcript) throws IOException {
        Map<String, String> seen = permutations(transcript);
        Map<String, String> expected = new LinkedHashMap<>();
        for (String below : LEVELS.subList(0, LEVELS.indexOf(level))) {
            expected.putAll(read(file(spec, below)));
        }
        Path own = file(spec, level);
        if (Boolean.getBoolean("countersink.isolation.write") && TestPostgres.version() == 18) {
            Files.deleteIfExists(own);
            String text = seen.entrySet().stream()
                    .filter(permutation -> !permutation.getValue().equals(expected.get(permutation.getKey())))
                    .map(Map.Entry::getValue)
                    .collect(Collectors.joining());
            if (!text.isEmpty()) {
                Files.writeString(own, text);
            }
        }
        expected.putAll(read(own));
        assertThat(seen.keySet()).as("permutations of %s", spec).isEqualTo(expected.keySet());
        expected.forEach((permutation, text) -> assertThat(seen.get(permutation))
                .as("%s at %s, %s", spec, level, permutation)
                .isEqualTo(text));
    }

    private static Path file(String spec, String level) {
        String suffix = level.equals(LEVELS.get(0)) ? "" : "." + level.replace(' ', '-');
        return EXPECTED.resolve(spec + suffix + ".out");
    }

    private static Map<String, String> read(Path file) throws IOException {
        return Files.exists(file) ? permutations(Files.readString(file)) : Map.of();
    }

    /** The output of each permutation, by its first line. */
    private static Map<String, String> permutations(String transcript) {
        Map<String, String> permutations = new LinkedHashMap<>();
        for (String text : START.split(transcript)) {
            permutations.put(text.lines().findFirst().orElseThrow(), text);
        }
        return permutations;
    }

    /** The library folder of the server under test: a machine without libpq uses the server's. */
    private static String libraries() throws Exception {
        try (Sql sql = new Sql(TestPostgres.empty())) {
            return sql.text("SELECT setting FROM pg_config WHERE name = 'LIBDIR'");
        }
    }
}
