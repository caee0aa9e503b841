package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.DistributionPostgres;
import dev.countersink.testing.Session;
import dev.countersink.testing.TestPostgres;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The runnable cases of faults in the folder beside the project, if it exists. */
class EngineCasesTest {
    private static final Path CASES = Path.of("..", "shared", "cases", "engine");

    @Test
    void everyHandedCasePasses() throws Exception {
        assumeTrue(
                TestPostgres.version() != DistributionPostgres.version(),
                "they run on this version under default settings");
        passes(TestPostgres.empty());
    }

    @Test
    void everyHandedCasePassesUnderDefaultSettings(@TempDir Path dir) throws Exception {
        assumeTrue(TestPostgres.version() >= 18, "once is enough");
        try (DistributionPostgres server = DistributionPostgres.start(dir)) {
            passes(server.settings("postgres"));
        }
    }

    private static void passes(DbSettings db) throws Exception {
        assumeTrue(Files.exists(CASES.resolve("run")) && Session.hasPsql(), "no folder of cases, or no psql");
        URI uri = URI.create(db.url().replaceFirst("^jdbc:", ""));
        ProcessBuilder builder = new ProcessBuilder("bash", CASES.resolve("run").toString());
        builder.environment().put("PGHOST", uri.getHost());
        builder.environment().put("PGPORT", Integer.toString(uri.getPort()));
        builder.environment().put("PGUSER", db.user());
        builder.environment().put("PGPASSWORD", db.password() == null ? "" : db.password());
        builder.environment().put("INSTALL", "sql/tally/install.sql");
        Process process = builder.redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(said).isZero();
        assertThat(said).contains(" 0 failed");
    }
}
