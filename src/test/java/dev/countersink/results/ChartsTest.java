package dev.countersink.results;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.config.DbSettings;
import dev.countersink.db.Database;
import dev.countersink.testing.Differences;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestInstance;
import dev.countersink.testing.TestNats;
import dev.countersink.testing.TestPostgres;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

/** Compares the charts with plain queries over the base tables, and tests when they are refreshed. */
class ChartsTest {
    private static final int ROUNDS = 20;

    /** What each chart must show, computed from scratch. */
    private static final Map<String, String> ORACLES =
            Map.of("captures_by_hour", """
            SELECT c.project_id, extract(hour FROM c.captured_at AT TIME ZONE d.time_zone) AS hour, count(DISTINCT c.id) AS captures,
                   count(x.id) FILTER (WHERE x.bbox IS NOT NULL AND o.passes) AS detections
            FROM results.capture c JOIN results.deployment d ON d.id = c.deployment_id
            LEFT JOIN results.detection x ON x.capture_id = c.id LEFT JOIN results.occurrence_pass o ON o.id = x.occurrence_id
            WHERE c.captured_at IS NOT NULL GROUP BY 1, 2""", "occurrences_by_month", """
            SELECT o.project_id, date_trunc('month', n.start)::date AS month, count(*) AS occurrences
            FROM results.occurrence_pass o JOIN night n ON n.event_id = o.event_id WHERE o.passes GROUP BY 1, 2""", "taxa_over_time", """
            SELECT DISTINCT s.project_id, s.night,
                   (SELECT count(*) FROM seen t WHERE t.project_id = s.project_id AND t.night = s.night) AS new_taxa,
                   (SELECT count(*) FROM seen t WHERE t.project_id = s.project_id AND t.night <= s.night) AS taxa
            FROM seen s""", "top_taxa", """
            SELECT t.project_id, t.better + 1 AS place, t.taxon_id, t.occurrences FROM (
                SELECT c.*, (SELECT count(*) FROM often b WHERE b.project_id = c.project_id
                             AND (b.occurrences, -b.taxon_id) > (c.occurrences, -c.taxon_id)) AS better FROM often c) t
            WHERE t.better < 20""");

    /** The CTEs that precede each oracle. */
    private static final String WITH = """
            WITH night AS (
                SELECT e.id AS event_id, min(c.captured_at) AT TIME ZONE d.time_zone AS start
                FROM results.event e JOIN results.deployment d ON d.id = e.deployment_id JOIN results.capture c ON c.event_id = e.id
                WHERE c.captured_at IS NOT NULL GROUP BY e.id, d.time_zone),
            seen AS (
                SELECT o.project_id, o.determination_id, min(n.start)::date AS night
                FROM results.occurrence_pass o JOIN night n ON n.event_id = o.event_id
                WHERE o.passes AND o.determination_id IS NOT NULL GROUP BY 1, 2),
            often AS (
                SELECT o.project_id, o.determination_id AS taxon_id, count(*) AS occurrences FROM results.occurrence_pass o
                WHERE o.passes AND o.event_id IS NOT NULL AND o.determination_id IS NOT NULL GROUP BY 1, 2)
            %s""";

    /** Excludes nothing, and inserts enough rows that no chart is empty. */
    private static final String MUCH = """
            TRUNCATE results.project_included_taxon, results.project_excluded_taxon;
            UPDATE results.project SET score_threshold = 0.3;
            INSERT INTO results.occurrence (project_id, deployment_id, event_id, determination_id, determination_score)
            SELECT e.project_id, e.deployment_id, e.id, t.id, n / 10.0
            FROM results.event e, generate_series(1, 5) n JOIN results.taxon t ON t.id % n = 0""";

    private final long seed = Long.getLong("countersink.seed", System.nanoTime() & 0xffffff);
    private final Random random = new Random(seed);
    private final DbSettings db = TestPostgres.migrated();

    @Test
    void afterRandomWritesEachChartShowsWhatItsPlainQuerySays() throws Exception {
        System.out.printf("countersink.seed=%d%n", seed);
        try (Sql sql = new Sql(db);
                Connection connection = Database.connect(db);
                Statement writer = connection.createStatement()) {
            sql.run("SET statement_timeout = '60s'; SET jit = off");
            sql.run(RandomWritersTest.SEED_ROWS);
            sql.run("UPDATE results.deployment SET time_zone = 'America/Toronto' WHERE id = 2");
            sql.run("INSERT INTO results.taxon (name) SELECT 'more ' || n FROM generate_series(1, 60) n");
            RandomWrites writes = new RandomWrites(random);
            for (int round = 0; round < ROUNDS; round++) {
                for (int n = 0; n < 30; n++) {
                    tolerantly(writer, writes.next());
                }
                writer.execute(spread());
                writer.execute(
                        "UPDATE results.occurrence o SET determination_id = (SELECT max(t.id) FROM results.taxon t WHERE t.id <= 1 + (o.id * %d) %% 80) WHERE id %% 3 = 0"
                                .formatted(1 + random.nextInt(80)));
                if (round % 10 == 9) {
                    writer.execute(MUCH);
                }
                refreshAll(sql);
                ORACLES.keySet()
                        .forEach(chart -> assertThat(sql.text(differences(chart)))
                                .as("%s against its query, seed %d", chart, seed)
                                .isEmpty());
            }
            for (String chart : ORACLES.keySet()) {
                assertThat(sql.number("SELECT count(*) FROM results." + chart))
                        .as("rows of %s, seed %d", chart, seed)
                        .isPositive();
                assertThat(sql.number("SELECT count(*) FROM tally.verify('results.%s')".formatted(chart)))
                        .isZero();
            }
            assertThat(sql.number("SELECT max(place) FROM results.top_taxa")).isEqualTo(20);
            assertThat(sql.number("SELECT count(DISTINCT hour) FROM results.captures_by_hour"))
                    .isGreaterThan(12);
        }
    }

