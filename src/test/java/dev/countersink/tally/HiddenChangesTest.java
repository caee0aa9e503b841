package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Sql;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What a definition means may change where neither its tree nor the functions that it calls do: every key is swept all the same. */
class HiddenChangesTest {
    private final Engine engine = new Engine();

    @BeforeEach
    void declare() {
        engine.run("""
                CREATE SCHEMA a;
                CREATE TYPE a.mood AS ENUM ('sad', 'ok', 'fine'); CREATE TYPE a.moods AS RANGE (subtype = a.mood); CREATE TYPE a.level AS ENUM ('lo', 'hi');
                CREATE DOMAIN a.small AS int CHECK (VALUE < 1000);
                CREATE TEXT SEARCH CONFIGURATION a.words (COPY = simple); CREATE TEXT SEARCH CONFIGURATION a.hidden (COPY = simple);
                CREATE TEXT SEARCH DICTIONARY a.dict (TEMPLATE = simple, STOPWORDS = english);
                CREATE TABLE a.t (id int PRIMARY KEY, v int, r a.moods, x text);
                INSERT INTO a.t SELECT i, i, a.moods('sad', 'ok'), 'the running dogs ' || i FROM generate_series(1, 9) i;
                CREATE AGGREGATE a.tot(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
                CREATE FUNCTION a.mix(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2'; CREATE OPERATOR a.|+| (LEFTARG = int, RIGHTARG = int, FUNCTION = a.mix);
                CREATE FUNCTION a."Rate of"(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
                CREATE FUNCTION a."Rate"(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
                CREATE FUNCTION a.made(int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
                'BEGIN RETURN concat_ws('','', $1 OPERATOR(a.|+|) 1, a."Rate"($1), a."Rate of"($1), enum_range(NULL::a.level), to_tsvector(''a.hidden'', ''the dogs'')); END';
                CREATE FUNCTION a.rate(bigint) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; CREATE FUNCTION a.rated(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN a.rate($1); END';
                CREATE FUNCTION a.over(int, by int DEFAULT 10) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 / $2';
                CREATE FUNCTION a.checked(int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1::a.small; EXCEPTION WHEN check_violation THEN RETURN ''large''; END';
                CREATE VIEW a.f_def AS SELECT id, r::text AS r, a.made(v) AS made, a.checked(v) AS checked, to_tsvector('a.words', x) AS words, a.rated(v) AS rated, a.over(v) AS over_, (SELECT a.tot(q.v) FROM a.t q WHERE q.id = t.id) AS tot FROM a.t;
                SELECT tally.keep('a.f', 'a.f_def', '{id}'); SELECT tally.refresh('a.f')""");
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void whatTheDefinitionDoesNotNameItselfIsFollowed() {
        for (String change : new String[] {
            "CREATE OR REPLACE AGGREGATE a.tot(int) (SFUNC = int4pl, STYPE = int, INITCOND = '100')",
            "ALTER TYPE a.mood RENAME VALUE 'ok' TO 'well'",
            "ALTER TEXT SEARCH CONFIGURATION a.words ALTER MAPPING FOR asciiword WITH english_stem",
            "ALTER TEXT SEARCH CONFIGURATION a.words ALTER MAPPING FOR asciiword WITH a.dict",
            "ALTER TEXT SEARCH DICTIONARY a.dict (STOPWORDS)",
            "ALTER TEXT SEARCH CONFIGURATION a.hidden ALTER MAPPING FOR asciiword WITH english_stem",
            "CREATE OR REPLACE FUNCTION a.mix(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 100 + $2'",
            "CREATE OR REPLACE FUNCTION a.\"Rate\"(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2'",
            "CREATE OR REPLACE FUNCTION a.\"Rate of\"(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 3'",
            "ALTER TYPE a.level RENAME VALUE 'hi' TO 'high'",
            "CREATE FUNCTION a.rate(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2'",
            "CREATE OR REPLACE FUNCTION a.over(int, by int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 / $2'",
            "ALTER DOMAIN a.small ADD CONSTRAINT smaller CHECK (VALUE < 5)"
        }) {
            engine.run(change);
            assertThat(engine.text("SELECT string_agg(problem, '; ') FROM tally.health WHERE NOT ok AND view = 'a.f'"))
                    .as(change)
                    .startsWith("what a.f_def is made of has changed");
            assertThat(engine.number("SELECT keys FROM tally.refresh('a.f')"))
                    .as(change)
                    .isEqualTo(9);
            engine.storedAgrees(change);
        }
        assertThat(engine.text("SELECT keys FROM tally.refresh('a.f')")).isEqualTo("0");
    }

    @Test
    void aRoleThatAPolicyBindsFromNowOnStopsTheMerges() {
        engine.run("""
                DO $$ BEGIN IF to_regrole('hidden_viewer') IS NULL THEN CREATE ROLE hidden_viewer; END IF; END $$;
                ALTER ROLE hidden_viewer BYPASSRLS; GRANT USAGE ON SCHEMA a TO hidden_viewer;
                CREATE TABLE a.doc (id int PRIMARY KEY, hidden boolean); INSERT INTO a.doc VALUES (1, false), (2, true); GRANT SELECT ON a.doc TO hidden_viewer;
                ALTER TABLE a.doc ENABLE ROW LEVEL SECURITY; CREATE POLICY shown ON a.doc USING (NOT hidden);
                CREATE VIEW a.doc_def AS SELECT id FROM a.doc; ALTER VIEW a.doc_def OWNER TO hidden_viewer;
                SELECT tally.keep('a.d', 'a.doc_def', '{id}'); SELECT tally.refresh('a.d')""");
        engine.storedAgrees("nothing binds");
        engine.run("ALTER ROLE hidden_viewer NOBYPASSRLS; SELECT tally.refresh('a.d')");
        assertThat(engine.text("SELECT error FROM tally.status WHERE name = 'a.d'"))
                .contains("the row-level security of a.doc (it binds hidden_viewer)");
        engine.run("ALTER ROLE hidden_viewer BYPASSRLS; SELECT tally.heal('a.d'); SELECT tally.refresh('a.d')");
        engine.storedAgrees("nothing binds again");
    }

    @Test
    void aCollationOrAnExtensionThatIsCalledOtherwiseIsFollowed() {
        engine.run("""
                CREATE SCHEMA x; CREATE SCHEMA y; CREATE EXTENSION citext SCHEMA x;
                CREATE COLLATION a.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
                CREATE TABLE a.c (id text COLLATE a.ci PRIMARY KEY, k x.citext, v int); INSERT INTO a.c VALUES ('a', 'K', 10), ('B', 'k', 25);
                CREATE VIEW a.c_def AS SELECT id, k, v FROM a.c; SELECT tally.keep('a.cf', 'a.c_def', '{id}'); SELECT tally.create_rollup('a.cr', 'a.cf', '{k}', '{"n":"count(*)"}'); SELECT tally.refresh('a.cf')""");
        for (String change : new String[] {
            "ALTER COLLATION a.ci RENAME TO cj",
            "ALTER COLLATION a.cj SET SCHEMA y",
            "ALTER EXTENSION citext SET SCHEMA y",
            "ALTER SCHEMA y RENAME TO z"
        }) {
            engine.run(
                    change
                            + "; UPDATE a.c SET v = v + 1 WHERE id = 'A'; UPDATE a.c SET id = lower(id) WHERE v = 25; SELECT tally.refresh('a.cf')");
            assertThat(engine.text("SELECT coalesce(string_agg(error, ' '), 'none') FROM tally.status"))
                    .as(change)
                    .isEqualTo("none");
            engine.storedAgrees(change);
            engine.run("UPDATE a.c SET id = upper(id) WHERE v = 25; SELECT tally.refresh('a.cf')");
            engine.storedAgrees(change);
        }
    }

    @Test
    void aSessionWhoseWritesFireNoTriggerMayNotMerge() {
        engine.run("""
                CREATE VIEW a.g_def AS SELECT id, tot FROM a.f; SELECT tally.keep('a.g', 'a.g_def', '{id}'); SELECT tally.refresh('a.g');
                UPDATE a.t SET v = 50 WHERE id = 1; SET session_replication_role = replica""");
        for (String call : new String[] {"tally.merge('a.f')", "tally.refresh('a.f')"}) {
            assertThat(engine.refused("TL005", "SELECT " + call)).contains("session_replication_role is replica");
        }
        engine.run("RESET session_replication_role; SELECT tally.refresh('a.f'); SELECT tally.refresh('a.g')");
        engine.storedAgrees("merged elsewhere");
    }

    @Test
    void aFunctionInCThatWritesAnyTypeAsTextIsAskedWhatItIsGiven() {
        engine.run(
                "CREATE EXTENSION hstore SCHEMA a; CREATE TABLE a.w (id int PRIMARY KEY, at timestamptz, n int);"
                        + "CREATE VIEW a.w_def AS SELECT id, a.hstore(w.*) AS h FROM a.w; CREATE VIEW a.plain_def AS SELECT id, a.hstore('n', n::text) AS h FROM a.w");
        assertThat(engine.refused("TL008", "SELECT tally.keep('a.wf', 'a.w_def', '{id}')"))
                .contains("a.hstore(record)");
        engine.run("SELECT tally.keep('a.plain', 'a.plain_def', '{id}'); INSERT INTO a.w VALUES (1, now(), 3)");
        engine.write("UPDATE a.w SET n = 4");
    }

    /** PostgreSQL caches the check of a domain in a session, so the sweep may still use the old one there; a new session does not. */
    @Test
    void theFunctionInTheCheckOfADomainIsFollowed() throws Exception {
        engine.run("""
                CREATE FUNCTION a.fine(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0'; CREATE DOMAIN a.checked_int AS int CHECK (a.fine(VALUE));
                CREATE VIEW a.g_def AS SELECT id, v::a.checked_int AS v FROM a.t; SELECT tally.keep('a.g', 'a.g_def', '{id}'); SELECT tally.refresh('a.g')""");
        engine.run("CREATE OR REPLACE FUNCTION a.fine(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 5'");
        assertThat(engine.text("SELECT string_agg(problem, '; ') FROM tally.health WHERE NOT ok AND view = 'a.g'"))
                .contains("changed");
        try (Sql session = engine.session()) {
            session.run("SELECT tally.refresh('a.g')");
        }
        assertThat(engine.text("SELECT string_agg(key::text, ' ' ORDER BY key::text) FROM tally.quarantine"))
                .isEqualTo("[1] [2] [3] [4] [5]");
    }

    @Test
    void preparedStatementsAndCursorsOfTheSessionThatMergesStay() {
        engine.run(
                "PREPARE mine (int) AS SELECT count(*) FROM a.t WHERE id < $1; DECLARE held CURSOR WITH HOLD FOR SELECT id FROM a.t ORDER BY id");
        assertThat(engine.number("EXECUTE mine(3)")).isEqualTo(2);
        assertThat(engine.number("FETCH 1 FROM held")).isEqualTo(1);
        engine.run(
                "CREATE OR REPLACE FUNCTION a.mix(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 100 + $2'");
        engine.run("SELECT tally.refresh('a.f')");
        engine.storedAgrees("the replaced function");
        assertThat(engine.number("EXECUTE mine(4)")).isEqualTo(3);
        assertThat(engine.number("FETCH 1 FROM held")).isEqualTo(2);
        assertThat(engine.number("SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine'"))
                .isOne();
    }
}
