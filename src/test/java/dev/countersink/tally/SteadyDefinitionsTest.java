package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The result of a definition depends only on tables: not on a setting, the clock, chance, a policy or the catalog. */
class SteadyDefinitionsTest {
    private static final Path FOLDER = Path.of("src", "test", "resources", "tally");
    private static final Path GOLDEN = FOLDER.resolve("stable-functions.txt");
    private static final String VERDICTS = """
            SELECT string_agg(format('%-7s %s', coalesce(a.provided, 'no'), s), E'\\n' ORDER BY s COLLATE "C")
            FROM pg_proc p CROSS JOIN LATERAL tally.signature_of(p.oid) s
            LEFT JOIN tally.allowed_calls() a ON replace(a.signature, '"', '') = replace(s, '"', '')
            WHERE p.provolatile = 's' AND p.pronamespace = 'pg_catalog'::regnamespace""";
    private static final String TABLES = """
            CREATE SCHEMA a;
            CREATE DOMAIN a.pos AS int CHECK (VALUE > 0);
            CREATE DOMAIN a.soon AS date CHECK (VALUE > now());
            CREATE TYPE a.mood AS ENUM ('sad', 'ok');
            CREATE TYPE a.pair AS (x int, at timestamptz);
            CREATE TYPE a.ipair AS (x int, y text);
            CREATE TABLE a.t (id int PRIMARY KEY, grp int, at timestamptz, ts timestamp, d date, x float8, n numeric, j jsonb, txt text, e interval, b bytea,
                m a.mood, p a.pair, ip a.ipair, arr int[], tarr timestamptz[], tt time, r tstzrange, ir int4range, u uuid);
            CREATE TABLE a.k (id int PRIMARY KEY, n numeric, s text);
            CREATE FUNCTION a.imm(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
            CREATE FUNCTION a.liar(int) RETURNS numeric LANGUAGE sql IMMUTABLE RETURN (SELECT n FROM a.k WHERE id = $1);
            CREATE FUNCTION a.vtrans(int, int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT $1 + $2';
            CREATE AGGREGATE a.vsum(int) (sfunc = a.vtrans, stype = int, initcond = '0');
            CREATE FUNCTION a.vop(int, int) RETURNS bool LANGUAGE sql STABLE AS 'SELECT $1 = $2';
            CREATE OPERATOR a.=== (leftarg = int, rightarg = int, function = a.vop);
            CREATE SEQUENCE a.sq""";

    private final Engine engine = new Engine();

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    /** After a review of a new version's functions: {@code -Dcountersink.stable.write=true}, on each version in turn. */
    @Test
    void everyStableFunctionOfPostgresIsAllowedOrRefusedByAJudgement() throws Exception {
        Set<String> found = new TreeSet<>(engine.text(VERDICTS).lines().toList());
        if (Boolean.getBoolean("countersink.stable.write")) {
            Set<String> all = new TreeSet<>(Files.readAllLines(GOLDEN));
            all.addAll(found);
            Files.write(GOLDEN, all);
        }
        assertThat(Files.readAllLines(GOLDEN)).containsAll(found);
    }

    @Test
    void whatTheListAllowsIsAFunctionOfSomeVersion() throws Exception {
        List<String> judged = Files.readAllLines(GOLDEN);
        assertThat(engine.text(
                                "SELECT string_agg(format('%-7s %s', provided, signature), E'\\n') FROM tally.allowed_calls()")
                        .lines())
                .allSatisfy(line -> assertThat(judged)
                        .anySatisfy(j -> assertThat(j.replace("\"", "")).isEqualTo(line.replace("\"", ""))));
    }

    @Test
    void whatDependsOnTablesAloneIsAllowed() throws Exception {
        engine.run(TABLES);
        for (String expression : lines("steady.txt")) {
            declare(expression);
            engine.run("SELECT tally.activate('a.f'); SELECT tally.drop('a.f'); DROP VIEW a.f_def");
        }
    }