    @Test
    void aChartIsNotTouchedWhileNothingItReadsHasChanged() throws Exception {
        try (Sql sql = new Sql(db)) {
            sql.run(RandomWritersTest.SEED_ROWS);
            refreshAll(sql);
            String files = "SELECT string_agg(concat(xmin, ctid), ' ' ORDER BY ctid) FROM results.captures_by_hour";
            String before = sql.text(files);
            sql.run(
                    "UPDATE results.job SET status = 'paused'; UPDATE results.taxon SET search_names = '{x}' WHERE id = 1");
            sql.run("SELECT tally.refresh('results.fact')");
            for (String chart : ORACLES.keySet()) {
                assertThat(sql.text("SELECT outcome FROM tally.merge('results.%s')".formatted(chart)))
                        .isEqualTo("nothing");
            }
            assertThat(sql.text(files)).isEqualTo(before);
            sql.run("INSERT INTO results.capture (project_id, deployment_id, path, captured_at)"
                    + " VALUES (2, 3, 'late.jpg', '2026-06-01 23:59Z')");
            assertThat(sql.text("SELECT outcome FROM tally.merge('results.captures_by_hour')"))
                    .as("before the counts are merged")
                    .isEqualTo("nothing");
            sql.run("SELECT tally.refresh('results.fact')");
            assertThat(sql.text("SELECT outcome FROM tally.merge('results.captures_by_hour')"))
                    .isEqualTo("merged");
            assertThat(sql.number("SELECT captures FROM results.captures_by_hour WHERE project_id = 2 AND hour = 23"))
                    .isOne();
        }
    }

    @Test
    void withoutTheChartsTheCountsCanBeRedefined() throws Exception {
        try (Sql sql = new Sql(db)) {
            sql.run(RandomWritersTest.SEED_ROWS);
            sql.run("SELECT results.drop_charts(); SELECT results.drop_charts()");
            sql.run("CREATE VIEW results.fact_def_2 AS TABLE results.fact_def");
            sql.run("SELECT tally.redefine('results.fact', 'results.fact_def_2')");
            Eventually.await(
                    "swapped",
                    () -> {
                        sql.run("SELECT tally.refresh('results.fact')");
                        return sql.text("SELECT definition::text FROM tally.derived_view"
                                + " WHERE schema_name = 'results' AND relation_name = 'fact'");
                    },
                    "results.fact_def_2"::equals);
            sql.run(Files.readString(Path.of("sql", "results", "charts.sql")));
            refreshAll(sql);
            ORACLES.keySet()
                    .forEach(chart ->
                            assertThat(sql.text(differences(chart))).as(chart).isEmpty());
        }
    }

    @Test
    void anUnknownTimeZoneIsRefused() throws Exception {
        try (Sql sql = new Sql(db)) {
            sql.run(RandomWritersTest.SEED_ROWS);
            assertThatThrownBy(() -> sql.run("UPDATE results.deployment SET time_zone = 'Mars/Olympus'"))
                    .hasRootCauseMessage("ERROR: time zone \"Mars/Olympus\" not recognized");
        }
    }

    @Test
    void theRunningProgramRefreshesChartsByTheirCron() throws Exception {
        try (Sql sql = new Sql(db);
                TestNats nats = new TestNats();
                TestInstance instance = TestInstance.start(db, nats)) {
            for (JsonNode view : instance.get("/api/views").json().path("items")) {
                assertThat(view.path("cron").isNull())
                        .as(view.path("name").asString())
                        .isEqualTo(!"snapshot".equals(view.path("kind").asString()));
            }
            for (String chart : ORACLES.keySet()) {
                assertThat(instance.patch(
                                        "/api/views/results.%s/schedule".formatted(chart),
                                        "*",
                                        "{\"cron\":\"* * * * * ?\"}")
                                .status())
                        .isEqualTo(200);
            }
            sql.run(RandomWritersTest.SEED_ROWS);
            sql.run(
                    "INSERT INTO results.occurrence (project_id, deployment_id, event_id, determination_id, determination_score)"
                            + " VALUES (1, 1, 1, 7, 0.9)");
            for (String chart : ORACLES.keySet()) {
                Eventually.await(
                        chart + " shows what its query says", () -> sql.text(differences(chart)), String::isEmpty);
                assertThat(sql.number("SELECT count(*) FROM results." + chart)).isPositive();
            }
        }
    }

    private static String differences(String chart) {
        return Differences.sql("results." + chart, "(" + WITH.formatted(ORACLES.get(chart)) + ")");
    }

    private static void refreshAll(Sql sql) {
        sql.run("SELECT tally.refresh('results.fact')");
        ORACLES.keySet().forEach(chart -> sql.run("SELECT tally.refresh('results.%s')".formatted(chart)));
    }

    /** Spreads captures over months and hours; some nights get no times. */
    private String spread() {
        return "UPDATE results.capture SET captured_at = CASE WHEN id %% 11 > 0 THEN timestamptz '2026-01-01 00:00Z'"
                        .formatted()
                + " + interval '37 minutes' * ((id * %d) %% 14000) END WHERE id %% 4 = %d"
                        .formatted(1 + random.nextInt(13_000), random.nextInt(4));
    }

    /** Ignores random violations of constraints and cycles of taxa. */
    private static void tolerantly(Statement writer, String statement) throws SQLException {
        try {
            writer.execute(statement);
        } catch (SQLException e) {
            if (!e.getSQLState().startsWith("23") && !e.getSQLState().equals("RS020")) {
                throw new SQLException(statement, e);
            }
        }
    }
}
