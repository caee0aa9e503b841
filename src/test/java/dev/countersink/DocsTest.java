package dev.countersink;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.config.ApiSettings;
import dev.countersink.config.DbSettings;
import dev.countersink.config.EmbeddedSettings;
import dev.countersink.config.HttpSettings;
import dev.countersink.config.IngestSettings;
import dev.countersink.config.IntakeSettings;
import dev.countersink.config.LogSettings;
import dev.countersink.config.MaintenanceSettings;
import dev.countersink.config.MessageSettings;
import dev.countersink.config.NatsSettings;
import dev.countersink.config.RefreshSettings;
import dev.countersink.config.WatchdogSettings;
import dev.countersink.config.WebhookSettings;
import dev.countersink.testing.Session;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestFolder;
import dev.countersink.testing.TestPostgres;
import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.springframework.boot.context.properties.ConfigurationProperties;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The pages describe what the product does. A function or view of schema tally is public if it has a comment. */
class DocsTest {
    private static final Path REFERENCE = Path.of("docs", "tally.md");
    private static final Path SETTINGS = Path.of("docs", "settings.md");
    private static final Pattern CODE = Pattern.compile("`([^`]+)`");
    private static final Pattern HEADING = Pattern.compile("(?m)^#{1,6} (.+)$");
    private static final Pattern LINK = Pattern.compile("\\]\\(([^)\\s]+)\\)");
    private static final Pattern SESSION = Pattern.compile("(?ms)^```sql session\n(.*?)^```$");
    private static final Set<String> NOT_FILES =
            Set.of("fail", "_live", "_live_at", "merged_through", "isolationtester");
    private static final String FUNCTIONS = """
            SELECT string_agg(format('%s(%s) → %s', proname,
                       regexp_replace(pg_get_function_arguments(p.oid), '( DEFAULT (''[^'']*''|[^:,]+))::[a-z \\[\\]]+', '\\1', 'g'),
                       replace(pg_get_function_result(p.oid), 'TABLE(', 'TABLE (')), E'\\n')
            FROM pg_proc p WHERE p.pronamespace = 'tally'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NOT NULL""";
    private static final String MAY = """
            SELECT coalesce(string_agg(DISTINCT name, E'\\n'), '') FROM (
                SELECT proname::text AS name FROM pg_proc p
                WHERE p.pronamespace = 'tally'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NOT NULL AND has_function_privilege('%1$s', p.oid, 'EXECUTE')
                UNION ALL SELECT relname FROM pg_class c
                WHERE c.relnamespace = 'tally'::regnamespace AND c.relkind = 'v' AND has_table_privilege('%1$s', c.oid, 'SELECT')) o""";
    private static final String COLUMNS =
            "SELECT string_agg(attname, E'\\n') FROM pg_attribute WHERE attrelid = 'tally.%s'::regclass AND attnum > 0 AND NOT attisdropped";

    static Stream<Path> pages() throws IOException {
        List<Path> pages = new ArrayList<>();
        try (DirectoryStream<Path> top =
                Files.newDirectoryStream(Path.of(""))) { // servers of other tests come and go below target
            for (Path entry : top) {
                if (!entry.startsWith("target") && !entry.startsWith(".git")) {
                    try (Stream<Path> files = Files.walk(entry)) {
                        files.filter(file -> file.toString().endsWith(".md")).forEach(pages::add);
                    }
                }
            }
        }
        Collections.sort(pages);
        return pages.stream();
    }

    static Stream<Path> pagesWithSessions() throws IOException {
        List<Path> pages = pages().filter(page -> !session(page).isEmpty()).toList();
        assertThat(pages).contains(Path.of("README.md"), Path.of("docs", "psql.md"));
        return pages.stream();
    }

