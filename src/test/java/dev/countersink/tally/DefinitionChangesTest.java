package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Sql;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Changes below a definition after it was activated: the next merges follow, or say why they cannot. */
class DefinitionChangesTest {
    private static final String TOLD =
            "SELECT coalesce(string_agg(problem, '; '), '') FROM tally.health WHERE NOT ok AND view NOT LIKE 'results.%'";

    private final Engine engine = new Engine();

    @BeforeEach
    void declare() {
        engine.run("""
                CREATE SCHEMA a;
                CREATE TYPE a.mood AS ENUM ('sad', 'ok');
                CREATE TYPE a.pair AS (x int, y int);
                CREATE TABLE a.t (id int PRIMARY KEY, grp int, m a.mood, v int, p a.pair, extra text);
                INSERT INTO a.t SELECT i, i % 3, 'ok', i, ROW(i, i)::a.pair FROM generate_series(1, 20) i;
                CREATE FUNCTION a.inner_(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
                CREATE FUNCTION a.outer_(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN a.inner_($1) * 2; END';
                CREATE FUNCTION a.big(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 5';
                CREATE FUNCTION a.tr(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
                CREATE AGGREGATE a.su(int) (sfunc = a.tr, stype = int, initcond = '0');
                CREATE VIEW a.low AS SELECT id, grp, v FROM a.t;
                CREATE VIEW a.f_def AS
                SELECT t.id, l.grp, a.outer_(l.v) AS o, t.m::text AS m, (SELECT to_jsonb(w) FROM a.t w WHERE w.id = t.id) AS whole,
                       (SELECT a.su(q.v) FROM a.t q WHERE q.id = t.id) AS su, l.v
                FROM a.t JOIN a.low l USING (id);
                SELECT tally.create_projection('a.f', 'a.f_def', '{id}');
                SELECT tally.watch('a.f', 'a.t', '{id}');
                SELECT tally.create_rollup('a.r', 'a.f', '{grp}', '{"n":"count(*)","s":"sum(o)","d":"count(distinct v)","mx":"max(v)"}', filter => 'a.big(v)');
                SELECT tally.create_rollup('a.rr', 'a.r', '{n}', '{"c":"count(*)"}');
                SELECT tally.activate('a.f');
                SELECT tally.refresh('a.f')""");
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void aColumnThatIsRenamedBetweenWatchAndActivateIsNamed() throws Exception {
        try (Engine own = new Engine()) {
            own.run("""
                    CREATE TABLE app.thing (id int PRIMARY KEY, n int);
                    CREATE VIEW app.thing_def AS SELECT id, n FROM app.thing;
                    SELECT tally.create_projection('app.thing_fact', 'app.thing_def', '{id}');
                    SELECT tally.watch('app.thing_fact', 'app.thing', '{id}');
                    ALTER TABLE app.thing RENAME id TO number;
                    """);
            assertThat(own.refused("TL006", "SELECT tally.activate('app.thing_fact')"))
                    .contains("app.thing has no column \"id\" any more");
            own.run("""
                    SELECT tally.drop('app.thing_fact');
                    SELECT tally.create_projection('app.thing_fact', 'app.thing_def', '{id}');
                    SELECT tally.watch('app.thing_fact', 'app.thing', '{n}', expand => 'SELECT t.number FROM changed ch JOIN app.thing t ON t.n = ch.n');
                    ALTER TABLE app.thing RENAME n TO m;
                    """);
            assertThat(own.refused("TL006", "SELECT tally.activate('app.thing_fact')"))
                    .contains("app.thing has no column \"n\" any more");
            own.run("""
                    SELECT tally.drop('app.thing_fact');
                    SELECT tally.keep('app.thing_fact', 'app.thing_def', '{id}');
                    """);
        }
    }

    /** An older engine did not name the key NULL here; its watch stays wrong until it is derived again. */
    @Test
    void whatAnOlderEngineDerivedIsDerivedAgainAfterAnUpgrade() throws Exception {
        try (Engine own = new Engine()) {
            own.run("""
                    CREATE TABLE app.left_side (id int PRIMARY KEY);
                    CREATE TABLE app.right_side (id int PRIMARY KEY, left_id int, n int);
                    CREATE TABLE app.more (id int PRIMARY KEY, right_id int);
                    INSERT INTO app.left_side VALUES (1), (2); INSERT INTO app.right_side VALUES (1, 1, 1), (2, 2, 1), (3, 3, 1); INSERT INTO app.more SELECT i, i FROM generate_series(1, 3) i;
                    CREATE INDEX ON app.right_side (left_id); CREATE INDEX ON app.more (right_id);
                    CREATE VIEW app.kept_def AS SELECT l.id, count(*) AS n FROM app.left_side l FULL JOIN app.right_side r ON r.left_id = l.id JOIN app.more m ON m.right_id = r.id GROUP BY l.id;
                    SELECT tally.keep('app.kept', 'app.kept_def', '{id}'); SELECT tally.refresh('app.kept');
                    UPDATE tally.source SET expand = 'SELECT changed.id FROM changed' WHERE relation = 'app.left_side'::regclass;
                    UPDATE tally.derived_view SET generated_by = 'an older one' WHERE kind = 'projection'; SELECT tally.regenerate();
                    """);
            own.liveAgrees("the upgrade");
            own.write("SELECT 1", "DELETE FROM app.left_side WHERE id = 1", "INSERT INTO app.left_side VALUES (3)");
            assertThat(own.text(TOLD)).isEmpty();
        }
    }

    @Test
    void whatIsReplacedBelowHoldsForEveryKey() {
        for (String change : List.of(
                "CREATE OR REPLACE FUNCTION a.inner_(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 100'",
                "CREATE OR REPLACE FUNCTION a.tr(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2'",
                "CREATE OR REPLACE FUNCTION a.big(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 10'",
                "ALTER TYPE a.mood RENAME VALUE 'ok' TO 'fine'",
                "ALTER TABLE a.t ADD COLUMN more int DEFAULT 7",
                "ALTER TYPE a.pair ADD ATTRIBUTE z int",
                "CREATE OR REPLACE VIEW a.low AS SELECT id, grp, v * 2 AS v FROM a.t")) {
            follows(change);
        }
    }

    /** A row of the catalog that one transaction writes twice has the same xmin both times. */
    @Test
    void whatOneTransactionReplacesTwiceIsTold() {
        follows("""
                BEGIN;
                CREATE OR REPLACE FUNCTION a.inner_(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 2';
                SELECT tally.refresh('a.f');
                CREATE OR REPLACE FUNCTION a.inner_(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 3';
                COMMIT""");
    }

    @Test
    void aCompositeThatGetsAnAttributeKeepsItsCells() {
        engine.run("""
                CREATE TABLE a.u (id int PRIMARY KEY, p a.pair);
                INSERT INTO a.u SELECT i, ROW(i % 2, NULL::int)::a.pair FROM generate_series(1, 6) i;
                CREATE VIEW a.u_def AS SELECT id, p FROM a.u;
                SELECT tally.keep('a.uf', 'a.u_def', '{id}');
                SELECT tally.create_rollup('a.ur', 'a.uf', '{}', '{"d":"count(distinct p)"}');
                SELECT tally.refresh('a.uf')""");
        follows("ALTER TYPE a.pair ADD ATTRIBUTE z int");
        engine.write("UPDATE a.u SET p = ROW(8, 8, 8) WHERE id = 1", "DELETE FROM a.u WHERE id < 6");
        assertThat(engine.number("SELECT count(*) FROM tally.verify('a.uf')")).isZero();
    }

    @Test
    void theDomainOfAKeyTakesANewCheck() {
        declareByDomain();
        engine.write(
                "INSERT INTO a.line SELECT i, 'k', i FROM generate_series(4, 30) i", "UPDATE a.head SET w = w + 1");
        engine.run("SELECT tally.merge('a.h', max_keys => 3)"); // the other keys wait in arrays
        follows("ALTER DOMAIN a.small ADD CHECK (VALUE <> 77); ALTER DOMAIN a.code ADD CHECK (VALUE <> 'zz')");
        engine.run(
                "ALTER DOMAIN a.smaller SET NOT NULL; SELECT tally.refresh('a.h'); UPDATE a.head SET w = w + 1; DELETE FROM a.line WHERE id = 2");
        assertThat(engine.number("SELECT count(*) FROM (TABLE a.h_live EXCEPT ALL TABLE a.h_def) x"))
                .isZero();
        engine.run("SELECT tally.refresh('a.h')");
        engine.storedAgrees("it refuses NULL now");
    }

    @Test
    void arraysOfDomainsThatAnOlderEngineMadeAreReplaced() {
        declareByDomain();
        engine.run("""
                ALTER TABLE a.h_delta ALTER COLUMN tally_keys_1 TYPE a.smaller[], ALTER COLUMN id TYPE a.smaller,
                    ALTER COLUMN tally_at SET DEFAULT now();
                DROP FUNCTION a.h_expand_1(int[]);
                DO $do$ BEGIN EXECUTE $f$CREATE FUNCTION a.h_expand_1(tally_changed_1 a.smaller[]) RETURNS TABLE (id a.smaller, k a.code) LANGUAGE sql STABLE BEGIN ATOMIC
                    WITH changed AS (SELECT c.id FROM unnest(tally_changed_1) c(id)) SELECT l.id, l.k FROM changed JOIN a.line l ON l.id = changed.id; END$f$; END $do$;
                UPDATE tally.derived_view SET generated_by = 'older' WHERE relation_name = 'h';
                SELECT tally.regenerate()""");
        follows("ALTER DOMAIN a.small ADD CHECK (VALUE <> 77)");
        engine.run("BEGIN; UPDATE a.head SET w = w + 1");
        assertThat(engine.text("SELECT bool_and(tally_at > now())::text FROM a.h_delta"))
                .as("a change is as old as the write, not as its transaction")
                .isEqualTo("true");
        engine.run("COMMIT");
        engine.liveAgrees("it was generated again");
        engine.run("SELECT tally.refresh('a.h')");
        engine.storedAgrees("it was generated again");
    }

    private void declareByDomain() {
        engine.run("""
                CREATE DOMAIN a.small AS int CHECK (VALUE < 1000); CREATE DOMAIN a.smaller AS a.small; CREATE DOMAIN a.code AS varchar(9) COLLATE "C";
                CREATE TABLE a.head (id a.smaller PRIMARY KEY, w a.small); CREATE TABLE a.line (id a.smaller, k a.code, v int, PRIMARY KEY (id, k));
                INSERT INTO a.head SELECT i, i FROM generate_series(1, 40) i; INSERT INTO a.line VALUES (1, 'k', 1), (2, 'k', 2), (3, 'l', 3);
                CREATE VIEW a.h_def AS SELECT l.id, l.k, l.v, h.w FROM a.line l JOIN a.head h ON h.id = l.id;
                SELECT tally.keep('a.h', 'a.h_def', '{id,k}'); SELECT tally.create_rollup('a.hr', 'a.h', '{w}', '{"n":"count(*)"}');
                SELECT tally.refresh('a.h')""");
    }

    @Test
    void aFunctionThatCannotRunAnyMoreIsNamed() throws Exception {
        engine.run("""
                CREATE TYPE a.word AS ENUM ('p');
                CREATE FUNCTION a."one%More"(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ DECLARE w a.word := 'p'; BEGIN RETURN i + 1; END $$;
                CREATE TABLE a.word_of (id int PRIMARY KEY); INSERT INTO a.word_of VALUES (1);
                CREATE VIEW a.word_def AS SELECT id, a."one%More"(id) AS v FROM a.word_of;
                SELECT tally.keep('a.words', 'a.word_def'); SELECT tally.refresh('a.words'); DROP TYPE a.word""");
        try (Sql session = engine.session()) { // with no plan of the function
            session.text("SELECT outcome FROM tally.merge('a.words')");
            String said =
                    "a.\"one%More\"(integer), which a.word_def calls, cannot run any more: type \"a.word\" does not exist.";
            assertThat(session.text("SELECT error FROM tally.merge('a.words')")).startsWith(said);
            assertThat(engine.text("SELECT problem FROM tally.health WHERE NOT ok AND view = 'a.words'"))
                    .contains(said);
            assertThat(engine.text("SELECT error_sqlstate FROM tally.status WHERE name = 'a.words'"))
                    .isEqualTo("TL023");
        }
        engine.run(
                "CREATE OR REPLACE FUNCTION a.\"one%More\"(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT i + 2'; UPDATE tally.merge_state SET retry_at = NULL");
        engine.run("SELECT tally.refresh('a.words')");
        engine.storedAgrees("the function was replaced");
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok AND view = 'a.words'"))
                .isZero();
    }

    @Test
    void whatIsCalledOtherwiseIsFollowed() {
        for (String change : List.of(
                "ALTER TABLE a.t RENAME COLUMN extra TO rest",
                "ALTER FUNCTION a.big(int) RENAME TO huge",
                "ALTER TABLE a.t RENAME COLUMN v TO val",
                "ALTER TABLE a.t RENAME COLUMN id TO tid",
                "ALTER VIEW a.low RENAME TO lower_",
                "ALTER VIEW a.f_def RENAME TO f_definition",
                "ALTER TABLE a.t RENAME TO thing",
                "CREATE SCHEMA z; ALTER TABLE a.thing SET SCHEMA z",
                "ALTER TABLE a.r RENAME TO q",
                "ALTER TABLE a.f RENAME TO g",
                "ALTER TABLE a.g SET SCHEMA z",
                """
                ALTER SCHEMA a RENAME TO b;
                CREATE OR REPLACE FUNCTION b.outer_(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN b.inner_($1) * 2; END'""")) {
            follows(change);
        }
        assertThat(engine.text(
                        "SELECT string_agg(name, ' ' ORDER BY name) FROM tally.status WHERE name NOT LIKE 'results.%'"))
                .isEqualTo("b.q b.rr z.g");
        engine.write(
                "UPDATE z.thing SET val = val + 1 WHERE tid < 5",
                "DELETE FROM z.thing WHERE tid = 1",
                "TRUNCATE z.thing");
    }

    @Test
    void aRenameAloneSweepsNothing() {
        engine.run(
                "CREATE VIEW a.g_def AS SELECT id, v FROM a.t; SELECT tally.create_projection('a.g', 'a.g_def', '{id}'); SELECT tally.watch('a.g', 'a.t', '{id}'); SELECT tally.activate('a.g'); SELECT tally.refresh('a.g')");
        engine.run("ALTER TABLE a.t RENAME COLUMN v TO val; ALTER TABLE a.t ADD COLUMN other int");
        assertThat(engine.text("SELECT keys FROM tally.refresh('a.g')")).isEqualTo("0");
    }

    @Test
    void anUnwatchedTableStopsTheMergesAndLiveIsNotOld() {
        engine.run("""
                CREATE TABLE a.duty (id int PRIMARY KEY, rate int);
                INSERT INTO a.duty SELECT i, 2 FROM generate_series(1, 20) i;
                CREATE OR REPLACE VIEW a.low AS SELECT t.id, grp, v * d.rate AS v FROM a.t JOIN a.duty d USING (id);
                SELECT tally.refresh('a.f')""");
        assertThat(engine.text("SELECT error FROM tally.status WHERE name = 'a.f'"))
                .isEqualTo("a.f_def reads a.duty, which a.f neither watches nor assumes static.");
        assertThat(engine.text(TOLD)).contains("merges have stopped: a.f_def reads a.duty");
        engine.run("UPDATE a.duty SET rate = 3");
        engine.liveAgrees("the unwatched table changed");
        engine.run("SELECT tally.watch('a.f', 'a.duty', '{id}'); SELECT tally.refresh('a.f')");
        engine.storedAgrees("it is watched");
        engine.write("UPDATE a.duty SET rate = 4 WHERE id = 6");
    }

    @Test
    void derivedWatchesAreDerivedAnew() {
        engine.run("""
                CREATE TABLE a.k (id int PRIMARY KEY, z int, m int); CREATE TABLE a.m (id int PRIMARY KEY, q int);
                INSERT INTO a.k SELECT i, i * 10, i % 2 FROM generate_series(0, 4) i; INSERT INTO a.m SELECT i, i + 100 FROM generate_series(0, 4) i;
                CREATE VIEW a.near AS SELECT t.id, t.v, k.z FROM a.t JOIN a.k ON k.id = t.grp;
                CREATE VIEW a.x_def AS SELECT id, a.inner_(v) AS v, z FROM a.near;
                SELECT tally.keep('a.x', 'a.x_def');
                SELECT tally.create_rollup('a.xr', 'a.x', '{z}', '{"n":"count(*)","s":"sum(v)"}');
                SELECT tally.refresh('a.x')""");
        for (String change :
                List.of(
                        "CREATE OR REPLACE VIEW a.near AS SELECT t.id, t.v, k.z FROM a.t JOIN a.k ON k.id = t.v % 5", // another condition
                        "CREATE OR REPLACE VIEW a.near AS SELECT t.id, t.v, k.z + m.q AS z FROM a.t JOIN a.k ON k.id = t.grp JOIN a.m ON m.id = k.m", // a join more
                        "CREATE OR REPLACE VIEW a.near AS SELECT t.id, t.v, m.q AS z FROM a.t JOIN a.m ON m.id = t.grp", // one fewer
                        "CREATE OR REPLACE VIEW a.near AS SELECT t.id, t.v, (SELECT sum(z) FROM a.k WHERE k.id <= t.grp)::int AS z FROM a.t",
                        "CREATE OR REPLACE VIEW a.near AS SELECT t.id, t.v, t.grp AS z FROM a.t")) {
            follows(change);
            engine.write(
                    "UPDATE a.k SET z = z + 1 WHERE id = 1",
                    "UPDATE a.m SET q = q + 1 WHERE id < 2",
                    "UPDATE a.k SET m = 1 - m WHERE id = 1",
                    "UPDATE a.t SET grp = (grp + 1) % 3, v = v + 1 WHERE id < 4",
                    "DELETE FROM a.t WHERE id = 12; INSERT INTO a.t VALUES (12, 1, 'ok', 2)");
        }
        engine.run(
                "CREATE OR REPLACE FUNCTION a.inner_(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT q FROM a.m WHERE id = $1'; SELECT tally.refresh('a.x')");
        assertThat(engine.text("SELECT error_sqlstate FROM tally.status WHERE name = 'a.x'"))
                .isEqualTo("TL008"); // it hides a table
    }

    @Test
    void aFunctionThatMayNotBeCalledAnyMoreStopsTheMerges() {
        engine.run(
                "CREATE OR REPLACE FUNCTION a.outer_(int) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1; END'; SELECT tally.refresh('a.f')");
        assertThat(engine.text("SELECT error_sqlstate FROM tally.status WHERE name = 'a.f'"))
                .isEqualTo("TL008");
        engine.run("SELECT tally.allow_function('a.f', 'a.outer_(int)'); SELECT tally.refresh('a.f')");
        engine.storedAgrees("it is vouched for");
    }

    @Test
    void aPolicyThatBindsStopsTheMerges() {
        engine.run("""
                DO $$ BEGIN IF to_regrole('changes_viewer') IS NULL THEN CREATE ROLE changes_viewer; END IF; END $$;
                CREATE TABLE a.doc (id int PRIMARY KEY, hidden boolean); GRANT USAGE ON SCHEMA a TO changes_viewer; GRANT SELECT ON a.doc TO changes_viewer;
                CREATE VIEW a.doc_def AS SELECT id FROM a.doc; ALTER VIEW a.doc_def OWNER TO changes_viewer;
                SELECT tally.create_projection('a.d', 'a.doc_def', '{id}'); SELECT tally.watch('a.d', 'a.doc', '{id}'); SELECT tally.activate('a.d'); SELECT tally.refresh('a.d');
                CREATE POLICY shown ON a.doc USING (NOT hidden); SELECT tally.refresh('a.d')""");
        assertThat(engine.text(TOLD)).isEmpty();
        engine.run("ALTER TABLE a.doc ENABLE ROW LEVEL SECURITY; SELECT tally.refresh('a.d')");
        assertThat(engine.text("SELECT error FROM tally.status WHERE name = 'a.d'"))
                .contains("the row-level security of a.doc (it binds changes_viewer)");
    }

    @Test
    void aDefinitionWithOtherColumnsIsForRedefine() {
        engine.run("CREATE OR REPLACE VIEW a.low AS SELECT id, grp, v, extra FROM a.t; SELECT tally.refresh('a.f')");
        engine.storedAgrees("a view below has another column");
        engine.run("""
                CREATE VIEW a.g_def AS SELECT id, grp FROM a.t;
                SELECT tally.create_projection('a.g', 'a.g_def', '{id}'); SELECT tally.watch('a.g', 'a.t', '{id}'); SELECT tally.activate('a.g'); SELECT tally.refresh('a.g');
                CREATE OR REPLACE VIEW a.g_def AS SELECT id, grp, v FROM a.t; SELECT tally.refresh('a.g')""");
        assertThat(engine.text("SELECT error_sqlstate FROM tally.status WHERE name = 'a.g'"))
                .isEqualTo("TL023");
        engine.run("SELECT tally.redefine('a.g', 'a.g_def')");
        for (int i = 0; i < 4; i++) {
            engine.run("SELECT tally.refresh('a.g')");
        }
        engine.storedAgrees("it was redefined");
        assertThat(engine.text(TOLD)).isEmpty();
    }

    @Test
    void aDefinitionIsReplacedBeforeARenameIsFollowed() {
        engine.run("""
                CREATE TABLE a.kind (id int PRIMARY KEY, grp int, label text); INSERT INTO a.kind SELECT i, i, 'k' || i FROM generate_series(0, 2) i;
                CREATE VIEW a.k_def AS SELECT t.id, k.label FROM a.t JOIN a.kind k ON k.grp = t.grp; CREATE VIEW a.k_new AS SELECT t.id, upper(k.label) AS label FROM a.t JOIN a.kind k ON k.grp = t.grp;
                SELECT tally.create_projection('a.k', 'a.k_def', '{id}'); SELECT tally.watch('a.k', 'a.t', '{id}');
                SELECT tally.watch('a.k', 'a.kind', '{grp}', expand => 'SELECT t.id FROM changed ch JOIN a.t ON t.grp = ch.grp');
                SELECT tally.activate('a.k'); SELECT tally.refresh('a.k');
                ALTER TABLE a.kind RENAME COLUMN grp TO "its group"; UPDATE a.kind SET "its group" = ("its group" + 1) % 3;
                SELECT tally.redefine('a.k', 'a.k_new'); UPDATE a.kind SET label = label || '!'""");
        for (int i = 0; i < 4; i++) {
            engine.run("SELECT tally.refresh('a.k'); SELECT tally.refresh('a.f')");
        }
        engine.storedAgrees("it was redefined");
        assertThat(engine.text("SELECT max(label) FROM a.k")).isEqualTo("K2!");
    }

    @Test
    void aKeyMayBecomeWider() {
        engine.run("""
                CREATE VIEW a.g_def AS SELECT id, grp FROM a.t; CREATE VIEW a.g_wide AS SELECT id::bigint AS id, grp::bigint AS grp FROM a.t;
                SELECT tally.create_projection('a.g', 'a.g_def', '{id}'); SELECT tally.watch('a.g', 'a.t', '{id}'); SELECT tally.activate('a.g'); SELECT tally.refresh('a.g');
                SELECT tally.redefine('a.g', 'a.g_wide')""");
        for (int i = 0; i < 4; i++) {
            engine.run("UPDATE a.t SET grp = grp + 1 WHERE id = %d; SELECT tally.refresh('a.g')".formatted(i + 1));
        }
        engine.run("SELECT tally.refresh('a.f')");
        engine.storedAgrees("it was redefined");
        assertThat(engine.text("SELECT pg_typeof(id)::text FROM a.g LIMIT 1")).isEqualTo("bigint");
    }

    @Test
    void aGuardFollowsInsideTheMigration() throws Exception {
        engine.run("SELECT tally.guard(); SELECT tally.guard()");
        engine.run(
                "BEGIN; ALTER TABLE a.t RENAME COLUMN id TO tid; ALTER TABLE a.t RENAME COLUMN v TO val; UPDATE a.t SET val = val + 1 WHERE tid = 3; COMMIT");
        assertThat(engine.text(TOLD)).isEmpty();
        engine.run("BEGIN; ALTER TABLE a.t RENAME COLUMN tid TO gone; ROLLBACK");
        engine.write("UPDATE a.t SET val = 7 WHERE tid = 4");
        engine.run(
                "CREATE TABLE a.late (id int); CREATE OR REPLACE VIEW a.low AS SELECT tid AS id, grp, val AS v FROM a.t WHERE NOT EXISTS (SELECT FROM a.late)");
        assertThat(engine.text(TOLD)).contains("a.late"); // the migration went through all the same
        engine.run("SELECT tally.unguard(); SELECT tally.unguard()");
        try (Sql other = engine.session()) {
            other.run(
                    "DO $$ BEGIN IF to_regrole('changes_plain') IS NULL THEN CREATE ROLE changes_plain; END IF; END $$; GRANT USAGE ON SCHEMA tally TO changes_plain; GRANT EXECUTE ON FUNCTION tally.guard(), tally.fail(text, text, text) TO changes_plain");
        }
        assertThat(engine.refused("TL027", "SET ROLE changes_plain; SELECT tally.guard()"))
                .isEqualTo("changes_plain may not make an event trigger.");
        engine.run("RESET ROLE");
    }

    private void follows(String change) {
        engine.run(change);
        assertThat(engine.text(TOLD)).as(change).isNotEmpty();
        engine.run("SELECT tally.refresh(name) FROM tally.due() WHERE action = 'merge' AND name NOT LIKE 'results.%'");
        engine.storedAgrees(change);
        engine.liveAgrees(change);
        assertThat(engine.text(TOLD)).as(change).isEmpty();
    }
}
