package dev.countersink.monitor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.zaxxer.hikari.HikariDataSource;
import dev.countersink.db.ControlDb;
import dev.countersink.db.Database;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What the database tells of work in progress, of what a row comes from, and of how far a view can be trusted. */
class ActivityTest {
    private static final String VIEW = "\"odd \"\"app\".\"Fact 'one'\"";

    private static HikariDataSource pool;
    private static Sql sql;
    private static ControlDb control;

    @BeforeAll
    static void open() {
        var db = TestPostgres.migrated();
        pool = Database.pool(db);
        sql = new Sql(db);
        control = new ControlDb(pool);
        sql.run("""
                CREATE SCHEMA "odd ""app";
                SET search_path = "odd ""app";
                CREATE TABLE "it'em" ("the ""id" bigint PRIMARY KEY, n int NOT NULL);
                CREATE TABLE tag (id serial PRIMARY KEY, item bigint, label text[]);
                CREATE VIEW fact_def AS SELECT i."the ""id", i.n, count(t.id) AS tags FROM "it'em" i LEFT JOIN tag t ON t.item = i."the ""id" GROUP BY 1, 2;
                SELECT tally.create_projection('"Fact ''one''"', 'fact_def', ARRAY['the "id']);
                SELECT tally.watch('"Fact ''one''"', '"it''em"', ARRAY['the "id']::name[]);
                SELECT tally.watch('"Fact ''one''"', 'tag');
                SELECT tally.activate('"Fact ''one''"');
                SELECT tally.create_rollup('by_n', '"Fact ''one''"', '{n}', '{"items":"count(*)"}');
                CREATE VIEW above_def AS SELECT n, items + 1 AS more FROM by_n;
                SELECT tally.create_projection('above', 'above_def', '{n}');
                SELECT tally.watch('above', 'by_n');
                SELECT tally.activate('above');
                INSERT INTO "it'em" SELECT g, g % 5 FROM generate_series(1, 100) g;
                INSERT INTO tag (item, label) SELECT 1 + g % 50, ARRAY['x', g::text] FROM generate_series(1, 150) g;
                SELECT count(*) FROM tally.refresh('"Fact ''one''"');
                RESET search_path;
                """);
    }

    @AfterAll
    static void close() throws Exception {
        sql.close();
        pool.close();
    }

    @Test
    void aPreparedTransactionIsShownWithTheStatementThatEndsIt() {
        sql.run("BEGIN; LOCK TABLE \"odd \"\"app\".tag; PREPARE TRANSACTION 'left ''over'");
        try {
            assertThat(
                            sql.text(
                                    "SELECT concat_ws(' ', state, statement, holds_snapshot) FROM control.transactions(interval '0 s') WHERE pid = 0"))
                    .isEqualTo("prepared ROLLBACK PREPARED 'left ''over' t");
            assertThatThrownBy(() -> control.endTransaction(0, "2026-01-01T00:00:00Z"))
                    .hasMessageContaining("A prepared transaction has no session that could be ended.");
        } finally {
            sql.run("ROLLBACK PREPARED 'left ''over'");
        }
    }

    @Test
    void aRowIsFollowedDownToTheRowsOfItsSources() {
        List<JsonNode> rows = json(control.baseRows(VIEW, "{\"the \\\"id\":7}"));
        assertThat(rows)
                .extracting(row -> row.path("source").asString())
                .containsExactly(
                        "\"odd \"\"app\".\"it'em\"",
                        "\"odd \"\"app\".tag",
                        "\"odd \"\"app\".tag",
                        "\"odd \"\"app\".tag");
        assertThat(rows.get(0).path("row").path("the \"id").asInt()).isEqualTo(7);
        assertThat(rows.subList(1, 4))
                .allSatisfy(
                        row -> assertThat(row.path("row").path("item").asInt()).isEqualTo(7));
        assertThat(control.baseRows(VIEW, "{\"the \\\"id\":7000}")).isEmpty();
        assertThat(json(control.baseRows("\"odd \"\"app\".above", "{\"n\":3}")))
                .singleElement()
                .satisfies(
                        row -> assertThat(row.path("row").path("items").asInt()).isEqualTo(20));
    }

    @Test
    void aRowIsNamedByItsWholeKeyAndNothingElse() {
        assertThatThrownBy(() -> control.baseRows(VIEW, "{\"n\":7}"))
                .hasMessageContaining("is named by an object with the columns the \"id");
        assertThatThrownBy(() -> control.baseRows(VIEW, "{\"the \\\"id\":\"no\"}"))
                .hasMessageContaining("bigint");
        assertThatThrownBy(() -> control.baseRows("\"odd \"\"app\".by_n", "{\"n\":1}"))
                .hasMessageContaining("only a row of a projection");
        assertThatThrownBy(() -> control.lastChange(VIEW, "[]")).hasMessageContaining("is named by an object");
    }