    @Test
    void whatDependsOnAnythingElseIsRefusedWithTheFormThatDoesNot() throws Exception {
        engine.run(TABLES);
        for (String expression : lines("unsteady.txt")) {
            declare(expression);
            assertThat(engine.refused("TL008", "SELECT tally.activate('a.f')"))
                    .as(expression)
                    .startsWith("a.f_def depends on more than tables: on ");
            engine.run("SELECT tally.drop('a.f'); DROP VIEW a.f_def");
        }
    }

    @Test
    void whatIsVouchedForByNameIsAllowed() {
        engine.run(TABLES);
        for (String[] pair : new String[][] {
            {"at::date", "date(timestamptz)"},
            {"x::text", "float8out(float8)"},
            {"to_jsonb(at)", "to_jsonb(anyelement)"},
            {"(SELECT a.vsum(k.id) FROM a.k)", "a.vsum(int)"},
            {"a.liar(id)", "a.liar(int)"}
        }) {
            declare(pair[0]);
            engine.run(
                    "SELECT tally.allow_function('a.f', '%s'); SELECT tally.activate('a.f'); SELECT tally.drop('a.f'); DROP VIEW a.f_def"
                            .formatted(pair[1]));
        }
    }

    @Test
    void aFilterSeesNothingButTheRow() {
        engine.run(TABLES);
        declare("at, txt, d, grp");
        for (String filter : new String[] {
            "grp IN (SELECT k.id FROM a.k)",
            "EXISTS (SELECT FROM a.k WHERE k.id = d.grp)",
            "grp < (SELECT max(f.grp) FROM a.f f)",
            "at < date '2024-01-02'",
            "txt::date > date '2024-01-02'",
            "at < now()",
            "random() < 0.5",
            "d.d < CURRENT_DATE",
            "d.ctid IS NOT NULL"
        }) {
            engine.refused(
                    "TL008",
                    "SELECT tally.create_rollup('a.r', 'a.f', '{grp}', '{\"n\":\"count(*)\"}', filter => $$%s$$)"
                            .formatted(filter));
        }
        engine.run("""
                SET quote_all_identifiers = on;
                SELECT tally.create_rollup('a.r', 'a.f', '{grp}', '{"n":"count(*)"}', filter => $$at < timestamptz '2024-01-02 00:00+00' AND grp > 1$$);
                SELECT tally.activate('a.f')""");
        assertThat(engine.text("SELECT filter FROM tally.derived_view WHERE relation_name = 'r'"))
                .containsPattern("\\((d\\.)?grp > 1\\)");
    }

    @Test
    void anExpandNamesEveryKeyWhoeverMerges() {
        engine.run(TABLES);
        declare("grp");
        engine.run(
                "CREATE VIEW a.g_def AS SELECT t.id, k.s FROM a.t LEFT JOIN a.k ON k.id = t.grp; SELECT tally.create_projection('a.g', 'a.g_def', '{id}'); SELECT tally.watch('a.g', 'a.t', '{id}')");
        for (String expand : new String[] {
            "SELECT t.id FROM a.t JOIN changed c ON c.id = t.grp LIMIT 1",
            "SELECT t.id FROM a.t JOIN changed c ON c.id = t.grp ORDER BY t.id OFFSET 1",
            "SELECT t.id FROM a.t JOIN changed c ON c.id = t.grp WHERE random() < 0.5",
            "SELECT t.id FROM a.t JOIN changed c ON c.id = t.grp WHERE t.at::date = date '2024-01-01'",
            "SELECT t.id FROM a.t TABLESAMPLE SYSTEM (50) JOIN changed c ON c.id = t.grp",
            "SELECT t.id FROM a.t JOIN changed c ON c.id = t.grp JOIN pg_class k ON k.oid = t.id"
        }) {
            assertThat(engine.refused("TL008", "SELECT tally.watch('a.g', 'a.k', '{id}', $$%s$$)".formatted(expand)))
                    .startsWith("The expand of a.k for a.g depends on more than tables: on ");
        }
        engine.run(
                "SELECT tally.watch('a.g', 'a.k', '{id}', $$SELECT t.id FROM a.t WHERE EXISTS (SELECT FROM changed c WHERE c.id = t.grp LIMIT 1)$$); SELECT tally.activate('a.g')");
    }