    @Test
    void everyPublicFunctionHasAnEntryAndEveryEntryAFunction() throws Exception {
        Set<String> entries = headings(REFERENCE)
                .flatMap(heading -> all(CODE, heading))
                .filter(code -> code.contains(") → "))
                .collect(Collectors.toCollection(TreeSet::new));
        try (Sql sql = new Sql(TestPostgres.migrated())) {
            assertThat(entries)
                    .containsExactlyInAnyOrderElementsOf(
                            lines(sql, FUNCTIONS).map(DocsTest::readable).toList());
        }
    }

    @Test
    void everyColumnOfAViewAResultAndTheCatalogIsExplained() throws Exception {
        try (Sql sql = new Sql(TestPostgres.migrated())) {
            List<String> relations = lines(
                            sql,
                            "SELECT string_agg(relname, E'\\n') FROM pg_class WHERE relnamespace = 'tally'::regnamespace AND relkind IN ('r', 'v', 'c') AND relname <> 'span'")
                    .toList();
            assertThat(relations).contains("status", "health", "merge_result", "derived_view");
            for (String relation : relations) {
                assertThat(explained(relation))
                        .as("columns of tally.%s", relation)
                        .containsExactlyInAnyOrderElementsOf(
                                lines(sql, COLUMNS.formatted(relation)).toList());
            }
        }
    }

    @Test
    void theErrorsAreThoseOfTheCatalogue() throws Exception {
        try (Sql sql = new Sql(TestPostgres.migrated())) {
            assertThat(Files.readAllLines(REFERENCE).stream().filter(line -> line.startsWith("| TL")))
                    .containsExactlyElementsOf(lines(
                                    sql,
                                    "SELECT string_agg(format('| %s | `%s` | %s |', code, condition, hint), E'\\n' ORDER BY code) FROM tally.error_catalogue()")
                            .toList());
        }
    }

    @Test
    void rolesMayWhatIsSaidOfThem() throws Exception {
        try (Sql sql = new Sql(TestPostgres.migrated())) {
            for (String role : new String[] {"countersink_reader", "countersink_operator"}) {
                String row = Files.readAllLines(REFERENCE).stream()
                        .filter(line -> line.startsWith("| `%s` |".formatted(role)))
                        .findFirst()
                        .orElseThrow();
                assertThat(all(CODE, row).skip(1))
                        .as(role)
                        .containsExactlyInAnyOrderElementsOf(
                                lines(sql, MAY.formatted(role)).toList());
            }
        }
    }

