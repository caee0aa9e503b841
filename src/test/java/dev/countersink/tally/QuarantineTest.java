package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class QuarantineTest {
    private final Engine engine = new Engine();

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    private void declare(String type) {
        engine.run("""
                CREATE TABLE app.slot (at %s PRIMARY KEY, load int, seats int);
                CREATE VIEW app.slot_def AS SELECT at, load / seats AS share FROM app.slot;
                SELECT tally.create_projection('app.f', 'app.slot_def', '{at}');
                SELECT tally.watch('app.f', 'app.slot', '{at}');
                SELECT tally.activate('app.f');
                SELECT tally.refresh('app.f')""".formatted(type));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "timestamptz | '2026-01-01 00:00+00' | timezone = 'Asia/Tokyo'",
                "date | '2026-02-01' | datestyle = 'ISO, DMY'",
                "interval | '1 day 02:00' | intervalstyle = 'sql_standard'",
                "bytea | '\\x00ff' | bytea_output = 'escape'",
                "double precision | 0.1 | extra_float_digits = -10",
                "numeric | 1.00 | timezone = 'UTC'"
            })
    void aKeyLeavesUnderOtherSettings(String type, String value, String setting) {
        declare(type);
        engine.run("INSERT INTO app.slot VALUES (%s, 10, 0)".formatted(value));
        assertThat(engine.number("SELECT quarantined FROM tally.refresh('app.f')"))
                .isEqualTo(1);
        engine.run("SET " + setting);
        engine.write("UPDATE app.slot SET seats = 2");
        assertThat(engine.number("SELECT count(*) FROM tally.quarantine")).isZero();
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
    }

    @Test
    void aKeyIsTriedAgainByItselfEverLessOften() {
        declare("int");
        engine.run(
                "INSERT INTO app.slot SELECT i, 10, CASE WHEN i < 3 THEN 0 ELSE 1 END FROM generate_series(1, 20) i; SELECT tally.refresh('app.f')");
        // a change that no trigger reports
        engine.run("UPDATE app.slot SET seats = 5 WHERE at = 1; DELETE FROM app.f_delta");
        assertThat(engine.text("SELECT outcome FROM tally.merge('app.f')")).isEqualTo("nothing");
        engine.run("UPDATE tally.quarantine SET retry_at = now()");
        assertThat(engine.text("SELECT outcome || ' ' || keys || ' ' || quarantined FROM tally.merge('app.f')"))
                .isEqualTo("merged 2 1");
        assertThat(engine.text("SELECT share FROM app.f WHERE at = 1")).isEqualTo("2");
        assertThat(
                        engine.text(
                                "SELECT key::text || ' ' || tries || ' ' || date_trunc('second', retry_at - tried_at + interval '0.5 s') FROM tally.quarantine"))
                .isEqualTo("[2] 2 00:00:20");
        engine.write("UPDATE app.slot SET seats = 1");
        assertThat(engine.number("SELECT count(*) FROM tally.quarantine")).isZero();
    }

    @Test
    void anErrorOfAUsersTriggerOnADerivedTableIsNoKeys() {
        declare("int");
        engine.run("""
                INSERT INTO app.slot SELECT i, 10, 1 FROM generate_series(1, 20) i;
                SELECT tally.refresh('app.f');
                CREATE FUNCTION app.audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$;
                CREATE TRIGGER audit BEFORE UPDATE ON app.f FOR EACH ROW EXECUTE FUNCTION app.audit();
                UPDATE app.slot SET load = 20 WHERE at = 7""");
        assertThat(engine.text("SELECT outcome || ': ' || error FROM tally.merge('app.f')"))
                .isEqualTo("failed: Trigger \"audit\" on app.f failed: not today (SQLSTATE P0001).");
        assertThat(engine.text("SELECT error_sqlstate || ' ' || quarantined FROM tally.status WHERE name = 'app.f'"))
                .isEqualTo("TL025 0");
        engine.run("DROP TRIGGER audit ON app.f; UPDATE tally.merge_state SET retry_at = NULL");
        engine.write("UPDATE app.slot SET load = 30 WHERE at = 8");
    }

    @Test
    void aConstraintOrAColumnOfTheUsersOnADerivedTableIsToldAndNoKeys() {
        engine.run("""
                CREATE TABLE app.item (id int PRIMARY KEY, v int); INSERT INTO app.item VALUES (1, 10), (2, 25);
                CREATE VIEW app.item_def AS SELECT id, v FROM app.item;
                SELECT tally.create_projection('app.fact', 'app.item_def', '{id}'); SELECT tally.watch('app.fact', 'app.item', '{id}');
                SELECT tally.create_rollup('app.sums', 'app.fact', '{v}', '{"n":"count(*)"}'); SELECT tally.activate('app.fact')""");
        engine.write("SELECT 1");
        for (String[] way : new String[][] {
            {
                "ALTER TABLE app.sums ADD CONSTRAINT few CHECK (n < 2)",
                "UPDATE app.item SET v = 25",
                "few",
                "ALTER TABLE app.sums DROP CONSTRAINT few"
            },
            {
                "ALTER TABLE app.fact ALTER v SET NOT NULL",
                "UPDATE app.item SET v = NULL WHERE id = 1",
                "\"v\"",
                "ALTER TABLE app.fact ALTER v DROP NOT NULL"
            },
            {
                "ALTER TABLE app.fact ADD note text",
                "UPDATE app.item SET v = 4 WHERE id = 1",
                "note",
                "ALTER TABLE app.fact DROP note"
            },
        }) {
            engine.run(way[0]);
            engine.run(way[1]);
            assertThat(engine.text("SELECT outcome FROM tally.merge('app.fact')"))
                    .as(way[0])
                    .isEqualTo("failed");
            assertThat(engine.text("SELECT error_sqlstate || ' ' || error FROM tally.status WHERE name = 'app.fact'"))
                    .as(way[0])
                    .matches("(?s)TL02[35] .*" + way[2] + ".*");
            assertThat(engine.number("SELECT count(*) FROM tally.quarantine"))
                    .as(way[0])
                    .isZero();
            engine.run(way[3]);
            engine.run("SELECT tally.resume('app.fact')");
            engine.write("SELECT 1");
        }
    }

    @Test
    void aRowThatATriggerKeepsFromBeingWrittenFailsTheMerge() {
        declare("int");
        engine.run("""
                INSERT INTO app.slot SELECT i, 10, 1 FROM generate_series(1, 20) i;
                SELECT tally.refresh('app.f');
                CREATE FUNCTION app.skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
                CREATE TRIGGER skip BEFORE UPDATE ON app.f FOR EACH ROW WHEN (old.at = 7) EXECUTE FUNCTION app.skip();
                UPDATE app.slot SET load = 20 WHERE at IN (7, 8)""");
        assertThat(engine.text("SELECT outcome || ': ' || error FROM tally.merge('app.f')"))
                .startsWith("failed: A merge could not write every row of app.f");
        assertThat(engine.text("SELECT error_sqlstate || ' ' || quarantined FROM tally.status WHERE name = 'app.f'"))
                .isEqualTo("TL025 0");
        engine.run("DROP TRIGGER skip ON app.f; UPDATE tally.merge_state SET retry_at = NULL");
        engine.write("UPDATE app.slot SET load = 30 WHERE at = 8");
    }

    @Test
    void aKeyTooLongForAnIndexIsSetAsideWithASentence() {
        engine.run("""
                CREATE TABLE app.page (body text);
                CREATE VIEW app.page_def AS SELECT body, count(*) AS n FROM app.page GROUP BY body;
                SELECT tally.create_projection('app.f', 'app.page_def', '{body}');
                SELECT tally.watch('app.f', 'app.page', '{body}');
                SELECT tally.activate('app.f');
                INSERT INTO app.page SELECT string_agg(md5(i::text), '') FROM generate_series(1, 400) i;
                INSERT INTO app.page VALUES ('short');
                SELECT tally.refresh('app.f')""");
        assertThat(engine.text("SELECT string_agg(body, ' ') FROM app.f")).isEqualTo("short");
        assertThat(engine.text("SELECT error FROM tally.status WHERE name = 'app.f'"))
                .contains("is too long for an entry of", "md5(value)");
        engine.write("DELETE FROM app.page WHERE body <> 'short'");
        assertThat(engine.number("SELECT count(*) FROM tally.quarantine")).isZero();
    }
}