    @Test
    void aDefinitionThatPoliciesBindIsRefused() {
        engine.run(TABLES);
        engine.run("""
                DO $$ BEGIN IF to_regrole('steady_keeper') IS NULL THEN CREATE ROLE steady_keeper; CREATE ROLE steady_viewer; END IF; END $$;
                GRANT ALL ON SCHEMA a TO steady_keeper, steady_viewer;
                CREATE TABLE a.bill (id int PRIMARY KEY, hidden boolean);
                ALTER TABLE a.bill OWNER TO steady_keeper;
                GRANT SELECT ON a.bill TO steady_viewer;
                CREATE POLICY shown ON a.bill USING (NOT hidden);
                CREATE VIEW a.b_def AS SELECT id FROM a.bill;
                ALTER VIEW a.b_def OWNER TO steady_keeper;
                SELECT tally.create_projection('a.b', 'a.b_def', '{id}');
                SELECT tally.watch('a.b', 'a.bill', '{id}')""");
        String activate = "SELECT tally.activate('a.b')";
        engine.run("ALTER TABLE a.bill ENABLE ROW LEVEL SECURITY; ALTER TABLE a.bill FORCE ROW LEVEL SECURITY");
        assertThat(engine.refused("TL008", activate))
                .contains("the row-level security of a.bill (it binds steady_keeper)");
        engine.run("ALTER TABLE a.bill NO FORCE ROW LEVEL SECURITY; ALTER VIEW a.b_def OWNER TO steady_viewer");
        assertThat(engine.refused("TL008", activate)).contains("it binds steady_viewer");
        engine.run("ALTER VIEW a.b_def OWNER TO steady_keeper; ALTER VIEW a.b_def SET (security_invoker = true)");
        assertThat(engine.refused("TL008", activate)).contains("it binds who reads a.b_def");
        // under another view, too, PostgreSQL asks the reader
        engine.run("""
                ALTER VIEW a.b_def RESET (security_invoker);
                CREATE VIEW a.below WITH (security_invoker) AS SELECT id FROM a.bill;
                ALTER VIEW a.below OWNER TO steady_keeper;
                CREATE OR REPLACE VIEW a.b_def AS SELECT id FROM a.below""");
        assertThat(engine.refused("TL008", activate)).contains("it binds who reads a.below");
        engine.run("ALTER VIEW a.below RESET (security_invoker); " + activate); // the owner sees every row
    }

    @Test
    void aForeignPartitionIsRefused() {
        engine.run("""
                CREATE SCHEMA a;
                CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
                CREATE TABLE a.m (id int, area text) PARTITION BY LIST (area);
                CREATE TABLE a.m_n PARTITION OF a.m FOR VALUES IN ('n');
                CREATE FOREIGN TABLE a.m_f PARTITION OF a.m FOR VALUES IN ('f') SERVER far;
                CREATE VIEW a.m_def AS SELECT id, area FROM a.m;
                SELECT tally.create_projection('a.p', 'a.m_def', '{id}')""");
        assertThat(engine.refused("TL016", "SELECT tally.watch('a.p', 'a.m', '{id}')"))
                .contains("a.m_f");
    }

    private void declare(String expression) {
        engine.run("""
                CREATE VIEW a.f_def AS SELECT id, %s%s FROM a.t;
                SELECT tally.create_projection('a.f', 'a.f_def', '{id}');
                SELECT tally.watch('a.f', 'a.t', '{id}');
                SELECT tally.watch('a.f', 'a.k', '{id}')
                """.formatted(expression, expression.matches("[a-z, ]+,.*") ? "" : " AS v"));
    }

    private static List<String> lines(String file) throws IOException {
        return Files.readAllLines(FOLDER.resolve(file)).stream()
                .filter(line -> !line.startsWith("#"))
                .toList();
    }
}
