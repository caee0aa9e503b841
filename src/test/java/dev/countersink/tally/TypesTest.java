package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Keys, identities and groups of many types: equal as the type says, in the stored table and in _live. */
class TypesTest {
    private final Engine engine = new Engine();

    TypesTest() {
        engine.run("""
                CREATE COLLATION app.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
                CREATE DOMAIN app.size AS int CHECK (VALUE > 0);
                CREATE DOMAIN app.must AS text NOT NULL;
                CREATE DOMAIN app.word AS text COLLATE app.ci;
                CREATE DOMAIN app.word_must AS app.word NOT NULL;
                CREATE DOMAIN app.amount AS numeric(6, 2) NOT NULL;
                CREATE DOMAIN app.there AS int CHECK (VALUE IS NOT NULL);
                CREATE TYPE app.mood AS ENUM ('sad', 'ok', 'fine');
                CREATE TYPE app.pair AS (a int, b text)
                """);
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    /** Which of several equal spellings a group shows does not affect its counts. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "text COLLATE app.ci | 'a' | 'A' | 'b'",
                "app.word            | 'a' | 'A' | 'b'",
                "varchar(9) COLLATE \"C\" | 'a' | 'A' | 'b'",
                "numeric             | 1 | 1.00 | 'NaN'",
                "numeric(4,2)        | 1 | 1.5 | 2",
                "double precision    | 0 | '-0' | 'NaN'",
                "bpchar              | 'a' | 'a  ' | 'b'",
                "app.size            | 1 | 2 | 3",
                "app.must            | 'a' | 'b' | ''",
                "app.word_must       | 'a' | 'A' | 'b'",
                "app.mood            | 'sad' | 'ok' | 'fine'",
                "int4range           | '[1,3)' | '[1,2]' | 'empty'",
                "jsonb               | '{\"a\":1}' | '{\"a\":1.0}' | 'null'",
                "timestamptz         | '2026-01-01 00:00+00' | '2026-01-01 02:00+02' | 'infinity'",
                "interval            | '1 day' | '24:00' | '1 month'",
                "bytea               | '\\x00' | '\\x' | 'abc'",
                "\"char\"            | 'a' | 'b' | 'c'",
                "name                | 'a' | 'b' | 'c'"
            })
    void equalValuesAreOneKeyAndOneGroup(String type, String a, String equal, String other) {
        declare(type);
        String none = type.endsWith("must") ? a : "NULL";
        sameCounts("INSERT INTO app.item VALUES (1, %1$s, 1, 1), (2, %2$s, 1, 1), (3, %3$s, NULL, 1), (4, %4$s, 1, 1)"
                .formatted(a, equal, other, none));
        sameCounts("UPDATE app.item SET v = v + 1 WHERE id = 2");
        sameCounts("UPDATE app.item SET k = %s, v = v + 1 WHERE id = 3".formatted(equal));
        sameCounts("UPDATE app.item SET k = %s, v = v + 1 WHERE id = 1".formatted(none));
        sameCounts("SELECT tally.rebuild(name) FROM tally.status WHERE kind = 'projection'");
        sameCounts("DELETE FROM app.item WHERE id < 3");
    }

    private void declare(String type) {
        engine.run("""
                CREATE TABLE app.item (id int PRIMARY KEY, k %s, g int, v int);
                CREATE VIEW app.alone_def AS SELECT k, count(*) AS n, sum(v) AS v FROM app.item GROUP BY k;
                SELECT tally.create_projection('app.alone', 'app.alone_def', '{k}');
                SELECT tally.watch('app.alone', 'app.item', '{k}');
                SELECT tally.activate('app.alone');
                CREATE VIEW app.both_def AS SELECT g, k, count(*) AS n, sum(v) AS v FROM app.item GROUP BY g, k;
                SELECT tally.create_projection('app.both', 'app.both_def', '{k,g}');
                SELECT tally.watch('app.both', 'app.item', '{k,g}', 'SELECT k, g FROM changed');
                SELECT tally.activate('app.both');
                SELECT tally.create_projection('app.part', 'app.both_def', '{g}', '{k}');
                SELECT tally.watch('app.part', 'app.item', '{g}');
                SELECT tally.create_rollup('app.sums', 'app.part', '{k}', '{"n":"sum(n)","v":"sum(v)"}');
                SELECT tally.activate('app.part');
                """.formatted(type));
    }

    private void sameCounts(String statement) {
        engine.run(statement);
        compare("_live", statement);
        engine.run("SELECT tally.refresh(name) FROM tally.due() WHERE name LIKE 'app.%'");
        compare("", statement);
        assertThat(engine.number("SELECT count(*) FROM tally.quarantine")).isZero();
        for (String view : new String[] {"app.alone", "app.both", "app.part"}) {
            assertThat(engine.number("SELECT count(*) FROM tally.verify('%s')".formatted(view)))
                    .as("verify of %s after %s", view, statement)
                    .isZero();
        }
    }

    private void compare(String suffix, String statement) {
        String[][] pairs = {
            {"app.alone", "app.alone_def"},
            {"app.both", "app.both_def"},
            {"app.part", "app.both_def"},
            {"app.sums", "app.sums_def"}
        };
        for (String[] pair : pairs) {
            assertThat(engine.text("SELECT string_agg(n || ' ' || v, ', ' ORDER BY n, v) FROM %s%s"
                            .formatted(pair[0], suffix)))
                    .as("%s%s after %s", pair[0], suffix, statement)
                    .isEqualTo(engine.text(
                            "SELECT string_agg(n || ' ' || v, ', ' ORDER BY n, v) FROM %s".formatted(pair[1])));
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "json       | PostgreSQL has no order for json | k::jsonb",
                "point      | PostgreSQL has no order for point | k::text",
                "text[]     | which is text[], cannot be part of a key | array_to_string",
                "app.pair   | which is app.pair, cannot be part of a key | (value).field"
            })
    void aKeyThatCannotBeKeptIsRefusedByName(String type, String message, String hint) {
        engine.run(
                "CREATE TABLE app.item (id int PRIMARY KEY, k %s); CREATE VIEW app.item_def AS SELECT id, k FROM app.item"
                        .formatted(type));
        assertThat(engine.refused("TL024", "SELECT tally.create_projection('app.f', 'app.item_def', '{k}')"))
                .startsWith("Column \"k\" of app.item_def")
                .contains(message);
    }

    @Test
    void arraysAndCompositesArePartOfAnIdentity() {
        engine.run("""
                CREATE TABLE app.item (id int, path text[], pair app.pair, v int);
                CREATE VIEW app.item_def AS SELECT id, path, pair, sum(v) AS v FROM app.item GROUP BY id, path, pair;
                SELECT tally.create_projection('app.f', 'app.item_def', '{id}', '{path,pair}');
                SELECT tally.watch('app.f', 'app.item', '{id}');
                SELECT tally.create_rollup('app.r', 'app.f', '{pair}', '{"v":"sum(v)"}');
                SELECT tally.activate('app.f')""");
        engine.write(
                "INSERT INTO app.item VALUES (1, '{a}', '(1,)', 1), (1, '{a,b}', '(,)', 2), (1, NULL, NULL, 3), (2, '{}', '(,)', 4)",
                "UPDATE app.item SET pair = '(1,x)', v = 9 WHERE v = 1",
                "UPDATE app.item SET pair = NULL, v = 8 WHERE pair = '(,)'::app.pair",
                "DELETE FROM app.item WHERE id = 1");
    }

    @Test
    void aDomainThatRefusesNullMayStandAnywhere() {
        engine.run("""
                CREATE TYPE app.both AS (m app.must, n app.there);
                CREATE TABLE app.item (id app.there PRIMARY KEY, other app.there, k app.must, a app.amount, many app.must[], pair app.both);
                CREATE VIEW app.item_def AS
                SELECT i.id, i.k, i.a, i.many, i.pair, o.k AS ok, o.a AS oa, o.id AS oid, i.a * 2 AS x FROM app.item i LEFT JOIN app.item o ON o.id = i.other;
                SELECT tally.create_projection('app.f', 'app.item_def', '{id}', '{k}');
                SELECT tally.watch('app.f', 'app.item');
                SELECT tally.create_rollup('app.r', 'app.f', '{ok}', '{"n":"count(*)","lo":"min(k)","hi":"max(ok)","s":"sum(a)","m":"avg(oa)","d":"count(distinct ok)","e":"count(distinct many)"}');
                SELECT tally.create_rollup('app.q', 'app.f', '{many,pair,oid}', '{"n":"count(*)","lo":"min(oa)"}');
                SELECT tally.create_rollup('app.z', 'app.f', '{}', '{"lo":"min(id)","hi":"max(oid)"}');
                SELECT tally.create_rollup('app.rr', 'app.r', '{lo}', '{"n":"count(*)","hi":"max(hi)"}');
                SELECT tally.activate('app.f');
                CREATE VIEW app.by_other_def AS SELECT o.k AS ok, count(*) AS n FROM app.item i LEFT JOIN app.item o ON o.id = i.other GROUP BY o.k;
                SELECT tally.keep('app.by_other', 'app.by_other_def', '{ok}', allow_every_key => true)""");
        engine.write(
                "INSERT INTO app.item VALUES (1, 2, 'a', 1.5, '{x,y}', '(m,1)'), (2, 9, 'b', 2, NULL, NULL), (3, 2, '', 0, '{}', '(n,2)')",
                "UPDATE app.item SET other = id, k = 'a' WHERE id > 1",
                "UPDATE app.item SET id = id + 10",
                "SELECT tally.rebuild('app.f'), tally.rebuild('app.by_other')",
                "DELETE FROM app.item WHERE id = 12",
                "TRUNCATE app.item",
                "INSERT INTO app.item VALUES (1, 2, 'a', 1.5, '{x,y}', '(m,1)'), (2, 1, 'b', 2, NULL, NULL)");
        engine.run("SELECT tally.redefine('app.f', 'app.item_def')");
        engine.write("SELECT 1", "UPDATE app.item SET other = 5", "DELETE FROM app.item WHERE id = 1");
        assertThat(engine.number("SELECT count(*) FROM tally.quarantine")).isZero();
    }

    @Test
    void aKeyThatRefusesNullIsSetAsideAndHeals() {
        engine.run("""
                CREATE TABLE app.item (k app.must PRIMARY KEY, v int);
                CREATE VIEW app.item_def AS SELECT k, 10 / v AS q FROM app.item;
                SELECT tally.create_projection('app.f', 'app.item_def', '{k}');
                SELECT tally.watch('app.f', 'app.item');
                SELECT tally.activate('app.f');
                INSERT INTO app.item VALUES ('a', 1), ('b', 0);
                SELECT tally.refresh('app.f')""");
        assertThat(engine.text("SELECT key::text FROM tally.quarantine")).isEqualTo("[\"b\"]");
        engine.write("UPDATE app.item SET v = 5");
        assertThat(engine.number("SELECT count(*) FROM tally.quarantine")).isZero();
    }

    @Test
    void rowsOfOnePartitionAreFoundByTheTypesOwnEquality() {
        engine.run("""
                CREATE EXTENSION citext;
                CREATE TABLE app.item (id int PRIMARY KEY, k citext);
                CREATE VIEW app.item_def AS SELECT id, k, row_number() OVER (PARTITION BY k ORDER BY id DESC) AS n FROM app.item;
                SELECT tally.keep('app.f', 'app.item_def', '{id}')""");
        engine.write(
                "INSERT INTO app.item VALUES (1, 'a'), (2, 'A'), (3, 'b'), (4, NULL), (5, NULL)",
                "INSERT INTO app.item VALUES (6, 'A'), (7, NULL)",
                "UPDATE app.item SET k = 'B' WHERE id = 6",
                "DELETE FROM app.item WHERE id IN (6, 7)");
    }

    @Test
    void anOperatorThatAStrangerPlantsBesideATypeIsNeverRun() {
        engine.run("""
                CREATE TABLE app.item (id int PRIMARY KEY, k app.mood);
                CREATE VIEW app.item_def AS SELECT id, k FROM app.item;
                SELECT tally.create_projection('app.f', 'app.item_def', '{id}');
                SELECT tally.watch('app.f', 'app.item', '{id}');
                SELECT tally.create_rollup('app.r', 'app.f', '{k}', '{"n":"count(*)"}');
                SELECT tally.activate('app.f');
                CREATE FUNCTION app.planted(app.mood, app.mood) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted'; END $$;
                CREATE OPERATOR app.= (leftarg = app.mood, rightarg = app.mood, function = app.planted)""");
        engine.write(
                "INSERT INTO app.item VALUES (1, 'ok'), (2, 'ok'), (3, 'sad')",
                "UPDATE app.item SET k = 'sad' WHERE id = 2",
                "DELETE FROM app.item WHERE id = 3");
    }
}