    @Test
    void theSettingsAreThoseOfTheProgram() throws Exception {
        List<String> inCode = new ArrayList<>();
        for (Class<?> type : List.of(
                ApiSettings.class,
                DbSettings.class,
                EmbeddedSettings.class,
                HttpSettings.class,
                IngestSettings.class,
                IntakeSettings.class,
                LogSettings.class,
                MessageSettings.class,
                NatsSettings.class,
                MaintenanceSettings.class,
                RefreshSettings.class,
                WatchdogSettings.class,
                WebhookSettings.class)) {
            String prefix = type.getAnnotation(ConfigurationProperties.class).value();
            for (RecordComponent component : type.getRecordComponents()) {
                inCode.add(prefix + "."
                        + component.getName().replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT));
            }
        }
        List<String> rows = Files.readAllLines(SETTINGS).stream()
                .filter(line -> line.startsWith("| `COUNTERSINK_") && line.contains("`countersink."))
                .toList();
        assertThat(rows.stream().map(row -> all(CODE, row).toList().get(1)))
                .containsExactlyInAnyOrderElementsOf(inCode);
        for (String row : rows) {
            List<String> names = all(CODE, row).toList();
            assertThat(names.get(0))
                    .isEqualTo(names.get(1).replaceAll("[.-]", "_").toUpperCase(Locale.ROOT));
        }
        String script = Files.readString(Path.of("countersink"));
        String page = Files.readString(SETTINGS);
        assertThat(all(Pattern.compile("(?m)^\\| `([A-Z_]+)` \\| (?!`)"), page))
                .isNotEmpty()
                .allSatisfy(name -> assertThat(script).contains(name));
        assertThat(all(Pattern.compile("(COUNTERSINK_[A-Z_]*[A-Z])"), Files.readString(Path.of("README.md"))))
                .allSatisfy(name -> assertThat(page).contains('`' + name + '`'));
    }

    @Test
    void theCallsAreThoseThatTheDescriptionOfTheApiHas() throws Exception {
        Set<String> described = new TreeSet<>();
        JsonNode paths = JsonMapper.shared()
                .readTree(Files.readString(Path.of("src", "main", "resources", "openapi.json")))
                .path("paths");
        paths.propertyStream()
                .forEach(path -> path.getValue().propertyStream().forEach(call -> {
                    for (JsonNode parameter : call.getValue().path("parameters")) {
                        if (parameter.path("name").asString("").equals("action")) {
                            parameter
                                    .path("schema")
                                    .path("enum")
                                    .forEach(action -> described.add(call.getKey() + " "
                                            + path.getKey().replace("{action}", action.asString())));
                            return;
                        }
                    }
                    described.add(call.getKey() + " " + path.getKey());
                }));
        // It is in a sentence, and with a slash at its end in the table.
        described.removeAll(Set.of("get /api/openapi.json", "post /api/v2/jobs/{id}/result"));
        assertThat(callsOfThePage())
                .filteredOn(call -> call.contains(" /api/"))
                .containsExactlyInAnyOrderElementsOf(described);
    }

    /** In a row, what follows the first call names another end of the same path. */
    private static Set<String> callsOfThePage() throws IOException {
        Set<String> calls = new TreeSet<>();
        for (String line : Files.readAllLines(Path.of("docs", "api.md"))) {
            String method = null;
            String parent = "";
            for (String code : line.startsWith("| `")
                    ? all(CODE, line.split(" \\| ", 2)[0]).toList()
                    : List.<String>of()) {
                String[] words = code.split(" ", 2);
                boolean whole = words.length == 2 && words[0].matches("[A-Z]+") && words[1].startsWith("/");
                method = whole ? words[0].toLowerCase(Locale.ROOT) : method;
                String path = (whole ? words[1] : code).split("\\?", 2)[0];
                if (whole) {
                    parent = path.substring(0, path.lastIndexOf('/'));
                }
                if (method != null) {
                    calls.add(method + " "
                            + (path.matches("/(api|actuator)/.*")
                                    ? path
                                    : parent + (path.startsWith("/") ? path : "/" + path)));
                }
            }
        }
        return calls;
    }

    @Test
    void thePathOfARowKnowsEveryFileAndNoOther() throws Exception {
        Path page = Path.of("sql", "README.md");
        for (String folder : new String[] {"tally", "results", "control"}) {
            String title = folder.equals("tally") ? "the engine" : "`" + folder + "`";
            String section = all(
                            Pattern.compile("(?ms)^## Files of %s[^\\n]*\\n(.*?)(?=^## |\\z)".formatted(title)),
                            Files.readString(page))
                    .findFirst()
                    .orElseThrow();
            List<String> there;
            try (Stream<Path> files = Files.walk(Path.of("sql", folder))) {
                there = files.map(file -> file.getFileName().toString())
                        .filter(name -> name.endsWith(".sql") && !name.equals("install.sql"))
                        .map(name -> name.replace(".sql", ""))
                        .toList();
            }
            List<String> named =
                    all(Pattern.compile("`([a-z_]+)`"), section).distinct().toList();
            assertThat(named).as(title).containsAll(there);
            assertThat(named)
                    .as(title)
                    .allMatch(name -> there.contains(name) || NOT_FILES.contains(name), "a file or an exception");
        }
    }

    @ParameterizedTest
    @MethodSource("pages")
    void everyLinkLeadsSomewhere(Path page) throws Exception {
        for (String link : all(LINK, Files.readString(page)).toList()) {
            if (link.matches("[a-z]+:.*")) {
                continue;
            }
            String[] parts = link.split("#", 2);
            Path target =
                    parts[0].isEmpty() ? page : page.resolveSibling(parts[0]).normalize();
            assertThat(target).as("link %s of %s", link, page).exists();
            if (parts.length == 2) {
                assertThat(headings(target).map(DocsTest::anchor))
                        .as("link %s of %s", link, page)
                        .contains(parts[1]);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("pagesWithSessions")
    void aSessionPrintsWhatThePageShows(Path page) throws Exception {
        assertThat(Session.jdbc(TestPostgres.migrated(), session(page)))
                .containsExactlyElementsOf(Session.shown(session(page)));
    }

    @ParameterizedTest
    @MethodSource("pagesWithSessions")
    void aSessionPrintsInPsqlWhatThePageShows(Path page) throws Exception {
        assumeTrue(Session.hasPsql(), "psql is not installed");
        DbSettings db = TestPostgres.empty();
        Session.psql(db, Path.of("sql", "tally", "install.sql"));
        Path dir = TestFolder.create("docs");
        try {
            Path script = Files.writeString(dir.resolve("session.sql"), session(page));
            assertThat(Session.psql(db, script)).containsExactlyElementsOf(Session.shown(session(page)));
        } finally {
            TestFolder.delete(dir);
        }
    }

    @Test
    void theLoopThatTheGuideShowsMergesWhatIsDue() throws Exception {
        assumeTrue(Session.hasPsql(), "psql is not installed");
        Path guide = Path.of("docs", "psql.md");
        String loop = all(Pattern.compile("(?s)<<'SQL'\n(.*?)\nSQL\n"), Files.readString(guide))
                .findFirst()
                .orElseThrow();
        DbSettings db = TestPostgres.empty();
        Session.psql(db, Path.of("sql", "tally", "install.sql"));
        Session.jdbc(db, session(guide) + "; UPDATE desk.ticket SET minutes = minutes + 1");
        Path dir = TestFolder.create("docs");
        try {
            Path script = Files.writeString(dir.resolve("loop.sql"), loop);
            assertThat(Session.psql(db, script))
                    .singleElement()
                    .asString()
                    .startsWith("desk.ticket_fact | merged | 1 | 4 |");
            assertThat(Session.psql(db, script)).isEmpty();
        } finally {
            TestFolder.delete(dir);
        }
    }

    /** The fenced blocks "sql session" of a page, joined to one session. */
    private static String session(Path page) {
        try {
            return all(SESSION, Files.readString(page)).collect(Collectors.joining("\n"));
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    /** The columns named in the first cells of the table under the heading of a relation, or in the row of a catalog table. */
    private static List<String> explained(String relation) throws IOException {
        String page = Files.readString(REFERENCE);
        String row = all(Pattern.compile("(?m)^\\| `tally\\.%s` \\|(.*)$".formatted(relation)), page)
                .findFirst()
                .orElse(null);
        if (row != null) {
            return all(CODE, row).toList();
        }
        String heading = relation.equals("merge_result") ? "merge" : relation;
        String section = all(Pattern.compile("(?ms)^### `%s\\b.*?\\n(.*?)(?=^##)".formatted(heading)), page)
                .findFirst()
                .orElseThrow();
        return all(Pattern.compile("(?m)^\\| (`[^|]*) \\|"), section)
                .flatMap(cell -> all(CODE, cell))
                .toList();
    }

    private static String readable(String signature) {
        return signature.replace("double precision", "float8").replace("'00:00:10'", "'10 seconds'");
    }

    private static String anchor(String heading) {
        return heading.toLowerCase(Locale.ROOT)
                .replaceAll("[^\\p{L}\\p{N} _-]", "")
                .replace(' ', '-');
    }

    private static Stream<String> headings(Path page) throws IOException {
        return all(HEADING, Files.readString(page).replaceAll("(?ms)^```.*?^```$", ""));
    }

    private static Stream<String> lines(Sql sql, String query) {
        return sql.text(query).lines();
    }

    private static Stream<String> all(Pattern pattern, String text) {
        return pattern.matcher(text).results().map((MatchResult match) -> match.group(1)).toList().stream();
    }
}
