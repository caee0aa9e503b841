package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class PartitionsTest {
    private final Engine engine = new Engine();

    PartitionsTest() {
        engine.run("""
                CREATE TABLE app.reading (id int, day int, v int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
                CREATE TABLE app.reading_1 PARTITION OF app.reading FOR VALUES FROM (0) TO (10);
                CREATE TABLE app.reading_2 PARTITION OF app.reading FOR VALUES FROM (10) TO (20);
                CREATE VIEW app.fact_def AS SELECT id, day, v FROM app.reading;
                SELECT tally.create_projection('app.fact', 'app.fact_def', '{id,day}');
                SELECT tally.watch('app.fact', 'app.reading', '{id,day}');
                SELECT tally.create_rollup('app.days', 'app.fact', '{day}', '{"n":"count(*)","v":"sum(v)","hi":"max(v)"}');
                SELECT tally.activate('app.fact');
                CREATE MATERIALIZED VIEW app.total AS SELECT day, sum(v) AS v FROM app.reading GROUP BY day;
                CREATE UNIQUE INDEX ON app.total (day);
                SELECT tally.create_snapshot('app.total');
                SELECT tally.activate('app.total');
                """);
        engine.write("INSERT INTO app.reading SELECT i, i % 20, i FROM generate_series(1, 100) i");
        engine.run("SELECT tally.refresh('app.total')");
        assertThat(problems()).isEmpty();
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    /** In PostgreSQL 15 to 18, the transition tables of a MERGE may have other rows than it changed, or none. */
    @Test
    void whatAMergeUpdatesOrMovesIsSeenHoweverItIsCalled() {
        String changes =
                " ON t.id = s.id WHEN MATCHED AND s.id % 3 = 0 THEN UPDATE SET day = (t.day + 10) % 20, v = s.v"
                        + " WHEN MATCHED AND s.id % 3 = 1 THEN UPDATE SET v = s.v WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v % 20, s.v)";
        String moves = " ON t.id = s.id WHEN MATCHED THEN UPDATE SET (v, \"day\") = ROW(1, (t.day + 10) % 20)";
        String some = "MERGE INTO app.reading t USING (SELECT i AS id, i * 7 AS v FROM generate_series(%d, %d) i) s";
        engine.write(
                some.formatted(90, 120) + changes,
                some.formatted(1, 9) + moves,
                "DO $do$ BEGIN %s; END $do$".formatted(some.formatted(80, 130) + changes),
                "CREATE FUNCTION app.move() RETURNS void LANGUAGE sql AS $f$ %s $f$"
                        .formatted(some.formatted(10, 19) + moves),
                "SELECT app.move()",
                "PREPARE change AS " + some.formatted(70, 140) + changes,
                "EXECUTE change");
        engine.run("UPDATE app.reading SET day = (day + 10) % 20 WHERE id < 9");
        engine.run(
                some.formatted(1, 9)
                        + " ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = 7 WHEN NOT MATCHED THEN INSERT VALUES (s.id, 1, 1)");
        assertThat(engine.number("SELECT count(*) FROM app.fact_delta WHERE tally_source = -1"))
                .as("sweeps for what moves no row, or is no MERGE")
                .isZero();
        engine.write("SELECT 1");
    }

    /** Engines up to 2026-11 had no triggers that follow rows between partitions. */
    @Test
    void afterAnUpgradeTheNextMergePutsOnWhatFollowsMovedRows() {
        engine.run("""
                DO $$ DECLARE g record;
                BEGIN
                    FOR g IN SELECT tgname, tgrelid::regclass AS t FROM pg_trigger WHERE tgname ~ '^tally_\\d+_\\d+_(begin_|leave|arrive)' AND tgparentid = 0 AND tgrelid = ANY ('{app.reading,app.reading_1,app.reading_2}'::regclass[]) LOOP
                        EXECUTE format('DROP TRIGGER %I ON %s', g.tgname, g.t);
                    END LOOP;
                END $$;
                UPDATE tally.derived_view SET generated_by = 'an older one' WHERE relation_name = 'fact' AND schema_name = 'app'""");
        assertThat(problems()).isNotEmpty();
        assertThat(engine.text("SELECT tally.regenerate()")).isEqualTo("app.fact");
        engine.run("SELECT tally.refresh(name) FROM tally.due() WHERE action = 'merge' AND name NOT LIKE 'results.%'");
        assertThat(problems()).isEmpty();
        engine.write(
                "MERGE INTO app.reading t USING (SELECT i AS id FROM generate_series(1, 9) i) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET day = (t.day + 10) % 20");
    }

    /** The text of the statement does not show that rows move. A MERGE that only updates must not cause a sweep. */
    @Test
    void aMergeThatMovesRowsIsFollowedWhateverSetsTheKey() {
        engine.run("""
                CREATE FUNCTION app.place() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.day := NEW.v % 20; RETURN NEW; END $$;
                CREATE TRIGGER place BEFORE UPDATE ON app.reading FOR EACH ROW EXECUTE FUNCTION app.place();
                CREATE TABLE app.staged (id int, v int)""");
        String merge = "MERGE INTO app.reading t USING (SELECT i AS id, i * 13 AS v FROM generate_series(%d, %d) i) s"
                + " ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v";
        String[] statements = {
            merge.formatted(1, 20),
            merge.formatted(21, 30) + " WHEN NOT MATCHED THEN INSERT VALUES (s.id, 1, s.v)",
            merge.formatted(95, 110) + " WHEN NOT MATCHED THEN INSERT VALUES (s.id, 1, s.v)",
            "DO $do$ BEGIN EXECUTE 'MER' || 'GE INTO app.reading t USING (SELECT 31 AS id) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = 777'; END $do$",
            "WITH gone AS (DELETE FROM app.reading WHERE id = 32 RETURNING id) MERGE INTO app.reading t USING (SELECT id + 1 AS id FROM gone) s"
                    + " ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = 778",
            "WITH come AS (INSERT INTO app.reading VALUES (200, 1, 1) RETURNING id) MERGE INTO app.reading t USING (SELECT 34 AS id FROM come) s"
                    + " ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = 779",
            "UPDATE app.reading SET v = v + 7 WHERE id BETWEEN 40 AND 60",
        };
        for (String statement : statements) {
            engine.run(statement);
            if (!statement.contains("NOT MATCHED")) { // of one that inserts, a changed key may be hidden
                assertThat(engine.number("SELECT count(*) FROM app.fact_delta WHERE tally_source = -1"))
                        .as(statement)
                        .isZero();
            }
            engine.liveAgrees(statement);
            engine.run("SELECT tally.refresh('app.fact')");
            engine.storedAgrees(statement);
        }
    }

    @Test
    void aMergeWithinATriggerOfAnotherIsFollowed() {
        engine.run("""
                CREATE FUNCTION app.again() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF pg_trigger_depth() = 1 THEN
                        MERGE INTO app.reading t USING (SELECT NEW.id + 50 AS id) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET day = (t.day + 10) % 20;
                    END IF;
                    RETURN NEW;
                END $$;
                CREATE TRIGGER again BEFORE INSERT ON app.reading_2 FOR EACH ROW EXECUTE FUNCTION app.again();
                CREATE TRIGGER again BEFORE INSERT ON app.reading_1 FOR EACH ROW EXECUTE FUNCTION app.again()""");
        engine.write(
                "MERGE INTO app.reading t USING generate_series(1, 9) s ON t.id = s WHEN MATCHED THEN UPDATE SET day = (t.day + 10) % 20",
                "BEGIN; SAVEPOINT s; UPDATE app.reading SET day = (day + 10) % 20 WHERE id < 5; ROLLBACK TO s; DELETE FROM app.reading WHERE id = 9; COMMIT",
                "INSERT INTO app.reading VALUES (300, 11, 1), (301, 1, 1)");
    }

    @Test
    void aMergeThatChangesAKeyWithinItsPartitionIsSwept() {
        engine.run(
                "MERGE INTO app.reading t USING (VALUES (400), (20)) s(id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET id = 420 WHEN NOT MATCHED THEN INSERT VALUES (s.id, 0, 1)");
        engine.liveAgrees("MERGE");
        engine.run("SELECT tally.refresh('app.fact')");
        engine.storedAgrees("MERGE");
    }

    @Test
    void aNewEmptyPartitionGetsItsTriggersFromAMergeAndNoKeyIsEvaluated() {
        engine.run("CREATE TABLE app.reading_3 PARTITION OF app.reading FOR VALUES FROM (20) TO (30)");
        assertThat(problems()).contains("app.reading_3");
        assertThat(engine.number("SELECT coalesce(keys, 0) FROM tally.refresh('app.fact')"))
                .isZero();
        engine.run("SELECT tally.merge('app.total')");
        assertThat(problems()).isEmpty();
        engine.write(
                "INSERT INTO app.reading_3 VALUES (1, 21, 1), (2, 22, 2)",
                "UPDATE app.reading SET v = v + 1 WHERE day > 15");
    }

    @Test
    void theRowsOfAPartitionThatComesOrGoesAreComparedAlone() {
        engine.run("""
                CREATE TABLE app.reading_3 (v int, day int NOT NULL, id int NOT NULL, PRIMARY KEY (id, day));
                INSERT INTO app.reading_3 SELECT i, 20 + i % 10, i FROM generate_series(1001, 1007) i;
                ALTER TABLE app.reading ATTACH PARTITION app.reading_3 FOR VALUES FROM (20) TO (30)""");
        assertThat(engine.number("SELECT keys FROM tally.refresh('app.fact')")).isEqualTo(7);
        engine.storedAgrees("ATTACH");
        engine.write("UPDATE app.reading_3 SET v = v + 1");
        engine.run("ALTER TABLE app.reading DETACH PARTITION app.reading_3");
        assertThat(engine.number("SELECT keys FROM tally.refresh('app.fact')")).isEqualTo(7);
        engine.run("SELECT tally.merge('app.total')");
        engine.storedAgrees("DETACH");
        assertThat(problems()).isEmpty();
        assertThat(engine.number("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'app.reading_3'::regclass"))
                .isZero();
    }

    @Test
    void namesOfColumnsMayBeThoseOfVariables() {
        engine.run("""
                CREATE TABLE app.word (context int, found int, tally_flag text, PRIMARY KEY (context, found)) PARTITION BY RANGE (context);
                CREATE TABLE app.word_1 PARTITION OF app.word FOR VALUES FROM (0) TO (10);
                CREATE TABLE app.word_2 PARTITION OF app.word DEFAULT;
                CREATE VIEW app.words_def AS SELECT context, found, tally_flag AS flag FROM app.word;
                SELECT tally.create_projection('app.words', 'app.words_def', '{context}', '{found}');
                SELECT tally.watch('app.words', 'app.word', '{context,found}', expand => 'SELECT c.context FROM changed c');
                SELECT tally.activate('app.words')""");
        engine.write(
                "INSERT INTO app.word SELECT i, i, 'w' FROM generate_series(5, 15) i",
                "UPDATE app.word SET tally_flag = tally_flag || found",
                "UPDATE app.word SET context = context + 3 WHERE found > 7",
                "MERGE INTO app.word w USING (SELECT 6 AS f) s ON w.found = s.f WHEN MATCHED THEN UPDATE SET context = 99",
                "DELETE FROM app.word WHERE context = 12");
    }

    @Test
    void aPartitionAttachedLaterIsShownAndHealed() {
        engine.run("""
                CREATE TABLE app.reading_3 (id int, day int, v int, PRIMARY KEY (id, day));
                INSERT INTO app.reading_3 SELECT i, 20 + i % 10, i FROM generate_series(1, 50) i;
                ALTER TABLE app.reading ATTACH PARTITION app.reading_3 FOR VALUES FROM (20) TO (30)""");
        assertThat(problems())
                .isEqualTo(
                        "app.fact app.reading_3 1 a partition without the trigger: its rows came unseen, and what is written to it directly is not seen\n"
                                + "app.total app.reading_3 1 a partition without the trigger: its rows came unseen, and what is written to it directly is not seen");
        heal();
        engine.write(
                "UPDATE app.reading_3 SET v = v + 1 WHERE id < 9",
                "DELETE FROM app.reading WHERE day > 25",
                "TRUNCATE app.reading_3");
    }

    @Test
    void aPartitionThatIsDetachedIsShownAndLosesItsTriggers() {
        engine.run("ALTER TABLE app.reading DETACH PARTITION app.reading_2");
        assertThat(problems())
                .isEqualTo("app.fact app.reading_2 1 the table is no longer part of app.reading: its rows left unseen\n"
                        + "app.total app.reading_2 1 the table is no longer part of app.reading: its rows left unseen");
        heal();
        assertThat(engine.number("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'app.reading_2'::regclass"))
                .isZero();
        engine.run("UPDATE app.reading_2 SET v = 0");
        assertThat(engine.number("SELECT sum(pending) FROM tally.status WHERE name IN ('app.fact', 'app.total')"))
                .isZero();
        engine.write("UPDATE app.reading SET v = v + 1");
    }

    @Test
    void aPartitionThatIsBeingDetachedConcurrentlyIsShownAndCompared() throws Exception {
        try (Sql holder = engine.session();
                Sql detacher = engine.session()) {
            holder.run("BEGIN; SELECT count(*) FROM app.reading");
            CompletableFuture<Void> detached = CompletableFuture.runAsync(
                    () -> detacher.run("ALTER TABLE app.reading DETACH PARTITION app.reading_2 CONCURRENTLY"));
            Eventually.await(
                    "the second half of it",
                    () -> engine.number("SELECT count(*) FROM pg_inherits WHERE inhdetachpending"),
                    n -> n == 1);
            assertThat(problems()).contains("app.fact app.reading_2 1 the table is no longer part of app.reading");
            engine.run("SELECT tally.refresh('app.fact'), tally.refresh('app.total')");
            engine.run(
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%CONCURRENTLY'");
            assertThatThrownBy(detached::get).hasMessageContaining("CONCURRENTLY");
            holder.run("COMMIT");
        }
        engine.run("SELECT tally.refresh('app.fact'), tally.refresh('app.total')");
        engine.write(
                "UPDATE app.reading SET v = v + 1", "ALTER TABLE app.reading DETACH PARTITION app.reading_2 FINALIZE");
        assertThat(problems()).isEmpty();
    }

    @Test
    void aPartitionThatIsDroppedIsShown() {
        engine.run("DROP TABLE app.reading_1");
        assertThat(problems())
                .isEqualTo("app.fact - 1 a partition of app.reading was dropped: its rows left unseen\n"
                        + "app.total - 1 a partition of app.reading was dropped: its rows left unseen");
        heal();
        engine.write("DELETE FROM app.reading_2 WHERE id % 2 = 0");
    }

    @Test
    void aMergeThatInsertsBeforeItUpdatesIsSeenWhole() {
        engine.run("""
                CREATE TABLE app.post (id int PRIMARY KEY, topic text, n int) PARTITION BY HASH (id);
                CREATE TABLE app.post_0 PARTITION OF app.post FOR VALUES WITH (MODULUS 1, REMAINDER 0);
                CREATE VIEW app.topics_def AS SELECT topic, count(*) AS posts, sum(n) AS n FROM app.post GROUP BY topic;
                SELECT tally.create_projection('app.topics', 'app.topics_def', '{topic}');
                SELECT tally.watch('app.topics', 'app.post', '{topic}');
                SELECT tally.activate('app.topics')""");
        engine.write("INSERT INTO app.post VALUES (22, 'a', 0), (9, 'a', 1)");
        engine.write("""
                MERGE INTO app.post t USING (VALUES (8, 'u', 1), (22, 'c', 1), (9, 'd', 2)) v (id, topic, n) ON t.id = v.id
                WHEN MATCHED THEN UPDATE SET topic = v.topic, n = v.n WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.topic, v.n)""");
        assertThat(engine.text("SELECT string_agg(topic, ' ' ORDER BY topic) FROM app.topics"))
                .isEqualTo("c d u");
    }

    @Test
    void aReaderMaySeeIt() {
        engine.run("ALTER TABLE app.reading DETACH PARTITION app.reading_2; SET ROLE countersink_reader");
        assertThat(problems()).contains("no longer part of");
        engine.run("RESET ROLE");
    }

    @Test
    void whoPausedStaysPausedWhenHealed() {
        engine.run(
                "SELECT tally.pause('app.total'), tally.pause('app.fact'), tally.heal('app.total'), tally.heal('app.fact')");
        assertThat(engine.number("SELECT count(*) FROM tally.status WHERE state = 'paused'"))
                .isEqualTo(3);
    }

    /** Only verify and health show that rows came or went; after heal all agree. */
    private void heal() {
        for (String view : new String[] {"app.fact", "app.total"}) {
            String differs = "SELECT count(*) FROM tally.verify('%s')".formatted(view);
            assertThat(engine.number(differs)).as("found in %s", view).isPositive();
            engine.run("SELECT tally.heal('%1$s'); SELECT tally.refresh('%1$s')".formatted(view));
            assertThat(engine.number(differs)).as("left in %s", view).isZero();
        }
        assertThat(problems()).isEmpty();
        engine.storedAgrees("heal");
    }

    private String problems() {
        return engine.text("""
                SELECT coalesce(string_agg(concat_ws(' ', view, relation, rows, problem), E'\\n' ORDER BY view), '') FROM (
                    SELECT view, coalesce(relation, '-') AS relation, count(*) AS rows, problem
                    FROM tally.health WHERE NOT ok GROUP BY view, 2, problem) h""");
    }
}
