package dev.countersink.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.ItemView;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestFolder;
import dev.countersink.testing.TestInstance;
import dev.countersink.testing.TestNats;
import dev.countersink.testing.TestPostgres;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The commands that call a running instance, and what they print. */
class ClientCommandsTest {
    private static final String[] COMMANDS = {
        "status", "views", "view", "refresh", "verify", "runs", "jobs", "dead-letters", "replay", "tokens", "completion"
    };

    private static Sql sql;
    private static TestNats nats;
    private static TestInstance instance;
    private static Path folder;

    @BeforeAll
    static void start() throws Exception {
        DbSettings db = TestPostgres.migrated();
        sql = new Sql(db);
        nats = new TestNats();
        ItemView.create(sql);
        instance = TestInstance.start(db, nats, Map.of("countersink.refresh.interval", "1h"));
        folder = TestFolder.create("client");
        Files.writeString(folder.resolve("token"), TestInstance.token() + "\n");
    }

    @AfterAll
    static void stop() throws Exception {
        if (instance != null) {
            instance.close();
        }
        if (nats != null) {
            nats.close();
        }
        if (sql != null) {
            sql.close();
        }
        if (folder != null) {
            TestFolder.delete(folder);
        }
    }

    /** What a command has printed. */
    private record Printed(int status, String out, String err) {
        JsonNode json() {
            return JsonMapper.shared().readTree(out);
        }
    }

    @Test
    void viewsAreATableForPeopleAndJsonForPrograms() {
        Printed table = run("views");
        assertThat(table.status()).isZero();
        assertThat(table.out().lines().findFirst().orElseThrow())
                .startsWith("NAME ")
                .contains("STATE", "PENDING", "LAG");
        assertThat(table.out()).containsPattern(ItemView.NAME + " +projection +active ");
        JsonNode json = run("views", "--json").json();
        assertThat(json.path("items").get(0).path("name").asString()).isEqualTo(ItemView.NAME);
        assertThat(run("view", ItemView.NAME).out()).contains("name               " + ItemView.NAME);
        assertThat(run("view", ItemView.NAME, "--json").json().path("kind").asString())
                .isEqualTo("projection");
    }

    @Test
    void aRefreshIsWaitedFor() {
        sql.run("INSERT INTO app.item VALUES (31, 10) ON CONFLICT DO NOTHING");
        Printed refreshed = run("refresh", ItemView.NAME);
        assertThat(refreshed.out()).startsWith("refresh of app.item_fact (run ").contains("merged", "keys");
        assertThat(refreshed.status()).isZero();
        assertThat(sql.number("SELECT share FROM app.item_fact WHERE id = 31")).isEqualTo(10);
        assertThat(run("refresh", ItemView.NAME, "--no-wait", "--json")
                        .json()
                        .path("items")
                        .size())
                .isEqualTo(1);
        assertThat(run("runs", "--view", ItemView.NAME, "--limit", "1").out().lines())
                .hasSize(2);
        assertThat(run("runs", "--state", "failed", "--json").json().path("items"))
                .isEmpty();
    }

    @Test
    void verifyTellsByItsExitStatusWhatItFound() {
        sql.run("INSERT INTO app.item VALUES (32, 10) ON CONFLICT DO NOTHING");
        run("refresh", ItemView.NAME);
        assertThat(run("verify", ItemView.NAME).out()).contains("equal to its definition");
        sql.run("UPDATE app.item_fact SET share = 99 WHERE id = 32");
        Printed wrong = run("verify", ItemView.NAME);
        assertThat(wrong.status()).isEqualTo(1);
        assertThat(wrong.out()).contains("rows differ from its definition");
        sql.run("UPDATE app.item_fact SET share = 10 WHERE id = 32");
        assertThat(run("verify", ItemView.NAME, "--sample", "0.5").status()).isZero();
    }

