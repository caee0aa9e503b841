package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** Compares the schema with a golden file. After an intended change: {@code ./mvnw -Dtest=SchemaTest -Dcountersink.schema.write=true test}. */
class SchemaTest {
    private static final Path GOLDEN = Path.of("sql", "tests", "schema.txt");

    @Test
    void theSchemaIsTheOneThatWasLookedAt() throws Exception {
        try (Sql sql = new Sql(TestPostgres.migrated())) {
            sql.run("SET search_path = pg_catalog");
            String schema = sql.text(Files.readString(Path.of("sql", "tests", "schema.sql")));
            if (Boolean.getBoolean("countersink.schema.write")) {
                Files.writeString(GOLDEN, schema);
            }
            assertThat(schema.lines()).containsExactlyElementsOf(Files.readAllLines(GOLDEN));
        }
    }
}
