package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Sql;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** When a scheduler is told to bring a derived view up to date. */
class SchedulesTest {
    private static final String OF =
            "SELECT concat_ws('/', interval_ms, cron, priority, schedule_version)" + " FROM tally.status WHERE name = ";

    private Engine engine;

    @BeforeEach
    void declare() {
        engine = new Engine();
        engine.run("""
                CREATE TABLE app.item (id bigint PRIMARY KEY, n int NOT NULL);
                CREATE VIEW app.fact_def AS SELECT id, n FROM app.item;
                SELECT tally.create_projection('app.fact', 'app.fact_def', '{id}');
                SELECT tally.watch('app.fact', 'app.item', '{id}');
                SELECT tally.create_rollup('app.total', 'app.fact', '{n}', '{"items":"count(*)"}');
                SELECT tally.activate('app.fact');
                CREATE MATERIALIZED VIEW app.chart AS SELECT n, count(*) AS items FROM app.item GROUP BY n;
                CREATE UNIQUE INDEX ON app.chart (n);
                SELECT tally.create_snapshot('app.chart');
                SELECT tally.activate('app.chart');
                """);
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void whatIsNotNamedStays() {
        assertThat(engine.number("SELECT tally.schedule('app.fact', '{\"interval\":\"1.5s\",\"priority\":7}')"))
                .isEqualTo(2);
        assertThat(schedule("app.fact")).isEqualTo("1500/7/2");
        engine.run("SELECT tally.schedule('app.fact', '{\"priority\":null}')");
        assertThat(schedule("app.fact")).isEqualTo("1500/0/3");
        engine.run("SELECT tally.schedule('app.fact', '{\"interval_ms\":250}')");
        assertThat(schedule("app.fact")).isEqualTo("250/0/4");
        engine.run("SELECT tally.schedule('app.fact', '{\"interval\":null}')");
        assertThat(schedule("app.fact")).isEqualTo("0/5");
    }

    @Test
    void aTargetLagFindsIntervalAndKeysFromWhatMergesCost() {
        engine.run("""
                CREATE VIEW app.upper_def AS SELECT n, count(*) AS items FROM app.fact GROUP BY n;
                SELECT tally.keep('app.upper', 'app.upper_def', '{n}');
                INSERT INTO app.item SELECT g, g % 5 FROM generate_series(1, 50) g;
                SELECT tally.refresh('app.fact'); SELECT tally.refresh('app.upper');
                SELECT tally.schedule('app.upper', '{"target_lag":"500ms"}');
                """);
        assertThat(engine.number("SELECT interval_ms FROM tally.due() WHERE name = 'app.upper'"))
                .isBetween(50L, 250L);
        for (int i = 1; i <= 5; i++) {
            engine.run("UPDATE app.item SET n = n + 1 WHERE id = " + i);
            engine.run("SELECT tally.merge('app.upper')");
            assertThat(
                            engine.number(
                                    "SELECT count(*) FROM (TABLE app.upper EXCEPT ALL SELECT n, count(*) FROM app.item GROUP BY n) x"))
                    .as("the view below was merged first")
                    .isZero();
        }
        assertThat(
                        engine.text(
                                "SELECT target_lag_ms = 500 AND 0 < lag_p50 AND lag_p50 <= lag_p99 FROM tally.status WHERE name = 'app.upper'"))
                .isEqualTo("t");
        engine.run("UPDATE tally.merge_cost SET ms = 1000 * merges");
        assertThat(engine.number("SELECT interval_ms FROM tally.due() WHERE name = 'app.upper'"))
                .as("merges that take longer than the target leave no pause")
                .isLessThanOrEqualTo(50);
        engine.run("SELECT tally.schedule('app.upper', '{\"interval\":\"5s\"}')");
        assertThat(engine.text("SELECT concat(interval_ms, target_lag_ms) FROM tally.status WHERE name = 'app.upper'"))
                .isEqualTo("5000");
        engine.refused("TL018", "SELECT tally.schedule('app.upper', '{\"target_lag\":\"5ms\"}')");
        engine.refused("TL018", "SELECT tally.schedule('app.upper', '{\"target_lag\":\"1 year -359 days\"}')");
        engine.refused("TL018", "SELECT tally.schedule('app.upper', '{\"target_lag\":\"5s\",\"interval\":\"5s\"}')");
        engine.refused("TL018", "SELECT tally.schedule('app.chart', '{\"target_lag\":\"5s\"}')");
    }

    @Test
    void aDiamondIsMergedAsAGraphItsSharedViewOnce() {
        engine.run("""
                CREATE VIEW app.counted_def AS SELECT n, count(*) AS items FROM app.fact GROUP BY n;
                CREATE VIEW app.added_def AS SELECT n, sum(id) AS ids FROM app.fact GROUP BY n;
                SELECT tally.keep('app.counted', 'app.counted_def', '{n}');
                SELECT tally.keep('app.added', 'app.added_def', '{n}');
                CREATE VIEW app.joined_def AS SELECT c.n, c.items, a.ids FROM app.counted c JOIN app.added a ON a.n = c.n;
                SELECT tally.keep('app.joined', 'app.joined_def', '{n}');
                INSERT INTO app.item SELECT g, g % 5 FROM generate_series(1, 50) g;
                SELECT tally.schedule('app.joined', '{"target_lag":"500ms"}')""");
        engine.run("SELECT tally.merge('app.joined')");
        String merged = "SELECT keys_merged FROM tally.status WHERE name = 'app.fact'";
        long before = engine.number(merged);
        engine.run("UPDATE app.item SET n = 7 WHERE id <= 3");
        engine.run("SELECT tally.merge('app.joined')");
        assertThat(engine.number(merged) - before)
                .as("keys of the view below both sides")
                .isEqualTo(3);
        assertThat(
                        engine.number(
                                "SELECT sum(pending) FROM tally.status WHERE name IN ('app.fact', 'app.counted', 'app.added', 'app.joined')"))
                .isZero();
        assertThat(
                        engine.number(
                                "SELECT count(*) FROM (TABLE app.joined EXCEPT ALL SELECT n, count(*), sum(id) FROM app.item GROUP BY n) x"))
                .isZero();
        assertThat(
                        engine.text(
                                "SELECT string_agg(name, ' ' ORDER BY ordinality) FROM tally.due() WITH ORDINALITY WHERE name IN ('app.fact', 'app.counted', 'app.added', 'app.joined')"))
                .startsWith("app.fact ")
                .endsWith(" app.joined");
    }

    @Test
    void whatChangesNothingLeavesTheVersion() {
        assertThat(engine.number("SELECT tally.schedule('app.fact', '{\"priority\":0,\"interval\":null}', 1)"))
                .isEqualTo(1);
        assertThat(engine.number("SELECT tally.schedule('app.fact', '{}')")).isEqualTo(1);
    }

    @Test
    void aRollupHasTheScheduleOfItsProjection() {
        engine.run("SELECT tally.schedule('app.total', '{\"interval\":\"1 minute\",\"priority\":-3}')");
        assertThat(schedule("app.fact")).isEqualTo("60000/-3/2");
        assertThat(schedule("app.total")).isEqualTo("60000/-3/2");
    }

    @Test
    void aCronEndsAnIntervalAndTheOtherWayRound() {
        engine.run("SELECT tally.schedule('app.chart', '{\"interval\":\"5s\"}')");
        engine.run("SELECT tally.schedule('app.chart', '{\"cron\":\" 0 0/5 * * * ? \"}')");
        assertThat(schedule("app.chart")).isEqualTo("0 0/5 * * * ?/0/3");
        engine.run("SELECT tally.schedule('app.chart', '{\"interval\":\"5s\"}')");
        assertThat(schedule("app.chart")).isEqualTo("5000/0/4");
        engine.run("SELECT tally.schedule('app.chart', '{\"cron\":\"0 0 3 * * ? 2099\"}')");
        engine.run("SELECT tally.schedule('app.chart', '{\"cron\":null}')");
        assertThat(schedule("app.chart")).isEqualTo("0/6");
    }

    @Test
    void whoReadAnOlderVersionIsRefused() throws Exception {
        engine.run("SELECT tally.schedule('app.fact', '{\"priority\":1}', 1)");
        assertThat(engine.refused("TL021", "SELECT tally.schedule('app.fact', '{\"priority\":2}', 1)"))
                .contains("version 2, not 1");
        assertThat(schedule("app.fact")).isEqualTo("1/2");
        try (Sql other = engine.session()) {
            other.run("BEGIN; SELECT tally.schedule('app.fact', '{\"priority\":3}', 2)");
            // It waits for the other session, which could still roll back.
            engine.refused(
                    "55P03", "SET lock_timeout = '200ms'; SELECT tally.schedule('app.fact', '{\"priority\":4}', 2)");
            other.run("COMMIT");
        }
        engine.refused("TL021", "SELECT tally.schedule('app.fact', '{\"priority\":4}', 2)");
        assertThat(schedule("app.fact")).isEqualTo("3/3");
    }

    @Test
    void valuesThatMakeNoSenseAreRefused() {
        String[][] refusals = {
            {"app.fact", "[]", "must be an object"},
            {"app.fact", "{\"intervall\":\"5s\"}", "no \"intervall\""},
            {"app.fact", "{\"interval\":\"soon\"}", "interval is \"soon\""},
            {"app.fact", "{\"interval\":\"99 ms\"}", "at least 100 ms"},
            {"app.fact", "{\"interval\":\"25 hours\"}", "at most 1 day"},
            {"app.fact", "{\"interval\":5}", "text with a unit"},
            {"app.fact", "{\"interval_ms\":\"5s\"}", "must be a number"},
            {"app.fact", "{\"interval_ms\":-1000}", "at least 100 ms"},
            {"app.fact", "{\"interval_ms\":1e300}", "interval is 1"},
            {"app.fact", "{\"interval\":\"5s\",\"interval_ms\":5000}", "Both"},
            {"app.fact", "{\"cron\":\"0 0/5 * * * ?\"}", "only a snapshot has a cron"},
            {"app.chart", "{\"cron\":\"*/5 * * * *\"}", "6 or 7 fields"},
            {"app.chart", "{\"cron\":\"\"}", "6 or 7 fields"},
            {"app.chart", "{\"cron\":5}", "6 or 7 fields"},
            {"app.chart", "{\"cron\":\"0 0/5 * * * ?\",\"interval\":\"5s\"}", "one or the other"},
            {"app.fact", "{\"priority\":101}", "priority is 101"},
            {"app.fact", "{\"priority\":1.5}", "priority is 1.5"},
            {"app.fact", "{\"priority\":\"high\"}", "priority is \"high\""},
        };
        for (String[] refusal : refusals) {
            assertThat(engine.refused("TL018", "SELECT tally.schedule('%s', '%s')".formatted(refusal[0], refusal[1])))
                    .contains(refusal[2]);
        }
        engine.refused("TL018", "SELECT tally.schedule('app.fact', NULL)");
        engine.refused("TL001", "SELECT tally.schedule('app.gone', '{}')");
        assertThat(schedule("app.fact")).isEqualTo("0/1");
        assertThat(schedule("app.chart")).isEqualTo("0/1");
    }

    @Test
    void whatIsDueComesByPriority() {
        String order = "SELECT string_agg(name, ' ' ORDER BY n) FROM tally.due() WITH ORDINALITY AS d"
                + " (name, kind, action, interval_ms, cron, version, priority, n) WHERE name LIKE 'app.%'";
        assertThat(engine.text(order)).isEqualTo("app.chart app.fact");
        engine.run("SELECT tally.schedule('app.fact', '{\"priority\":1}')");
        assertThat(engine.text(order)).isEqualTo("app.fact app.chart");
        engine.run("SELECT tally.schedule('app.chart', '{\"priority\":2}')");
        assertThat(engine.text(order)).isEqualTo("app.chart app.fact");
    }

    private String schedule(String name) {
        return engine.text(OF + "'" + name + "'");
    }
}