    @Test
    void whichTransactionWroteARowLastIsKnown() {
        sql.run(
                "UPDATE \"odd \"\"app\".\"it'em\" SET n = 4 WHERE \"the \"\"id\" = 9; SELECT count(*) FROM tally.refresh('\"odd \"\"app\".\"Fact ''one''\"')");
        String ours = sql.text("SELECT xmin::text FROM \"odd \"\"app\".\"Fact 'one'\" WHERE \"the \"\"id\" = 9");
        assertThat(json(control.lastChange(VIEW, "{\"the \\\"id\":9}")))
                .singleElement()
                .satisfies(change ->
                        assertThat(change.path("transaction").asString()).isEqualTo(ours));
        assertThat(json(control.lastChange("\"odd \"\"app\".by_n", "{\"n\":4}")))
                .hasSize(1);
    }

    @Test
    void viewsThatReadOthersAreKnown() {
        assertThat(json(control.chains())).anySatisfy(chain -> {
            assertThat(chain.path("view").asString()).isEqualTo("\"odd \"\"app\".above");
            assertThat(chain.path("reads").asString()).isEqualTo("\"odd \"\"app\".by_n");
        });
    }

    @Test
    void aMergeThatWaitsIsShownWithWhomItWaitsFor() {
        String id = sql.text("SELECT id::text FROM tally.derived_view WHERE relation_name = 'Fact ''one'''");
        sql.run("SELECT pg_advisory_lock(tally.lock_class(), %s)".formatted(id));
        try {
            assertThat(json(control.merging())).singleElement().satisfies(merge -> {
                assertThat(merge.path("view").asString()).isEqualTo(VIEW);
                assertThat(merge.path("pid").asLong()).isEqualTo(sql.number("SELECT pg_backend_pid()"));
                assertThat(merge.path("waits").isNull()).isTrue();
                assertThat(merge.path("blockers")).isEmpty();
            });
        } finally {
            sql.run("SELECT pg_advisory_unlock_all()");
        }
        assertThat(control.merging()).isEmpty();
    }

    @Test
    void deltaTablesHaveASize() {
        assertThat(json(control.deltas(50))).anySatisfy(delta -> {
            assertThat(delta.path("view").asString()).isEqualTo(VIEW);
            assertThat(delta.path("delta_bytes").asLong()).isPositive();
            assertThat(delta.path("stored_bytes").asLong()).isPositive();
        });
        assertThat(control.deltas(1)).hasSize(1);
    }

    @Test
    void slowStatementsAreLeftOutWhereTheyAreNotCounted() {
        assertThat(control.slowStatements(20, true)).isEmpty();
    }

    @Test
    void aViewIsTrustedSinceTheFirstVerificationAfterTheLastDrift() {
        assertThat(control.trust(VIEW, 20)).isEmpty();
        sql.run("""
                INSERT INTO control.run (view, action, state, requested_at, started_at, finished_at, result)
                SELECT '%s', 'verify', 'done', now() - ago, now() - ago, now() - ago + interval '1 s', jsonb_build_object('differences', found)
                FROM (VALUES (1, interval '9 days', 0), (2, interval '8 days', 3), (3, interval '7 days', 0), (4, interval '1 day', 0)) v(n, ago, found) ORDER BY n
                """.formatted(VIEW.replace("'", "''")));
        List<JsonNode> trust = json(control.trust(VIEW, 3));
        assertThat(trust).extracting(t -> t.path("differences").asInt()).containsExactly(0, 0, 3);
        assertThat(sql.text("SELECT (now()::timestamptz - '%s'::timestamptz > interval '6 days')::text"
                        .formatted(trust.get(0).path("clean_since").asString())))
                .isEqualTo("true");
        assertThat(sql.text("SELECT (now()::timestamptz - '%s'::timestamptz < interval '8 days')::text"
                        .formatted(trust.get(0).path("clean_since").asString())))
                .isEqualTo("true");
        sql.run(
                "INSERT INTO control.run (view, action, state, started_at, finished_at, result) VALUES ('%s', 'verify', 'done', now(), now(), '{\"differences\":1}')"
                        .formatted(VIEW.replace("'", "''")));
        assertThat(json(control.trust(VIEW, 1)).get(0).path("clean_since").isNull())
                .isTrue();
    }

    @Test
    void theRunsOfAMomentAreThoseThatWereAtWorkThen() {
        sql.run("""
                INSERT INTO control.run (view, action, state, requested_at, started_at, finished_at, result)
                VALUES ('m', 'refresh', 'done', now() - interval '30 min', now() - interval '30 min', now() - interval '20 min', '{}'),
                       ('m', 'verify', 'running', now() - interval '25 min', now() - interval '25 min', NULL, NULL)""");
        assertThat(actions(Duration.ofMinutes(35))).isEmpty();
        assertThat(actions(Duration.ofMinutes(27))).containsExactly("refresh");
        assertThat(actions(Duration.ofMinutes(22))).containsExactly("refresh", "verify");
        assertThat(actions(Duration.ofMinutes(10))).containsExactly("verify");
    }

    private static List<String> actions(Duration ago) {
        return json(control.runsAt(Instant.now().minus(ago))).stream()
                .filter(run -> "m".equals(run.path("view").asString()))
                .map(run -> run.path("action").asString())
                .toList();
    }

    private static List<JsonNode> json(List<String> rows) {
        return rows.stream().map(JsonMapper.shared()::readTree).toList();
    }
}
