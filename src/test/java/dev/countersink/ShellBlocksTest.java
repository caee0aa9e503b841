package dev.countersink;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.config.DbSettings;
import dev.countersink.ingest.Messages;
import dev.countersink.ingest.Rig;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Session;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestFolder;
import dev.countersink.testing.TestInstance;
import dev.countersink.testing.TestPostgres;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The blocks for a shell in the guides are run as they stand there, but for the names of servers and databases. */
class ShellBlocksTest {
    private static final Path DOCS = Path.of("docs").toAbsolutePath();
    private static final int MINUTES = 5;

    private final Path dir = TestFolder.create("shell");
    private final Map<String, String> environment = new HashMap<>();

    @BeforeEach
    void aShellIsNeeded() throws Exception {
        assumeTrue(has("bash", "--version"), "bash is not installed");
    }

    @AfterEach
    void close() {
        TestFolder.delete(dir);
    }

    /** From the first line of the guide to the last. */
    @Test
    void whoHasPsqlAloneInstallsMergesUpgradesAndRemoves() throws Exception {
        assumeTrue(has("psql", "--version"), "psql is not installed");
        List<String> blocks = blocks("psql.md");
        assertThat(blocks).hasSize(4);
        DbSettings db = TestPostgres.empty();
        server(db);
        String name = URI.create(db.url().substring("jdbc:".length())).getPath().substring(1);
        bash(blocks.get(0).replace("-d app", "-d " + name));
        String session = String.join("\n", fenced("psql.md", "sql session"));
        Session.jdbc(db, session + "; UPDATE desk.ticket SET minutes = minutes + 1");
        assertThat(bash(once(blocks.get(1)).replace("-d app", "-d " + name))).contains("desk.ticket_fact|merged|1|4|");
        bash(blocks.get(2).replace("-d app", "-d " + name));
        try (Sql sql = new Sql(db)) {
            assertThat(sql.number("SELECT count(*) FROM desk.ticket_fact")).isEqualTo(4);
            bash(blocks.get(3).replace("-d app", "-d " + name));
            assertThat(sql.text("SELECT concat_ws(' ', to_regnamespace('tally'), to_regclass('desk.ticket_fact'),"
                            + " to_regclass('desk.ticket'))"))
                    .isEqualTo("desk.ticket");
        }
    }

    @Test
    void whoHasCurlOrTheCommandsReachesARunningInstance() throws Exception {
        assumeTrue(has("curl", "--version") && has("jq", "--version"), "curl or jq is not installed");
        List<String> blocks = blocks("api.md");
        assertThat(blocks).hasSize(2);
        try (Rig rig = new Rig();
                TestInstance instance = TestInstance.start(rig.database(), rig.nats())) {
            rig.seed(10);
            rig.publish("results.9", Messages.result(7));
            rig.awaitFinished();
            rig.execute("UPDATE results.dead_letter SET id = 17");
            rig.execute("INSERT INTO results.job (id, project_id, pipeline_id) VALUES (9, 1, 1)");
            environment.put("COUNTERSINK_API_TOKEN", TestInstance.token());
            // An answer that is an error ends the script.
            environment.put("CURL_HOME", dir.toString());
            Files.writeString(dir.resolve(".curlrc"), "fail\n");
            Files.writeString(dir.resolve("results.json"), "[%s]".formatted(Messages.result(3)));
            String curl = blocks.get(0) + blocks("settings.md").get(0);
            assertThat(bash(curl.replace("localhost:8080", "127.0.0.1:" + instance.port())))
                    .contains("\"sentence\"", "HTTP/1.1 202", "Location: /api/runs/1", "results.event_counts");
            rig.awaitFinished();
            String said = bash(
                    "countersink() { local url=(--url http://127.0.0.1:%d); [ \"$1\" != completion ] || url=(); %s \"$@\" \"${url[@]}\"; }%n"
                                    .formatted(instance.port(), program())
                            + blocks.get(1)
                                    .replace("./countersink", "countersink")
                                    .replace("=…", "=" + TestInstance.token())
                            + "complete -p countersink\n");
            assertThat(said).contains("results.fact", "complete ");
            assertThat(Files.readString(dir.resolve("token")).strip()).isNotEmpty();
            assertThat(rig.number("SELECT count(*) FROM results.dead_letter WHERE replayed_at IS NULL"))
                    .isZero();
        }
    }

