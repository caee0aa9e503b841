package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.countersink.db.Database;
import dev.countersink.testing.TestPostgres;
import java.io.StringReader;
import java.sql.Connection;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.postgresql.PGConnection;

class WritesTest {
    private final Engine engine = new Engine();

    WritesTest() {
        engine.run("""
                CREATE TABLE app.club (id int PRIMARY KEY, name text);
                CREATE TABLE app.member (id int PRIMARY KEY, club_id int REFERENCES app.club ON DELETE CASCADE ON UPDATE CASCADE,
                    boss_id int REFERENCES app.member ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED, dues numeric, doc json, note text);
                CREATE VIEW app.member_def AS SELECT m.id, m.club_id, c.name, m.boss_id, m.dues, m.doc
                    FROM app.member m LEFT JOIN app.club c ON c.id = m.club_id;
                SELECT tally.create_projection('app.fact', 'app.member_def', '{id}');
                SELECT tally.watch('app.fact', 'app.member', '{id}');
                SELECT tally.watch('app.fact', 'app.club', '{id}', 'SELECT m.id FROM app.member m JOIN changed c ON m.club_id = c.id');
                SELECT tally.create_rollup('app.clubs', 'app.fact', '{club_id}', '{"n":"count(*)","dues":"sum(dues)","bosses":"count(distinct boss_id)"}');
                SELECT tally.activate('app.fact');
                INSERT INTO app.club SELECT i, 'club ' || i FROM generate_series(1, 5) i;
                INSERT INTO app.member (id, club_id, boss_id, dues) SELECT i, i % 5 + 1, 1, i FROM generate_series(1, 20) i;
                """);
        engine.write("SELECT 1");
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void upsertsMergesAndUpdatesFromOtherTables() {
        engine.write(
                "INSERT INTO app.member (id, club_id) VALUES (1, 2), (30, 2) ON CONFLICT DO NOTHING",
                "INSERT INTO app.member (id, club_id) VALUES (1, 2), (31, 2) ON CONFLICT (id) DO UPDATE SET club_id = excluded.club_id",
                "MERGE INTO app.member m USING generate_series(18, 40) g ON m.id = g WHEN MATCHED AND g = 18 THEN DELETE WHEN MATCHED THEN UPDATE SET club_id = 1 WHEN NOT MATCHED THEN INSERT (id, club_id) VALUES (g, 3)",
                "UPDATE app.member m SET dues = c.id FROM app.club c WHERE c.id = m.club_id",
                "DELETE FROM app.member m USING app.club c WHERE c.id = m.club_id AND c.id = 3");
    }

    @Test
    void copyIsSeen() throws Exception {
        try (Connection connection = Database.connect(engine.db())) {
            connection
                    .unwrap(PGConnection.class)
                    .getCopyAPI()
                    .copyIn(
                            "COPY app.member (id, club_id, dues) FROM STDIN",
                            new StringReader("50\t1\t3\n51\t2\t4\n52\t\\N\t5\n"));
        }
        engine.write("SELECT 1");
        assertThat(engine.number("SELECT count(*) FROM app.fact")).isEqualTo(23);
    }

    @Test
    void cascadesAndForeignKeyActionsAreSeen() {
        engine.write(
                "UPDATE app.club SET id = 100 WHERE id = 2",
                "DELETE FROM app.member WHERE id = 1",
                "DELETE FROM app.club WHERE id = 100",
                "BEGIN; UPDATE app.member SET boss_id = 77 WHERE id = 5; INSERT INTO app.member (id, club_id) VALUES (77, 1); COMMIT",
                "UPDATE app.member SET id = id + 1000");
    }

    @Test
    void truncateIsSeenCascadesToo() {
        engine.write("TRUNCATE app.club CASCADE", "INSERT INTO app.member (id) VALUES (1)", "TRUNCATE app.member");
        assertThat(engine.number("SELECT count(*) FROM app.clubs")).isZero();
    }

    @Test
    void whatIsRolledBackToASavepointLeavesNothing() {
        engine.write(
                "BEGIN; UPDATE app.member SET club_id = 1; SAVEPOINT s; DELETE FROM app.member; ROLLBACK TO s; UPDATE app.member SET club_id = 3 WHERE id = 4; COMMIT");
        engine.run("BEGIN; DELETE FROM app.member; ROLLBACK");
        assertThat(engine.number("SELECT count(*) FROM app.fact_delta")).isZero();
    }

    @Test
    void anUpdateThatChangesNothingUsedLogsNothing() {
        engine.run("UPDATE app.member SET note = 'x', dues = dues");
        assertThat(engine.number("SELECT count(*) FROM app.fact_delta")).isZero();
    }

    @Test
    void anUpdateLogsTheKeysOfRowsThatDifferByWhateverRowsAreToldApart() {
        engine.run("""
                CREATE TABLE app.plain (grp int, v numeric, note text);
                CREATE TABLE app.keyed (id int PRIMARY KEY, grp int, v numeric, note text);
                CREATE TABLE app.pair (grp int NOT NULL, id int NOT NULL, v numeric, note text, UNIQUE (grp, id));
                """);
        for (String table : new String[] {"plain", "keyed", "pair"}) {
            engine.run("""
                    CREATE VIEW app.%1$s_def AS SELECT grp, count(*) AS n, sum(v) AS v FROM app.%1$s GROUP BY grp;
                    SELECT tally.create_projection('app.%1$s_sum', 'app.%1$s_def', '{grp}');
                    SELECT tally.watch('app.%1$s_sum', 'app.%1$s', '{grp}');
                    SELECT tally.activate('app.%1$s_sum')""".formatted(table));
            String id = table.equals("plain") ? "" : "id, ";
            String row = table.equals("plain")
                    ? "(1, 1), (1, 1), (2, 2), (3, NULL)"
                    : "(1, 1, 1), (2, 1, 1), (3, 2, 2), (4, 3, NULL)";
            engine.write("INSERT INTO app.%s (%sgrp, v) VALUES %s".formatted(table, id, row));
            logs(table, "-", "SET note = 'unused'");
            logs(table, "-", "SET v = v, grp = grp");
            logs(table, "-", "SET note = 'alone' WHERE grp = 2");
            logs(table, "-", "SET v = v + 1 WHERE grp = 77");
            logs(table, "2", "SET v = v + 1 WHERE grp = 2");
            logs(table, "2", "SET v = v + CASE grp WHEN 2 THEN 1 ELSE 0 END");
            logs(table, "1", "SET v = 1.0 WHERE grp = 1"); // equal, but not the same
            logs(table, "3", "SET v = 5 WHERE v IS NULL");
            logs(table, "2,4", "SET grp = 4 WHERE grp = 2");
            logs(table, "1,4", "SET grp = 5 - grp, v = v + 1 WHERE grp <> 3");
        }
        engine.run("UPDATE app.keyed SET id = -id, grp = NULL, v = NULL WHERE grp = 3");
        engine.write("UPDATE app.keyed SET id = id + 100", "UPDATE app.keyed SET id = -id, grp = 7 WHERE grp IS NULL");
    }

    /** A foreign key's action adds rows to the transition tables of the statement that caused it, so the row is there twice. */
    @Test
    void aRowThatAForeignKeyChangesAgainInTheSameStatementIsSeen() {
        engine.run("""
                CREATE TABLE app.post (code int PRIMARY KEY, board text, parent int REFERENCES app.post ON UPDATE CASCADE, v int);
                CREATE VIEW app.board_def AS SELECT board, count(*) AS posts, sum(v) AS v FROM app.post GROUP BY board;
                SELECT tally.create_projection('app.board', 'app.board_def', '{board}');
                SELECT tally.watch('app.board', 'app.post', '{board}');
                SELECT tally.activate('app.board')""");
        engine.write(
                "INSERT INTO app.post VALUES (1, 'a', 1, 1), (2, 'a', 1, 2), (3, 'b', 2, 3)",
                "UPDATE app.post SET code = 11, board = 'c' WHERE code = 1",
                "UPDATE app.post SET code = code + 100, board = CASE board WHEN 'a' THEN 'b' ELSE 'd' END, v = v + 1");
    }

    private void logs(String table, String keys, String change) {
        engine.run("UPDATE app.%s %s".formatted(table, change));
        assertThat(engine.text("""
                        SELECT coalesce(string_agg(DISTINCT k::text, ',' ORDER BY k::text), '-')
                        FROM app.%s_sum_delta d CROSS JOIN LATERAL unnest(coalesce(d.tally_keys_1, ARRAY[d.grp])) k""".formatted(table)))
                .as("%s after UPDATE %s", table, change)
                .isEqualTo(keys);
        engine.write("SELECT 1");
    }

    @Test
    void aChangeThatEqualityDoesNotSeeIsSeen() {
        engine.write(
                "UPDATE app.member SET dues = 1.00 WHERE id = 1",
                "UPDATE app.member SET doc = '{\"a\": 1}' WHERE id < 4",
                "UPDATE app.member SET doc = '{\"a\":1}' WHERE id < 4");
    }

    @Test
    void writesInsideFunctionsAndTriggersAreSeen() {
        engine.run("""
                CREATE FUNCTION app.follow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE app.member SET dues = 5 WHERE club_id = NEW.id; RETURN NULL; END';
                CREATE TRIGGER follow AFTER UPDATE ON app.club FOR EACH ROW EXECUTE FUNCTION app.follow();
                """);
        engine.write(
                "UPDATE app.club SET name = 'new'",
                "DO 'BEGIN FOR i IN 60..70 LOOP INSERT INTO app.member (id, club_id) VALUES (i, 1); END LOOP; END'");
    }

    @Test
    void partitionsAreSeenWrittenThroughTheParentAndDirectly() {
        engine.run("""
                CREATE TABLE app.reading (id int, day int, v int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
                CREATE TABLE app.reading_1 PARTITION OF app.reading FOR VALUES FROM (0) TO (10);
                CREATE TABLE app.reading_2 PARTITION OF app.reading FOR VALUES FROM (10) TO (20);
                CREATE VIEW app.day_def AS SELECT day, count(*) AS n, sum(v) AS v FROM app.reading GROUP BY day;
                SELECT tally.create_projection('app.day', 'app.day_def', '{day}');
                SELECT tally.watch('app.day', 'app.reading', '{day}');
                SELECT tally.activate('app.day');
                """);
        engine.write(
                "INSERT INTO app.reading SELECT i, i % 20, i FROM generate_series(1, 60) i",
                "INSERT INTO app.reading_1 VALUES (100, 3, 1), (101, 4, 1)",
                "UPDATE app.reading_2 SET v = 0 WHERE day = 12",
                "UPDATE app.reading SET day = 15 WHERE day = 5",
                "DELETE FROM app.reading_2 WHERE day > 17",
                "TRUNCATE app.reading_1",
                "TRUNCATE app.reading");
    }

    @Test
    void whatOnlyTheImageTellsApartIsSeen() {
        engine.run("""
                CREATE COLLATION app.anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
                CREATE TABLE app.thing (k numeric PRIMARY KEY, x float8, code bpchar, word text COLLATE app.anycase, doc json, place point, n numeric);
                CREATE VIEW app.things_def AS SELECT k, x, code, word, doc::text AS doc, place::text AS place, n FROM app.thing;
                SELECT tally.create_projection('app.things', 'app.things_def', '{k}');
                SELECT tally.watch('app.things', 'app.thing', '{k}');
                SELECT tally.allow_function('app.things', 'point_out(point)');
                SELECT tally.activate('app.things')""");
        engine.write(
                "INSERT INTO app.thing SELECT i, 0, 'a', 'word', '{\"a\":1}', '(1,2)', 1.0 FROM generate_series(1, 9) i",
                "UPDATE app.thing SET x = '-0'",
                "UPDATE app.thing SET x = 0 WHERE k = 1",
                "UPDATE app.thing SET code = code::text || '  '",
                "UPDATE app.thing SET word = 'Word' WHERE k < 3",
                "UPDATE app.thing SET word = 'WORD' WHERE k = 3",
                "UPDATE app.thing SET doc = '{\"a\": 1}'",
                "UPDATE app.thing SET doc = '{\"b\": 1}', place = '(2,1)' WHERE k = 4",
                "UPDATE app.thing SET n = 1.00",
                "UPDATE app.thing SET n = 1.000 WHERE k = 5",
                "UPDATE app.thing SET k = k::numeric(9, 2)",
                "UPDATE app.thing SET k = 6.000 WHERE k = 6",
                "DELETE FROM app.thing WHERE k > 5");
    }

    @Test
    void manyKeysOfAStatementAreLoggedAsArrays() {
        engine.run(
                "ALTER TABLE app.member DROP CONSTRAINT member_boss_id_fkey"); // it would read the table for each row
        String[][] writes = {
            {"INSERT INTO app.member (id) SELECT i FROM generate_series(100, 101) i", "1"},
            {"INSERT INTO app.member (id) SELECT i FROM generate_series(10001, 15000) i", "1"},
            {"INSERT INTO app.member (id) SELECT i FROM generate_series(20001, 25001) i", "2"},
            {"UPDATE app.member SET dues = 7 WHERE id BETWEEN 10001 AND 15000", "1"},
            {"UPDATE app.member SET dues = 8 WHERE id > 10000", "3"},
            {"UPDATE app.member SET id = id + 1000, dues = 9 WHERE id BETWEEN 100 AND 101", "2"},
            {"UPDATE app.member SET id = 3000 - id, dues = id WHERE id BETWEEN 1100 AND 1101", "2"},
            {"UPDATE app.member SET id = -id WHERE id BETWEEN 20001 AND 25001", "3"},
            {"UPDATE app.member SET note = 'unused' WHERE id > 10000", "0"},
            {"UPDATE app.member SET dues = CASE WHEN id % 2 = 0 THEN 1 ELSE dues END WHERE id > 10000", "1"},
            {"DELETE FROM app.member WHERE id BETWEEN 10001 AND 15000", "1"},
            {"DELETE FROM app.member WHERE id < -20000", "2"},
            {"DELETE FROM app.member WHERE id = 77", "0"},
        };
        for (String[] write : writes) {
            engine.run(write[0]);
            assertThat(engine.text("SELECT count(*)::text FROM app.fact_delta"))
                    .as(write[0])
                    .isEqualTo(write[1]);
            engine.write("SELECT 1");
        }
    }

    @Test
    void aKeyOfAnyTypeIsLoggedAloneAndInNumbers() {
        engine.run("""
                CREATE COLLATION app.anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
                CREATE TYPE app.mood AS ENUM ('k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7', 'k8', 'k9');
                CREATE DOMAIN app.sure AS int NOT NULL CHECK (VALUE < 100)""");
        String[][] types = {
            {"smallint", "i"},
            {"bigint", "i"},
            {"numeric", "i + 0.10"},
            {"float8", "i / 7.0"},
            {"text", "'k' || i"},
            {"name", "'k' || i"},
            {"varchar(9)", "'k' || i"},
            {"bpchar", "'k' || i || '  '"},
            {"\"char\"", "i::text"},
            {"text COLLATE app.anycase", "'k' || i"},
            {"uuid", "lpad(i::text, 32, '0')"},
            {"date", "date '2026-01-01' + i::integer"},
            {"timestamptz", "timestamptz '2026-01-01' + i * interval '1 us'"},
            {"interval", "i * interval '1 month 1 day 1 us'"},
            {"bytea", "decode('0' || i, 'hex')"},
            {"inet", "'10.0.0.' || i"},
            {"jsonb", "jsonb_build_object('k', i)"},
            {"app.mood", "'k' || i"},
            {"app.sure", "i"},
        };
        for (String[] type : types) {
            engine.run("""
                    CREATE TABLE app.any (k %1$s PRIMARY KEY, j int NOT NULL UNIQUE, v int);
                    CREATE VIEW app.any_def AS SELECT k, v FROM app.any;
                    SELECT tally.create_projection('app.kept', 'app.any_def', '{k}');
                    SELECT tally.watch('app.kept', 'app.any', '{k}');
                    SELECT tally.activate('app.kept')""".formatted(type[0]));
            String value = "CAST(%s AS %s)".formatted(type[1], type[0].replaceAll(" COLLATE.*", ""));
            engine.write(
                    "INSERT INTO app.any SELECT " + value + ", i, i FROM generate_series(1, 1) i",
                    "INSERT INTO app.any SELECT " + value + ", i, i FROM generate_series(2, 5) i",
                    "UPDATE app.any SET v = 9 WHERE j = 1",
                    "UPDATE app.any SET v = 8",
                    "UPDATE app.any SET k = " + value + " FROM generate_series(7, 7) i WHERE j = 1",
                    "UPDATE app.any SET k = " + value + ", v = v + 1 FROM generate_series(8, 9) i WHERE j = i - 5",
                    "DELETE FROM app.any WHERE j = 2",
                    "DELETE FROM app.any");
            engine.run("SELECT tally.drop('app.kept'); DROP VIEW app.any_def; DROP TABLE app.any");
        }
    }

    @Test
    void columnsMayHaveAnyName() {
        String longest = "x".repeat(63);
        engine.run("""
                CREATE TABLE app.odd (c1 int, found int, r int, n text, o text, new_rows int, old_rows int, "select" int, w int, tally_r int, "a b" int,
                    %1$s int, PRIMARY KEY (c1, found));
                CREATE VIEW app.odds_def AS SELECT c1, found, r, n, o, new_rows, old_rows, "select", w, tally_r AS t, "a b", %1$s FROM app.odd;
                SELECT tally.create_projection('app.odds', 'app.odds_def', '{c1,found}');
                SELECT tally.watch('app.odds', 'app.odd', '{c1,found}');
                SELECT tally.activate('app.odds');
                CREATE VIEW app.by_long_def AS SELECT found, sum(r) AS r FROM app.odd GROUP BY found;
                SELECT tally.create_projection('app.by_long', 'app.by_long_def', '{found}');
                SELECT tally.watch('app.by_long', 'app.odd', '{%1$s,r,new_rows,found}', expand => 'SELECT found FROM changed');
                SELECT tally.activate('app.by_long')""".formatted(longest));
        engine.write(
                "INSERT INTO app.odd SELECT i, i, i, i, i, i, i, i, i, i, i, i FROM generate_series(1, 5) i",
                "UPDATE app.odd SET r = r + 1, n = n || 'x', new_rows = 0, \"select\" = 9, \"a b\" = 7",
                "UPDATE app.odd SET %s = 9 WHERE c1 = 2".formatted(longest),
                "UPDATE app.odd SET found = found + 100",
                "INSERT INTO app.odd (c1, found) VALUES (6, 6)",
                "DELETE FROM app.odd WHERE c1 < 3");
    }

    /** Before a merge follows the rename, writes go on, and _live is exact: a sweep is logged if a watched column is gone. */
    @Test
    void noRenameAndNoOtherTypeOfAColumnBreaksAWrite() {
        engine.run("""
                CREATE TABLE app.lot (id int PRIMARY KEY, title text, price int);
                CREATE TABLE app.bid (id int PRIMARY KEY, lot int, code text, mark int);
                INSERT INTO app.lot SELECT i, 'lot ' || i, i FROM generate_series(1, 5) i;
                CREATE VIEW app.lots_def AS SELECT l.id, l.title, l.price, (SELECT count(*) FROM app.bid b WHERE b.lot = l.id) AS bids FROM app.lot l;
                SELECT tally.create_projection('app.lots', 'app.lots_def', '{id}');
                SELECT tally.watch('app.lots', 'app.lot', '{id}');
                SELECT tally.watch('app.lots', 'app.bid', '{lot,mark,code}', expand => 'SELECT lot FROM changed');
                CREATE TABLE app.ping (lot int);
                SELECT tally.watch('app.lots', 'app.ping', '{lot}');
                SELECT tally.activate('app.lots')""");
        engine.write("INSERT INTO app.bid SELECT i, i % 5 + 1, i, i FROM generate_series(1, 20) i");
        String[][] changes = {
            {"ALTER TABLE app.lot RENAME price TO amount", "UPDATE app.lot SET amount = amount + 1"},
            {"ALTER TABLE app.lot RENAME title TO price", "UPDATE app.lot SET price = 'x' WHERE id = 2"},
            {"ALTER TABLE app.bid RENAME lot TO lot_id", "UPDATE app.bid SET lot_id = 1 WHERE id = 2"},
            {"ALTER TABLE app.lot RENAME id TO lot_id", "INSERT INTO app.lot VALUES (6, 'six', 6), (7, 'seven', 7)"},
            {"SELECT 1", "INSERT INTO app.ping VALUES (1), (2)"},
            {"SELECT 1", "UPDATE app.ping SET lot = lot + 1"},
            {
                "ALTER TABLE app.ping ALTER lot TYPE uuid USING gen_random_uuid()",
                "INSERT INTO app.ping SELECT gen_random_uuid() FROM generate_series(1, 2)"
            },
            {"SELECT 1", "UPDATE app.ping SET lot = gen_random_uuid()"},
            {"SELECT 1", "UPDATE app.ping SET lot = gen_random_uuid() WHERE ctid = (SELECT ctid FROM app.ping LIMIT 1)"
            },
            {
                "ALTER TABLE app.ping RENAME lot TO pong",
                "INSERT INTO app.ping SELECT gen_random_uuid() FROM generate_series(1, 3)"
            },
            {"ALTER TABLE app.ping DROP pong", "INSERT INTO app.ping SELECT FROM generate_series(1, 3)"},
            {"ALTER TABLE app.bid ALTER mark TYPE bigint", "INSERT INTO app.bid VALUES (30, 3, 'z', 5000000000)"},
            {"ALTER TABLE app.bid ALTER mark TYPE uuid USING NULL", "UPDATE app.bid SET mark = gen_random_uuid()"},
            {"ALTER TABLE app.bid ALTER code TYPE date USING NULL", "DELETE FROM app.bid WHERE id < 5"},
            {"ALTER TABLE app.bid DROP code", "INSERT INTO app.bid VALUES (31, 3)"},
            {"ALTER TABLE app.bid RENAME TO offer", "UPDATE app.offer SET lot_id = 2"},
            {"ALTER TABLE app.lot RENAME TO item", "DELETE FROM app.item WHERE lot_id = 3"},
        };
        for (String[] change : changes) {
            engine.run(change[0]);
            engine.run(change[1]);
            engine.liveAgrees(change[0]);
        }
    }

    @Test
    void aDeltaTableThatIsGoneBreaksNoWrite() {
        engine.run("ALTER TABLE app.fact_delta RENAME TO elsewhere");
        engine.run("UPDATE app.member SET dues = 3; DELETE FROM app.member WHERE id = 3; TRUNCATE app.member");
        engine.run("ALTER TABLE app.elsewhere RENAME TO fact_delta; DROP TABLE app.fact_delta CASCADE");
        engine.run("INSERT INTO app.member (id) VALUES (3); UPDATE app.member SET dues = 4; DELETE FROM app.club");
    }

    @Test
    void aVirtualColumnThatLeadsToKeysIsDerived() {
        assumeTrue(TestPostgres.version() >= 18, "virtual columns are of version 18");
        engine.run("""
                CREATE TABLE app.code (c text PRIMARY KEY, title text);
                CREATE TABLE app.bill (id int PRIMARY KEY, net int, v int, word text, up text GENERATED ALWAYS AS (upper(word)) VIRTUAL, size int GENERATED ALWAYS AS (net / 10) VIRTUAL,
                    one int GENERATED ALWAYS AS (1) VIRTUAL);
                CREATE VIEW app.by_word_def AS SELECT up, count(*) AS n, sum(v) AS v FROM app.bill GROUP BY up;
                CREATE VIEW app.by_both_def AS SELECT up, size, one, count(*) AS n FROM app.bill GROUP BY up, size, one;
                CREATE VIEW app.by_code_def AS SELECT c.c, c.title, (SELECT sum(v) FROM app.bill b WHERE b.up = c.c) AS v FROM app.code c;
                CREATE VIEW app.titled_def AS SELECT b.id, b.v, c.title FROM app.bill b LEFT JOIN app.code c ON c.c = b.up;
                SELECT tally.keep('app.by_word', 'app.by_word_def', '{up}'); SELECT tally.keep('app.by_both', 'app.by_both_def', '{up,size,one}');
                SELECT tally.keep('app.by_code', 'app.by_code_def'); SELECT tally.keep('app.titled', 'app.titled_def');
                INSERT INTO app.code VALUES ('A', 'first'), ('B', 'second')""");
        assertThat(
                        engine.text(
                                "SELECT string_agg(DISTINCT reach, ',') FROM unnest('{by_word,by_both,by_code,titled}'::text[]) n, tally.explain('app.' || n)"))
                .isEqualTo("exact");
        engine.write(
                "INSERT INTO app.bill (id, net, v, word) VALUES (1, 5, 1, 'a'), (2, 15, 2, 'b'), (3, 25, 3, 'A'), (4, NULL, 4, NULL)",
                "UPDATE app.bill SET word = 'B' WHERE id = 3",
                "UPDATE app.bill SET net = net + 10, v = v + 1",
                "UPDATE app.code SET c = 'C' WHERE c = 'A'",
                "ALTER TABLE app.bill ALTER up SET EXPRESSION AS (left(upper(word), 1))",
                "UPDATE app.bill SET word = word || 'x'",
                "ALTER TABLE app.bill RENAME word TO said; UPDATE app.bill SET said = 'c' WHERE id = 1",
                "DELETE FROM app.bill WHERE id < 3");
    }

    @Test
    void aVirtualColumnIsFollowedThroughWhatItIsComputedFrom() {
        assumeTrue(TestPostgres.version() >= 18, "virtual columns are of version 18");
        engine.run("""
                CREATE TABLE app.bill (id int PRIMARY KEY, net int, tax int, note text, gross int GENERATED ALWAYS AS (net + tax) VIRTUAL);
                CREATE VIEW app.bills_def AS SELECT id, gross FROM app.bill;
                SELECT tally.create_projection('app.bills', 'app.bills_def', '{id}');
                SELECT tally.watch('app.bills', 'app.bill', '{id}');
                SELECT tally.activate('app.bills');
                CREATE VIEW app.docs_def AS SELECT id, to_jsonb(b) AS doc FROM app.bill b;
                SELECT tally.create_projection('app.docs', 'app.docs_def', '{id}');
                SELECT tally.watch('app.docs', 'app.bill', '{id}');
                SELECT tally.activate('app.docs')""");
        engine.write(
                "INSERT INTO app.bill (id, net, tax) VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)",
                "UPDATE app.bill SET tax = 10 WHERE id = 1",
                "UPDATE app.bill SET net = net * 100",
                "UPDATE app.bill SET note = 'x'");
        assertThat(
                        engine.refused(
                                "TL016",
                                "SELECT tally.create_projection('app.sums', 'app.bills_def', '{gross}'); SELECT tally.watch('app.sums', 'app.bill', '{gross}')"))
                .contains("gross", "virtual");
    }
}
