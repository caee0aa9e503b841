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
    void whatChangesWhileTheTriggersAreDisabledOrMissingIsToldAndWrittenBackAfterwards() {
        engine.run(
                "SELECT tally.write_back('app.counts', 'app.event', '{\"detections_count\":\"detections\"}'); SELECT tally.refresh('app.counts')");
        engine.run(
                "ALTER TABLE app.counts DISABLE TRIGGER USER; SELECT tally.refresh('app.counts'); UPDATE app.detection SET event_id = 20 WHERE id < 9; SELECT tally.refresh('app.counts')");
        assertThat(engine.number(WRONG)).isPositive();
        assertThat(engine.number(
                        "SELECT count(*) FROM tally.health WHERE NOT ok AND trigger LIKE 'tally_write_back_%'"))
                .isEqualTo(3);
        engine.run("ALTER TABLE app.counts ENABLE TRIGGER USER");
        assertThat(engine.text("SELECT string_agg(problem, ' ') FROM tally.health WHERE NOT ok"))
                .contains("triggers on app.counts were disabled or enabled");
        settle();
        assertThat(engine.number(WRONG)).isZero();
        engine.run(
                "DROP TRIGGER tally_write_back_update ON app.counts; UPDATE app.detection SET event_id = 19 WHERE id < 9; SELECT tally.refresh('app.counts')");
        assertThat(engine.text(
                        "SELECT string_agg(trigger, ' ') FROM tally.health WHERE NOT ok AND trigger IS NOT NULL"))
                .isEqualTo("tally_write_back_update");
        engine.run("SELECT tally.heal('app.counts'); SELECT tally.refresh('app.counts')");
        assertThat(engine.number(WRONG)).isZero();
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
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

    @Test
    void whatCannotBeWrittenIsRefusedWhenItIsDeclared() {
        engine.run("""
                ALTER TABLE app.event ADD COLUMN made int GENERATED ALWAYS AS (id + 1) STORED, ADD COLUMN tags int[], ADD COLUMN other int;
                CREATE VIEW app.more_def AS SELECT e.id AS event_id, (SELECT count(*) + 1 FROM app.detection d WHERE d.event_id = e.id) AS n FROM app.event e; SELECT tally.keep('app.more', 'app.more_def');
                """);
        assertThat(engine.refused("TL018", back("counts", "event", "made", "detections")))
                .contains("generated");
        assertThat(engine.refused("TL018", back("counts", "event", "id", "detections")))
                .contains("holds the key");
        assertThat(engine.refused("TL018", back("counts", "event", "tags", "detections")))
                .contains("cannot be cast");
        assertThat(engine.refused("TL016", back("more", "counts", "detections", "n")))
                .contains("no table of the application");
        assertThat(
                        engine.refused(
                                "TL018",
                                "SELECT tally.write_back('app.counts', 'app.event', '{\"other\":\"detections\"}', '{\"event_id\":\"name\"}')"))
                .contains("cannot be compared");
        assertThat(engine.refused("TL018", "SELECT tally.write_back('app.counts', 'app.event', '{\"other\":null}')"))
                .contains("object of names");
        engine.run(back("counts", "event", "detections_count", "detections"));
        assertThat(engine.refused("TL018", back("more", "event", "detections_count", "n")))
                .contains("is kept by app.counts already");
        engine.run(
                "ALTER TABLE app.event ENABLE ROW LEVEL SECURITY; CREATE ROLE back_owner; GRANT countersink_owner TO back_owner; GRANT ALL ON SCHEMA app TO back_owner; GRANT ALL ON app.event TO back_owner; ALTER TABLE app.detection OWNER TO back_owner");
        engine.run(
                "SET ROLE back_owner; CREATE VIEW app.mine_def AS SELECT event_id, count(*) AS n FROM app.detection GROUP BY event_id; SELECT tally.keep('app.mine', 'app.mine_def')");
        assertThat(engine.refused("TL018", back("mine", "event", "other", "n"))).contains("row-level security");
        engine.run(
                "RESET ROLE; SELECT tally.drop('app.mine'); REASSIGN OWNED BY back_owner TO CURRENT_USER; DROP OWNED BY back_owner; DROP ROLE back_owner");
    }

    @Test
    void noValueIsWrittenToWhereItWasReadFromByAnyWay() {
        engine.run("""
                ALTER TABLE app.event ADD COLUMN a int, ADD COLUMN b int;
                CREATE VIEW app.lower_def AS SELECT id, a FROM app.event; SELECT tally.keep('app.lower', 'app.lower_def');
                CREATE VIEW app.upper_def AS SELECT id, a + 1 AS a FROM app.lower; SELECT tally.keep('app.upper', 'app.upper_def');
                CREATE VIEW app.side_def AS SELECT id, b + 1 AS b FROM app.event; SELECT tally.keep('app.side', 'app.side_def');
                """);
        engine.refused("TL018", back("upper", "event", "a", "a"));
        engine.run(back("lower", "event", "b", "a"));
        engine.refused("TL018", back("side", "event", "a", "b"));
        engine.run(back("counts", "event", "detections_count", "detections"));
        engine.run(
                "CREATE VIEW app.circle_def AS SELECT e.id AS event_id, e.name, (SELECT count(*) FROM app.detection d WHERE d.event_id = e.id) + e.detections_count AS detections FROM app.event e");
        engine.refused("TL018", "SELECT tally.redefine('app.counts', 'app.circle_def')");
        engine.run("CREATE VIEW app.less_def AS SELECT e.id AS event_id, e.name FROM app.event e");
        engine.refused("TL006", "SELECT tally.redefine('app.counts', 'app.less_def')");
        settle();
        assertThat(engine.number(WRONG)).isZero();
    }

    @Test
    void aDefinitionThatComesToReadWhatIsWrittenBackStopsTheMergesAndIsTold() {
        engine.run(
                "ALTER TABLE app.event ADD COLUMN b int; CREATE VIEW app.side_def AS SELECT id, length(name) AS n FROM app.event;"
                        + "SELECT tally.keep('app.side', 'app.side_def'); SELECT tally.refresh('app.side')");
        engine.run(back("side", "event", "b", "n"));
        settle();
        engine.run("CREATE OR REPLACE VIEW app.side_def AS SELECT id, length(name) + b AS n FROM app.event");
        String told = "SELECT string_agg(problem, ' ') FROM tally.health WHERE view = 'app.side' AND NOT ok";
        assertThat(engine.text(told)).contains("reads column \"b\" of app.event, which is written back from it");
        assertThat(engine.text("SELECT outcome FROM tally.merge('app.side')")).isEqualTo("failed");
        assertThat(engine.text(told)).contains("which is written back from it");
        engine.run(
                "CREATE OR REPLACE VIEW app.side_def AS SELECT id, length(name) AS n FROM app.event; SELECT tally.heal('app.side')");
        settle();
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok AND view = 'app.side'"))
                .isZero();
    }

    @Test
    void aValueThatIsRefusedKeepsNoOtherFromBeingWritten() {
        engine.run("ALTER TABLE app.event ADD COLUMN short varchar(1), ADD COLUMN small smallint");
        engine.run(
                "CREATE VIEW app.sum_def AS SELECT event_id, count(*)::text AS n, sum(id) * CASE event_id WHEN 7 THEN 1000 ELSE 1 END AS s FROM app.detection GROUP BY event_id; SELECT tally.keep('app.sum', 'app.sum_def', '{event_id}'); SELECT tally.refresh('app.sum')");
        engine.run("SELECT tally.write_back('app.sum', 'app.event', '{\"small\":\"s\"}')");
        engine.run("SELECT tally.refresh('app.sum')");
        assertThat(
                        engine.text(
                                "SELECT string_agg(e.id::text, ',') FROM app.event e JOIN app.sum s ON s.event_id = e.id WHERE e.small IS DISTINCT FROM s.s"))
                .isEqualTo("7");
        assertThat(engine.text("SELECT string_agg(problem, '') FROM tally.health WHERE NOT ok"))
                .contains("\"7\"")
                .contains("out of range");
        engine.run(
                "SELECT tally.write_back('app.sum', 'app.event', '{\"short\":\"n\"}'); SELECT tally.refresh('app.sum')");
        assertThat(engine.number("SELECT count(*) FROM app.event WHERE short IS NOT NULL"))
                .as("11 is not cut to 1")
                .isZero();
        engine.run(
                "CREATE FUNCTION app.deny() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 9 THEN RAISE EXCEPTION 'not this'; END IF; RETURN NULL; END $$");
        engine.run(
                "CREATE CONSTRAINT TRIGGER deny AFTER UPDATE ON app.event DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION app.deny()");
        engine.run("SELECT tally.write_back('app.sum', 'app.event', '{}')");
        engine.run(back("counts", "event", "detections_count", "detections"));
        settle();
        assertThat(engine.text(
                        "SELECT string_agg(e.id::text, ',') FROM app.event e WHERE detections_count = 0 AND id < 19"))
                .isEqualTo("9");
        engine.run("DELETE FROM app.detection WHERE event_id = 3");
        settle();
        assertThat(engine.number("SELECT detections FROM app.counts WHERE event_id = 3"))
                .isZero();
    }

    @Test
    void aTargetThatSomebodyChangesIsWaitedForByNoMerge() throws Exception {
        engine.run(
                "CREATE TABLE app.shown (id int PRIMARY KEY, n int); INSERT INTO app.shown SELECT g FROM generate_series(1, 20) g");
        engine.run(back("counts", "shown", "n", "detections"));
        try (Sql other = new Sql(engine.db())) {
            other.run("BEGIN; LOCK TABLE app.shown IN ACCESS EXCLUSIVE MODE");
            engine.run("SET statement_timeout = '20s'; DELETE FROM app.detection WHERE event_id = 4");
            settle();
            assertThat(engine.number("SELECT detections FROM app.counts WHERE event_id = 4"))
                    .isZero();
            other.run("COMMIT");
        }
        settle();
        assertThat(
                        engine.number(
                                "SELECT count(*) FROM app.shown s JOIN app.counts c ON c.event_id = s.id WHERE s.n IS DISTINCT FROM c.detections"))
                .isZero();
        engine.run(
                "ALTER TABLE app.shown RENAME COLUMN n TO number; ALTER TABLE app.shown RENAME COLUMN id TO event; ALTER TABLE app.shown RENAME TO seen; DELETE FROM app.detection WHERE event_id = 5");
        settle();
        assertThat(
                        engine.number(
                                "SELECT count(*) FROM app.seen s JOIN app.counts c ON c.event_id = s.event WHERE s.number IS DISTINCT FROM c.detections"))
                .isZero();
        engine.run("ALTER TABLE app.seen DROP COLUMN number; DELETE FROM app.detection WHERE event_id = 6");
        settle();
        assertThat(engine.text("SELECT string_agg(problem, '') FROM tally.health WHERE NOT ok"))
                .contains("has no column number any more");
        engine.run("DROP TABLE app.seen; DELETE FROM app.detection WHERE event_id = 7");
        settle();
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
    }

    @Test
    void valuesComputedOverARollupAndKeysOfAnyTypeAreWritten() {
        engine.run("""
                CREATE TABLE app.thing (id int PRIMARY KEY, tags int[], doc jsonb, v int); INSERT INTO app.thing SELECT g, ARRAY[g % 3], CASE g % 3 WHEN 0 THEN '"a"' WHEN 1 THEN '{"x":1}' ELSE 'null' END::jsonb, g FROM generate_series(1, 12) g;
                CREATE TABLE app.tag (tags int[], doc jsonb, mean numeric, PRIMARY KEY (tags, doc)); INSERT INTO app.tag SELECT DISTINCT tags, doc FROM app.thing;
                CREATE VIEW app.mean_def AS SELECT tags, doc, round(avg(v), 1) AS mean FROM app.thing GROUP BY tags, doc; SELECT tally.keep('app.mean', 'app.mean_def');
                SELECT tally.write_back('app.mean', 'app.tag', '{"mean":"mean"}'); SELECT tally.refresh('app.mean'); UPDATE app.thing SET v = 100 WHERE id < 9; SELECT tally.refresh('app.mean');
                """);
        assertThat(engine.number(
                        "SELECT count(*) FROM app.tag t JOIN app.mean_def m USING (tags, doc) WHERE t.mean = m.mean"))
                .isEqualTo(3);
        engine.run(
                "INSERT INTO app.thing VALUES (13, '{7}', '7', 7); SELECT tally.refresh('app.mean'); INSERT INTO app.tag VALUES ('{7}', '7'); SELECT tally.rebuild('app.mean'); SELECT tally.refresh('app.mean')");
        assertThat(engine.text("SELECT mean FROM app.tag WHERE doc = '7'")).isEqualTo("7.0");
    }

    @Test
    void valuesAreComparedByTheirImageWhateverTheirType() {
        engine.run("""
                CREATE TABLE app.thing (id int PRIMARY KEY, x numeric, f float8, flags bit(8), doc json, at point, code varchar);
                INSERT INTO app.thing SELECT g, g, 0, b'10101010', '{"a":1}', point(g, g), 'ab' FROM generate_series(1, 3) g;
                CREATE TABLE app.copy (id int PRIMARY KEY, x numeric, f float8, flags bit(8), doc json, at point, code char(4)); INSERT INTO app.copy (id) SELECT id FROM app.thing;
                CREATE VIEW app.thing_def AS SELECT * FROM app.thing; SELECT tally.keep('app.kept', 'app.thing_def');
                SELECT tally.write_back('app.kept', 'app.copy', '{"x":"x","f":"f","flags":"flags","doc":"doc","at":"at","code":"code"}'); SELECT tally.refresh('app.kept');
                UPDATE app.thing SET x = x::numeric(9,2), f = '-0', doc = '{"a": 1}', flags = b'11110000' WHERE id < 3; SELECT tally.refresh('app.kept');
                """);
        assertThat(
                        engine.number(
                                "SELECT count(*) FROM (SELECT x::text, f::text, flags::text, doc::text, at::text, code::text FROM app.thing EXCEPT SELECT x::text, f::text, flags::text, doc::text, at::text, code::text FROM app.copy) x"))
                .isZero();
        engine.run(
                "UPDATE app.thing SET code = 'ab  '; CREATE TABLE app.written AS SELECT xmin::text AS was FROM app.copy;"
                        + " SELECT tally.refresh('app.kept')");
        assertThat(engine.number(
                        "SELECT count(*) FROM app.copy c WHERE c.xmin::text NOT IN (SELECT was FROM app.written)"))
                .isZero();
    }

    private static String back(String view, String target, String column, String value) {
        return "SELECT tally.write_back('app.%s', 'app.%s', '{\"%s\":\"%s\"}')".formatted(view, target, column, value);
    }
}
