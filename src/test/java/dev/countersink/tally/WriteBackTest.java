package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Sql;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Kept values in columns of the application's own table. */
class WriteBackTest {
    private static final String WRONG =
            "SELECT count(*) FROM app.event e WHERE e.detections_count <> (SELECT count(*) FROM app.detection d WHERE d.event_id = e.id)";

    private final Engine engine = new Engine();

    WriteBackTest() {
        engine.run("""
                CREATE TABLE app.event (id int PRIMARY KEY, name text, detections_count int NOT NULL DEFAULT 0);
                CREATE TABLE app.detection (id int PRIMARY KEY, event_id int REFERENCES app.event);
                CREATE INDEX ON app.detection (event_id);
                INSERT INTO app.event SELECT g, 'e' || g FROM generate_series(1, 20) g;
                INSERT INTO app.detection SELECT g, 1 + g % 18 FROM generate_series(1, 200) g;
                CREATE VIEW app.counts_def AS SELECT e.id AS event_id, e.name, (SELECT count(*) FROM app.detection d WHERE d.event_id = e.id) AS detections FROM app.event e;
                SELECT tally.keep('app.counts', 'app.counts_def'); SELECT tally.refresh('app.counts');
                """);
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void onlyWhatDiffersIsWrittenAndNoDeltaRowComesOfIt() {
        engine.run("SELECT tally.write_back('app.counts', 'app.event', '{\"detections_count\":\"detections\"}')");
        assertThat(engine.text("SELECT (tally.merge('app.counts')).changed")).isEqualTo("18");
        assertThat(engine.number(WRONG)).isZero();
        engine.run("UPDATE app.detection SET event_id = 20 WHERE id IN (5, 6)");
        settle();
        assertThat(engine.number(WRONG)).isZero();
        assertThat(engine.number("SELECT count(*) FROM app.counts_delta")).isZero();
        engine.refused("TL018", "SELECT tally.write_back('app.counts', 'app.event', '{\"name\":\"name\"}')");
        engine.refused("TL006", "SELECT tally.write_back('app.counts', 'app.event', '{\"nothing\":\"detections\"}')");
    }

    @Test
    void aRefreshWritesAllOfItBack() {
        engine.run("SELECT tally.write_back('app.counts', 'app.event', '{\"detections_count\":\"detections\"}')");
        assertThat(engine.number("SELECT (tally.refresh('app.counts')).changed"))
                .isEqualTo(18);
        engine.run(
                "INSERT INTO app.event SELECT g, 'e' || g FROM generate_series(21, 2500) g; INSERT INTO app.detection SELECT 1000 + g, g FROM generate_series(1, 2500) g");
        engine.run("SELECT tally.refresh('app.counts')");
        assertThat(engine.number(WRONG)).isZero();
        assertThat(engine.text("SELECT (tally.refresh('app.counts')).outcome")).isEqualTo("nothing");
    }

    @Test
    void aRedefinitionTakesItAlong() {
        engine.run("SELECT tally.write_back('app.counts', 'app.event', '{\"detections_count\":\"detections\"}')");
        engine.run("""
                CREATE VIEW app.counts_def2 AS SELECT e.id AS event_id, e.name, (SELECT count(*) FROM app.detection d WHERE d.event_id = e.id) + 1 AS detections FROM app.event e;
                SELECT tally.redefine('app.counts', 'app.counts_def2')""");
        for (int i = 0; i < 6; i++) {
            engine.run("SELECT tally.merge('app.counts')");
        }
        assertThat(
                        engine.number(
                                "SELECT count(*) FROM app.event e JOIN app.counts_def2 c ON c.event_id = e.id WHERE e.detections_count <> c.detections"))
                .isZero();
    }

    @Test
    void aRowThatSomebodyHoldsAndOneThatIsRefusedAreTriedAgain() throws Exception {
        engine.run("""
                CREATE VIEW app.fact_def AS SELECT d.id, d.event_id FROM app.detection d;
                SELECT tally.keep('app.fact', 'app.fact_def');
                SELECT tally.create_rollup('app.per_event', 'app.fact', '{event_id}', '{"n":"count(*)"}');
                SELECT tally.write_back('app.per_event', 'app.event', '{"detections_count":"n"}');
                SELECT tally.refresh('app.fact')""");
        settle();
        assertThat(engine.number(WRONG)).isZero();
        engine.run("ALTER TABLE app.event ADD CONSTRAINT few CHECK (detections_count < 13)");
        engine.run("INSERT INTO app.detection SELECT g, 3 FROM generate_series(1001, 1005) g");
        settle();
        assertThat(engine.text(
                        "SELECT string_agg(problem, '') FROM tally.health WHERE NOT ok AND view = 'app.per_event'"))
                .contains("few");
        engine.run("ALTER TABLE app.event DROP CONSTRAINT few");
        settle();
        assertThat(engine.number(WRONG)).isZero();
        try (Sql other = new Sql(engine.db())) {
            other.run("BEGIN; SELECT FROM app.event WHERE id = 4 FOR UPDATE");
            engine.run("DELETE FROM app.detection WHERE event_id IN (4, 5)");
            settle();
            assertThat(
                            engine.text(
                                    "SELECT string_agg(id::text, ',') FROM app.event WHERE id IN (4, 5) AND detections_count > 0"))
                    .isEqualTo("4");
            other.run("COMMIT");
        }
        settle();
        assertThat(engine.number(WRONG)).isZero();
    }

    private void settle() {
        for (int i = 0; i < 3; i++) {
            engine.run("SELECT tally.merge(name) FROM tally.due() WHERE name LIKE 'app.%'");
        }
    }

    @Test
    void keysMatchAsTheirTypesCompare() {
        engine.run("""
                CREATE EXTENSION citext SCHEMA public; CREATE DOMAIN app.mail AS public.citext;
                CREATE TABLE app.t (id int PRIMARY KEY, m public.citext, n numeric, d app.mail); INSERT INTO app.t VALUES (1, 'Anna', 1.0, 'X'), (2, 'anna', 1.00, 'x'), (3, 'Ben', 2, 'y');
                CREATE TABLE app.p (m public.citext PRIMARY KEY, k int NOT NULL DEFAULT 0); INSERT INTO app.p VALUES ('ANNA'), ('ben'), ('c');
                CREATE TABLE app.q (n numeric PRIMARY KEY, k int); INSERT INTO app.q VALUES (1), (2.00); CREATE TABLE app.w (d app.mail PRIMARY KEY, k int); INSERT INTO app.w VALUES ('X'), ('Y');
                CREATE VIEW app.t_def AS SELECT * FROM app.t;
                SELECT tally.create_projection('app.f', 'app.t_def', '{id}'); SELECT tally.watch('app.f', 'app.t', '{id}');
                SELECT tally.create_rollup('app.by_m', 'app.f', '{m}', '{"c":"count(*)"}'); SELECT tally.create_rollup('app.by_n', 'app.f', '{n}', '{"c":"count(*)"}');
                SELECT tally.create_rollup('app.by_d', 'app.f', '{d}', '{"c":"count(*)"}'); SELECT tally.activate('app.f');
                SELECT tally.write_back('app.by_m', 'app.p', '{"k":"c"}'); SELECT tally.write_back('app.by_n', 'app.q', '{"k":"c"}'); SELECT tally.write_back('app.by_d', 'app.w', '{"k":"c"}')""");
        String written =
                "SELECT concat((SELECT string_agg(m::text || k, ' ' ORDER BY m) FROM app.p), ', ', (SELECT string_agg(n::text || ':' || k, ' ' ORDER BY n) FROM app.q), ', ', (SELECT string_agg(d::text || coalesce(k::text, '-'), ' ' ORDER BY d) FROM app.w))";
        engine.run("SELECT tally.refresh('app.f')");
        assertThat(engine.text(written)).isEqualTo("ANNA2 ben1 c0, 1:2 2.00:1, X2 Y1");
        engine.run(
                "UPDATE app.t SET m = 'BEN', d = 'Y' WHERE id = 1; DELETE FROM app.t WHERE id = 2; SELECT tally.refresh('app.f')");
        assertThat(engine.text(written)).isEqualTo("ANNA0 ben2 c0, 1:1 2.00:1, X- Y2");
    }
}