    @Test
    void theProgramRunsAgainstServersOfOnesOwn() throws Exception {
        List<String> blocks = blocks("ingest.md");
        assertThat(blocks).hasSize(1);
        try (Rig rig = new Rig()) {
            server(rig.database());
            environment.put("COUNTERSINK_HTTP_PORT", "0");
            environment.put("COUNTERSINK_NATS_TOKEN", rig.nats().settings().token());
            Path log = dir.resolve("log");
            Process process = start(
                    "countersink() { exec " + program() + " \"$@\"; }\n"
                            + blocks.get(0)
                                    .replace("./countersink", "countersink")
                                    .replace(
                                            "app:secret@db.example.org/app",
                                            rig.database().user() + ":"
                                                    + String.valueOf(
                                                            rig.database().password()) + "@"
                                                    + rig.database().url().substring("jdbc:postgresql://".length()))
                                    .replace(
                                            "nats://nats.example.org:4222",
                                            rig.nats().settings().url()),
                    log);
            try {
                Eventually.await(
                        "it serves its dashboard",
                        Duration.ofMinutes(2),
                        () -> Files.readString(log),
                        said -> said.contains("Dashboard and API"));
                assertThat(Files.readString(log)).doesNotContain("Embedded");
            } finally {
                process.destroy();
                assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
            }
        }
    }

    /** How the classes under test are started; those of the tests have a quieter log. */
    private static String program() {
        return "'%s' -Dlogging.config=classpath:logback.xml -cp '%s' dev.countersink.cli.Main"
                .formatted(
                        Path.of(System.getProperty("java.home"), "bin", "java"), System.getProperty("java.class.path"));
    }

    /** A loop without an end, run once. */
    private static String once(String loop) {
        assertThat(loop).startsWith("while sleep 1; do\n");
        return loop.replace("while sleep 1; do", "for once in 1; do");
    }

    private static List<String> blocks(String page) throws IOException {
        return fenced(page, "sh");
    }

    private static List<String> fenced(String page, String name) throws IOException {
        return Pattern.compile("(?ms)^```" + name + "\n(.*?)^```$")
                .matcher(Files.readString(DOCS.resolve(page)))
                .results()
                .map(found -> found.group(1))
                .toList();
    }

    private void server(DbSettings db) {
        URI uri = URI.create(db.url().substring("jdbc:".length()));
        environment.put("PGHOST", uri.getHost());
        environment.put("PGPORT", Integer.toString(uri.getPort()));
        environment.put("PGUSER", db.user());
        environment.put("PGPASSWORD", String.valueOf(db.password()));
        environment.put("PGCLIENTENCODING", "UTF8");
    }

    /** What the script has printed; it ends at the first command that fails. */
    private String bash(String script) throws Exception {
        Path log = dir.resolve("said");
        Process process = start(script, log);
        assertThat(process.waitFor(MINUTES, TimeUnit.MINUTES)).isTrue();
        String said = Files.readString(log);
        assertThat(process.exitValue()).as(said).isZero();
        return said;
    }

    private Process start(String script, Path log) throws IOException {
        String placed = script.replace(
                " -f sql/", " -f " + Path.of("sql").toAbsolutePath().toString() + "/");
        Path file = Files.writeString(dir.resolve("script"), "set -e\n" + placed, StandardCharsets.UTF_8);
        ProcessBuilder builder = new ProcessBuilder("bash", file.toString());
        builder.directory(dir.toFile()).redirectErrorStream(true).redirectOutput(log.toFile());
        builder.environment().putAll(environment);
        return builder.start();
    }

    private static boolean has(String... command) throws InterruptedException {
        try {
            return new ProcessBuilder(command)
                            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                            .start()
                            .waitFor()
                    == 0;
        } catch (IOException e) {
            return false;
        }
    }
}
