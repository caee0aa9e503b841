package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.Session;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Compares the generated code with golden files. After an intended change run
 * {@code ./mvnw -Dtest=GeneratedCodeTest -Dcountersink.generated.write=true test}, and look at the diff.
 */
class GeneratedCodeTest {
    private static final Path FOLDER = Path.of("sql", "tests", "generated");
    private static final Pattern SESSION = Pattern.compile("(?s)```sql session\\n(CREATE SCHEMA shop.*?COMMIT;)");
    private static final boolean VIEWS_TOO = TestPostgres.version() >= 18;

    @ParameterizedTest
    @ValueSource(strings = {"readme", "two-column-key", "rollup-over-rollup"})
    void theGeneratedCodeIsTheOneThatWasLookedAt(String name) throws Exception {
        assumeTrue(Session.hasPsql(), "psql is not installed");
        assumeTrue(VIEWS_TOO || !name.equals("two-column-key"), "its interval can be infinite from version 17 on");
        DbSettings db = TestPostgres.empty();
        Session.psql(db, Path.of("sql", "tally", "install.sql"));
        try (Sql sql = new Sql(db)) {
            sql.run(name.equals("readme") ? readme() : Files.readString(FOLDER.resolve(name + ".sql")));
            sql.run("SET search_path = pg_catalog");
            String query = Files.readString(FOLDER.resolve("generated.sql"));
            String made = sql.text(query.replace("$1", Boolean.toString(VIEWS_TOO)));
            Path golden = FOLDER.resolve(name + ".txt");
            if (VIEWS_TOO) {
                if (Boolean.getBoolean("countersink.generated.write")) {
                    Files.writeString(golden, made);
                }
                assertThat(made.lines()).containsExactlyElementsOf(Files.readAllLines(golden));
            } else { // the views are the newest version's; the rest is the same, but that a filter names its one table
                assertThat(unqualified(Files.readString(golden))).containsSubsequence(unqualified(made));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"enable_hashjoin", "enable_mergejoin"})
    void thePlannerHasNoSayInIt(String join) throws Exception {
        assumeTrue(Session.hasPsql(), "psql is not installed");
        DbSettings db = TestPostgres.empty();
        Session.psql(db, Path.of("sql", "tally", "install.sql"));
        try (Sql sql = new Sql(db)) {
            sql.run("SET jit = off; SET enable_nestloop = off; SET enable_sort = off; SET %s = off".formatted(join));
            sql.run(Files.readString(FOLDER.resolve("two-column-key.sql")));
            sql.run("RESET ALL; SET search_path = pg_catalog");
            String query = Files.readString(FOLDER.resolve("generated.sql")).replace("$1", "false");
            String otherwise = sql.text(query);
            DbSettings usual = TestPostgres.empty();
            Session.psql(usual, Path.of("sql", "tally", "install.sql"));
            try (Sql plain = new Sql(usual)) {
                plain.run(Files.readString(FOLDER.resolve("two-column-key.sql")));
                plain.run("SET search_path = pg_catalog");
                assertThat(otherwise.lines())
                        .containsExactlyElementsOf(plain.text(query).lines().toList());
            }
        }
    }

    private static List<String> unqualified(String code) {
        return code.lines().map(line -> line.replaceAll("\\bd\\.", "")).toList();
    }

    private static String readme() throws IOException {
        Matcher session = SESSION.matcher(Files.readString(Path.of("README.md")));
        assertThat(session.find()).isTrue();
        return session.group(1);
    }
}
