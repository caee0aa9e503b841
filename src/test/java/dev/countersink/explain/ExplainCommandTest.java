package dev.countersink.explain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.config.DbSettings;
import dev.countersink.config.StartupException;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;

class ExplainCommandTest {
    private static final String SHOP = """
            CREATE SCHEMA shop;
            CREATE TABLE shop.customer (id bigint PRIMARY KEY, region text);
            CREATE TABLE shop.orders (id bigint PRIMARY KEY, customer_id bigint, amount numeric);
            CREATE VIEW shop.fact_def AS SELECT o.id, c.region, o.amount FROM shop.orders o JOIN shop.customer c ON c.id = o.customer_id;""";

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    @Test
    void itPrintsATableAndWhatToPaste() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql sql = new Sql(db)) {
            sql.run(SHOP);
            assertThat(explain(db, "shop.fact_def", "--key", "id")).isZero();
            assertThat(printed()).isEqualTo("""
                    Key (id)

                    source         columns  reach  keys per row  index
                    -------------  -------  -----  ------------  -------
                    shop.customer  id       exact  ?             missing
                    shop.orders    id       exact  1

                    -- A row of shop.customer leads to the key (id) by customer.id = orders.customer_id.
                    WITH changed AS (SELECT id FROM shop.customer)
                    SELECT orders.id FROM changed
                    JOIN shop.orders ON changed.id = orders.customer_id;

                    -- A row of shop.orders holds the key (id) itself.
                    WITH changed AS (SELECT id FROM shop.orders)
                    SELECT id FROM changed;

                    -- To keep it so:
                    CREATE INDEX ON shop.orders (customer_id);
                    SELECT * FROM tally.keep('shop.fact', 'shop.fact_def', '{id}');
                    """);
            // the printed statements run as they are, and then nothing is missing
            sql.run(printed().replaceFirst("(?s).*?\n\n.*?\n\n", ""));
            out.reset();
            assertThat(explain(db, "shop.fact")).isZero();
            assertThat(printed()).contains("derived").endsWith("-- It is kept so already; nothing is missing.\n");
        }
    }

    @Test
    void whatCannotBeExplainedIsSaidInASentence() throws Exception {
        DbSettings db = TestPostgres.migrated();
        for (String[] asked : new String[][] {
            {"shop.fact_def", "There is no view \"shop.fact_def\"."},
            {"shop.", "\"shop.\" is not a name."},
            {"a.b.c.d", "\"a.b.c.d\" is not a name."},
            {"results.occurrence", "results.occurrence is not a view, so there is nothing to derive."},
        }) {
            err.reset();
            assertThat(explain(db, asked[0])).isEqualTo(1);
            assertThat(err.toString(StandardCharsets.UTF_8).lines())
                    .hasSize(2)
                    .first()
                    .isEqualTo(asked[1]);
        }
    }

    @Test
    void aDatabaseWithoutTheEngineIsToldHowToGetIt() {
        assertThatThrownBy(() -> explain(TestPostgres.empty(), "pg_views"))
                .isInstanceOf(StartupException.class)
                .hasMessage("The engine is not in this database, or an older one is.");
    }

    @Test
    void argumentsAreReadOrRefused() {
        Map<String, String> environment = Map.of("COUNTERSINK_DB_URL", "postgres://db/app");
        ExplainOptions read = options(List.of("--key", "a,b", "app.x"), environment);
        assertThat(read.view()).isEqualTo("app.x");
        assertThat(read.key()).containsExactly("a", "b");
        assertThat(read.db().url()).isEqualTo("postgres://db/app");
        for (List<String> wrong : List.<List<String>>of(
                List.of(),
                List.of("a", "b"),
                List.of("a", "--keys", "b"),
                List.of("a", "--key"),
                List.of("--verbose"))) {
            assertThatThrownBy(() -> options(wrong, environment))
                    .isInstanceOf(ParameterException.class)
                    .message()
                    .isNotBlank();
        }
        assertThatThrownBy(() -> options(List.of("a"), Map.of())).hasMessageContaining("--url");
    }

    private int explain(DbSettings db, String... arguments) {
        ExplainOptions options = options(List.of(arguments), Map.of("COUNTERSINK_DB_URL", db.url()));
        return ExplainCommand.execute(
                new ExplainOptions(options.view(), options.key(), db),
                new PrintStream(out, true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8));
    }

    private static ExplainOptions options(List<String> words, Map<String, String> environment) {
        ExplainCommand command = new ExplainCommand();
        new CommandLine(command).parseArgs(words.toArray(String[]::new));
        return command.options(environment);
    }

    private String printed() {
        return out.toString(StandardCharsets.UTF_8);
    }
}