    @Test
    void tokensAreMadeListedAndRevoked() throws Exception {
        String token = run("tokens", "add", "a-client", "--role", "reader", "--days", "2")
                .out()
                .strip();
        assertThat(token).matches("[0-9a-f]{64}");
        assertThat(run("tokens", "list").out()).contains("a-client  reader").doesNotContain(token);
        Path file = Files.writeString(folder.resolve("reader"), token);
        Printed refused = runWith(file, "refresh", ItemView.NAME);
        assertThat(refused.status()).isEqualTo(1);
        assertThat(refused.err())
                .contains("This needs a token with the role operator")
                .contains("Ask an owner");
        assertThat(runWith(file, "status").out()).contains(": ");
        assertThat(run("tokens", "revoke", "a-client").out()).contains("is revoked");
        assertThat(run("tokens", "revoke", "a-client").err()).contains("There is no token a-client.");
        assertThat(run("tokens", "add", "x", "--role", "king").status()).isEqualTo(2);
        assertThat(run("tokens").status()).isEqualTo(2);
    }

    @Test
    void whatIsRefusedIsSaidWithItsRemedy() throws Exception {
        Printed gone = run("refresh", "app.gone");
        assertThat(gone.status()).isEqualTo(1);
        assertThat(gone.err()).contains("There is no derived view").contains("lists");
        assertThat(run("replay", "999999").err()).contains("There is no dead letter 999999.");
        assertThat(run("jobs").out()).startsWith("ID  NAME");
        assertThat(run("dead-letters", "--json").json().path("items")).isEmpty();
        assertThat(run("refresh").status()).isEqualTo(2);
        Printed nobody = execute("status", "--url", "http://127.0.0.1:1", "--token-file", "" + folder.resolve("token"));
        assertThat(nobody.status()).isEqualTo(3);
        assertThat(nobody.err()).contains("does not answer at http://127.0.0.1:1");
        assertThat(execute("status", "--url", "nonsense").status()).isEqualTo(3);
        assertThat(execute("status", "--token-file", folder.resolve("gone").toString())
                        .status())
                .isEqualTo(1);
        Path wrong = Files.writeString(folder.resolve("wrong"), "another-token-for-tests");
        assertThat(runWith(wrong, "views").err()).contains("no valid bearer token");
    }

    @Test
    void dataDoesNothingToATerminal() {
        sql.run("CREATE SCHEMA \"a\u001b[31mb\u009b\u202e\"");
        sql.run("CREATE VIEW \"a\u001b[31mb\u009b\u202e\".v_def AS SELECT id, n FROM app.item");
        sql.run(
                "SELECT tally.keep('\"a\u001b[31mb\u009b\u202e\".v', '\"a\u001b[31mb\u009b\u202e\".v_def', ARRAY['id'])");
        assertThat(run("views").out()).contains("\"a [31mb  \".v").doesNotContain("\u001b", "\u009b", "\u202e");
        assertThat(run("view", "\"a\u001b[31mb\u009b\u202e\".v").status()).isZero();
        sql.run("SELECT tally.drop('\"a\u001b[31mb\u009b\u202e\".v')");
    }

    @Test
    void bashCompletesEveryCommand() throws Exception {
        String script = execute("completion").out();
        for (String command : COMMANDS) {
            assertThat(script).contains(command);
        }
        Path file = Files.writeString(folder.resolve("completion"), script);
        Process bash =
                new ProcessBuilder("bash", "-n", file.toString()).inheritIO().start();
        assertThat(bash.waitFor()).isZero();
    }

    @Test
    void theScriptKnowsEveryCommand() throws Exception {
        String script = Files.readString(Path.of("countersink"));
        assertThat(script).contains(String.join(" | ", COMMANDS) + ")");
        assertThat(new CommandLine(new Commands()).getSubcommands().keySet()).contains(COMMANDS);
    }

    private static Printed run(String... words) {
        return runWith(folder.resolve("token"), words);
    }

    private static Printed runWith(Path token, String... words) {
        List<String> all = new ArrayList<>(List.of(words));
        if (!List.of(words).equals(List.of("tokens"))) {
            all.addAll(List.of("--url", "http://127.0.0.1:" + instance.port() + "/", "--token-file", "" + token));
        }
        return execute(all.toArray(String[]::new));
    }

    private static Printed execute(String... words) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        int status = Commands.line(new Commands())
                .setOut(new PrintWriter(out))
                .setErr(new PrintWriter(err))
                .execute(words);
        return new Printed(status, out.toString(), err.toString());
    }
}
