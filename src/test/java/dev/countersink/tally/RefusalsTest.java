package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class RefusalsTest {
    private final Engine engine = new Engine();

    RefusalsTest() {
        engine.run("""
                CREATE TABLE app.item (id int PRIMARY KEY, grp int, at timestamptz);
                CREATE TABLE app.rate (grp int PRIMARY KEY, rate int);
                """);
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void aTableThatIsNeitherWatchedNorStaticIsRefused() {
        declare("SELECT i.id, r.rate FROM app.item i JOIN app.rate r USING (grp)");
        assertThat(engine.refused("TL007", "SELECT tally.activate('app.fact')")).contains("app.rate");
        engine.run("SELECT tally.assume_static('app.fact', 'app.rate'); SELECT tally.activate('app.fact')");
    }

    @Test
    void aTableBehindAViewOrASubqueryIsFoundToo() {
        engine.run("CREATE VIEW app.rates AS SELECT * FROM app.rate");
        declare("SELECT i.id, (SELECT max(r.rate) FROM app.rates r WHERE r.grp = i.grp) AS rate FROM app.item i");
        assertThat(engine.refused("TL007", "SELECT tally.activate('app.fact')")).contains("app.rate");
    }

    @Test
    void whatMayChangeByItselfIsRefused() {
        engine.run("""
                CREATE FUNCTION app.hidden(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT rate FROM app.rate WHERE grp = $1';
                """);
        for (String expression : new String[] {
            "random()", "now()", "current_date", "app.hidden(grp)", "clock_timestamp()", "current_user"
        }) {
            declare("SELECT id, %s AS x FROM app.item".formatted(expression));
            engine.refused("TL008", "SELECT tally.activate('app.fact')");
            engine.run("SELECT tally.drop('app.fact'); DROP VIEW app.item_def");
        }
        declare("SELECT id, app.hidden(grp) AS x FROM app.item");
        engine.run("SELECT tally.allow_function('app.fact', 'app.hidden(int)'); SELECT tally.activate('app.fact')");
    }

    @Test
    void aTableBehindAFunctionThatAnotherCallsIsFoundToo() {
        // One by one: the driver takes a body for several statements.
        engine.run("CREATE FUNCTION app.rate_of(int) RETURNS int LANGUAGE sql IMMUTABLE"
                + " BEGIN ATOMIC SELECT r.rate FROM app.rate r WHERE r.grp = $1; END");
        engine.run("CREATE FUNCTION app.double_rate_of(int) RETURNS int LANGUAGE sql IMMUTABLE"
                + " BEGIN ATOMIC SELECT 2 * app.rate_of($1); END");
        engine.run("CREATE VIEW app.doubled AS SELECT id, app.double_rate_of(grp) AS rate FROM app.item");
        assertThat(engine.refused("TL008", "SELECT tally.keep('app.fact', 'app.doubled')"))
                .contains("app.double_rate_of(integer) (the table app.rate)");
    }

    /** Merges would lock the rows, and writers wait for them; _live, which only reads, could not lock any. */
    @Test
    void aFunctionThatRunsOnlyWithASearchPathIsRefused() {
        engine.run("""
                CREATE SCHEMA helper; CREATE TABLE app.thing (id int PRIMARY KEY, v int); INSERT INTO app.thing VALUES (1, 2);
                CREATE FUNCTION helper.half(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 / 2';
                SET check_function_bodies = off;
                CREATE FUNCTION helper."a half"(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT half($1)'; RESET check_function_bodies;
                CREATE VIEW app.thing_def AS SELECT id, helper."a half"(v) AS half FROM app.thing;
                SET search_path = helper, app""");
        assertThat(engine.refused("TL008", "SELECT tally.keep('app.halves', 'app.thing_def')"))
                .contains("\"a half\"", "function half(integer) does not exist");
        assertThat(engine.number("SELECT count(*) FROM tally.explain('app.thing_def'::regclass)"))
                .isEqualTo(1);
        engine.run(
                "SELECT tally.create_projection('app.halves', 'app.thing_def', '{id}'); SELECT tally.watch('app.halves', 'app.thing')");
        engine.refused("TL008", "SELECT tally.activate('app.halves')");
        engine.run("""
                ALTER FUNCTION helper."a half"(int) SET search_path = helper; SELECT tally.activate('app.halves');
                SELECT tally.refresh('app.halves'); RESET search_path""");
        engine.storedAgrees("with a path of its own");
    }

    @Test
    void aViewThatLocksItsRowsIsRefused() {
        engine.run("CREATE VIEW app.held AS SELECT grp, rate FROM app.rate FOR SHARE");
        for (String query : new String[] {
            "SELECT id, grp FROM app.item FOR UPDATE",
            "SELECT i.id, h.rate FROM app.item i JOIN app.held h USING (grp)",
            "SELECT id, (SELECT max(rate) FROM (SELECT rate FROM app.rate r WHERE r.grp = i.grp FOR NO KEY UPDATE) x) AS rate FROM app.item i"
        }) {
            engine.run("CREATE VIEW app.locking AS " + query);
            assertThat(engine.refused("TL008", "SELECT tally.keep('app.x', 'app.locking')"))
                    .contains("FOR UPDATE or FOR SHARE in app.");
            engine.run("DROP VIEW app.locking");
        }
    }

    @Test
    void moreColumnsThanAnIndexTakesAreRefused() {
        String many = "SELECT string_agg('c' || i || '%s', ',') FROM generate_series(1, 40) i";
        engine.run(
                "CREATE TABLE app.wide (id int PRIMARY KEY, arr int[], %s); INSERT INTO app.wide (id, arr) VALUES (1, '{1,2}')"
                        .formatted(engine.text(many.formatted(" int"))));
        engine.run(
                "CREATE VIEW app.fans AS SELECT w.*, e FROM app.wide w, unnest(arr) e; CREATE VIEW app.groups AS SELECT %1$s, count(*) AS n FROM app.wide GROUP BY %1$s"
                        .formatted(engine.text(many.formatted(""))));
        assertThat(engine.refused("TL018", "SELECT tally.keep('app.x', 'app.fans')"))
                .contains("43 columns");
        assertThat(engine.refused("TL018", "SELECT tally.keep('app.x', 'app.groups')"))
                .contains("40 columns");
        engine.run("SELECT tally.keep('app.x', 'app.fans', '{id}', '{id,e}')");
        assertThat(engine.refused(
                        "TL018",
                        "SELECT tally.create_rollup('app.r', 'app.x', '{%s}', '{\"n\":\"count(*)\"}')"
                                .formatted(engine.text(many.formatted("")))))
                .contains("40 columns");
        engine.write("SELECT 1", "UPDATE app.wide SET c40 = 7, arr = '{2,3}'");
    }

    @Test
    void mistakesAreNamed() {
        declare("SELECT id, grp FROM app.item");
        engine.refused("TL001", "SELECT tally.merge('app.nothing')");
        engine.refused("TL002", "SELECT tally.create_projection('app.fact', 'app.item_def', '{id}')");
        engine.refused("TL003", "SELECT tally.create_projection('a.b.c', 'app.item_def', '{id}')");
        engine.refused("TL003", "SELECT tally.create_projection('nowhere.x', 'app.item_def', '{id}')");
        engine.refused("TL004", "SELECT tally.create_projection('app.x', 'app.item', '{id}')");
        engine.refused("TL005", "SELECT tally.merge('app.fact')");
        engine.refused("TL006", "SELECT tally.create_projection('app.x', 'app.item_def', '{no}')");
        engine.refused("TL006", "SELECT tally.watch('app.fact', 'app.rate', '{no}')");
        engine.refused("TL010", "SELECT tally.watch('app.fact', 'app.rate', '{grp,rate}')");
        engine.refused("TL010", "SELECT tally.watch('app.fact', 'app.rate', '{grp}', 'SELECT nothing FROM changed')");
        engine.refused("TL016", "SELECT tally.watch('app.fact', 'app.item_def', '{id}')");
        engine.run("SELECT tally.activate('app.fact'); SELECT tally.activate('app.fact')");
        engine.refused("TL018", "SELECT tally.merge('app.fact', 0)");
    }

    @Test
    void whatCannotLeadToKeysIsRefusedBeforeAWriterMeetsIt() {
        engine.run("CREATE TABLE app.label (id int PRIMARY KEY, grp bigint, name text)");
        declare("SELECT i.id, l.name FROM app.item i LEFT JOIN app.label l USING (grp)");
        assertThat(engine.refused("TL010", "SELECT tally.watch('app.fact', 'app.label', '{name}')"))
                .isEqualTo(
                        "Column name of app.label cannot be the key of app.fact, which is (id integer); give expand.");
        for (String expand :
                new String[] {"SELECT id, grp FROM changed", "SELECT name FROM changed", "SELECT FROM changed"}) {
            assertThat(engine.refused(
                            "TL010",
                            "SELECT tally.watch('app.fact', 'app.label', '{id,grp,name}', '%s')".formatted(expand)))
                    .isEqualTo(
                            "expand of app.label must return the key of app.fact, which is (id integer), and nothing else.");
        }
        assertThat(engine.refused(
                        "TL010", "SELECT tally.watch('app.fact', 'app.label', '{grp}', 'SELECT id FROM nowhere')"))
                .contains("does not work", "\"nowhere\" does not exist");
        engine.run(
                "SELECT tally.watch('app.fact', 'app.label', '{grp}', 'SELECT i.id FROM app.item i JOIN changed USING (grp);')");
        engine.refused("TL018", "SELECT tally.watch('app.fact', 'app.label', '{grp}')");
        engine.refused("TL018", "SELECT tally.assume_static('app.fact', 'app.label')");
        engine.run("SELECT tally.activate('app.fact')");
        engine.write("INSERT INTO app.item VALUES (1, 1)", "INSERT INTO app.label VALUES (1, 1, 'one')");
    }

    @Test
    void aColumnNamedLikeOneOfTheEnginesIsRefused() {
        engine.run("CREATE VIEW app.taken AS SELECT id, 1 AS tally_here FROM app.item");
        assertThat(engine.refused("TL002", "SELECT tally.create_projection('app.x', 'app.taken', '{id}')"))
                .contains("tally_here");
        engine.run("CREATE VIEW app.system AS SELECT id, 1 AS xmin FROM app.item");
        assertThat(engine.refused("TL002", "SELECT tally.keep('app.x', 'app.system')"))
                .contains("xmin");
        engine.run("""
                CREATE VIEW app.sums_def AS SELECT id, 1 AS cell_rows, 2 AS was_rows, 3 AS n_total, 4 AS g FROM app.item;
                SELECT tally.create_projection('app.x', 'app.sums_def', '{id}')""");
        for (String rollup : new String[] {
            "'{cell_rows}', '{\"n\":\"count(*)\"}'",
            "'{n_total}', '{\"total\":\"sum(g)\"}'",
            "'{g}', '{\"g\":\"count(*)\"}'",
            "'{g}', '{\"n\":\"count(distinct cell_rows)\"}'",
            "'{g}', '{\"tally_sign\":\"count(*)\"}'",
            "'{g}', '{\"ctid\":\"count(*)\"}'",
        }) {
            engine.refused("TL002", "SELECT tally.create_rollup('app.r', 'app.x', %s)".formatted(rollup));
        }
        engine.refused("TL018", "SELECT tally.create_rollup('app.r', 'app.x', '{g,g}', '{\"n\":\"count(*)\"}')");
        assertThat(
                        engine.number(
                                "SELECT count(*) FROM tally.derived_view WHERE relation_name LIKE 'r%' AND schema_name = 'app'"))
                .isZero();
    }

    private void declare(String definition) {
        engine.run("""
                CREATE VIEW app.item_def AS %s;
                SELECT tally.create_projection('app.fact', 'app.item_def', '{id}');
                SELECT tally.watch('app.fact', 'app.item', '{id}');
                """.formatted(definition));
    }

    @Test
    void aSourceWhoseWritesTriggersWouldNotAllSeeIsRefused() {
        engine.run("""
                CREATE TABLE app.m (id int, area text, PRIMARY KEY (id, area)) PARTITION BY LIST (area);
                CREATE TABLE app.m_n PARTITION OF app.m FOR VALUES IN ('n');
                CREATE TABLE app.being (id int); CREATE TABLE app.cat (lives int) INHERITS (app.being);
                CREATE UNLOGGED TABLE app.hit (id int PRIMARY KEY);
                CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
                CREATE TABLE app.spread (id int) PARTITION BY RANGE (id);
                CREATE FOREIGN TABLE app.spread_1 PARTITION OF app.spread FOR VALUES FROM (0) TO (9) SERVER far""");
        declare("SELECT id FROM app.item");
        String[][] sources = {
            {"app.m_n", "is a partition of app.m"},
            {"app.cat", "inherits from app.being"},
            {"app.hit", "is unlogged"},
            {"app.spread", "has the foreign table app.spread_1"},
            {"app.spread_1", "is not a table"},
        };
        for (String[] source : sources) {
            assertThat(engine.refused("TL016", "SELECT tally.watch('app.fact', '%s', '{id}')".formatted(source[0])))
                    .contains(source[1]);
            engine.run(
                    "CREATE OR REPLACE VIEW app.kept_def AS SELECT i.id, (SELECT count(*) FROM %s s WHERE s.id = i.id) AS n FROM app.item i"
                            .formatted(source[0]));
            assertThat(engine.refused("TL016", "SELECT tally.keep('app.kept', 'app.kept_def', '{id}')"))
                    .contains(source[0]);
        }
    }

    @Test
    void aSourceThatBecomesSuchATableIsNamedByHealth() {
        declare("SELECT id FROM app.item");
        engine.run("SELECT tally.assume_static('app.fact', 'app.rate'); SELECT tally.activate('app.fact')");
        engine.run("ALTER TABLE app.item SET UNLOGGED");
        assertThat(engine.text("SELECT string_agg(problem, ' ') FROM tally.health WHERE NOT ok"))
                .contains("app.item is unlogged");
        engine.run("ALTER TABLE app.item SET LOGGED");
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
    }

    @Test
    void watchedColumnsThatMayNotFitTheKeyAreRefused() {
        engine.run("CREATE TABLE app.wide (id bigint, n numeric)");
        declare("SELECT id FROM app.item");
        assertThat(engine.refused("TL010", "SELECT tally.watch('app.fact', 'app.wide', '{id}')"))
                .contains("give expand");
        engine.run(
                "SELECT tally.watch('app.fact', 'app.wide', '{id}', 'SELECT id::int FROM changed WHERE id < 1000; -- of the first ones')");
    }

    @Test
    void argumentsThatSayNothingAreRefusedAndAFilterMayEndInAComment() {
        engine.run("CREATE VIEW app.odd_def AS SELECT id, id > 2 AS late FROM app.item");
        for (String key : new String[] {"{id,id}", "{NULL}", "{{id}}", "{id,NULL}"}) {
            assertThat(engine.refused(
                            "TL018", "SELECT tally.create_projection('app.odd', 'app.odd_def', '" + key + "')"))
                    .contains(key);
        }
        engine.refused("TL003", "SELECT tally.create_projection('pg_catalog.odd', 'app.odd_def', '{id}')");
        engine.run(
                "SELECT tally.create_projection('app.odd', 'app.odd_def', '{id}'); SELECT tally.watch('app.odd', 'app.item', '{id}')");
        String rollup = "SELECT tally.create_rollup('app.lates', 'app.odd', '{late}', '{\"n\":\"count(*)\"}', '%s')";
        for (String filter :
                new String[] {"late >", "nothing", "late > 1", "id = ''x''", "late) --", "late; SELECT 1"}) {
            assertThat(engine.refused("TL018", rollup.formatted(filter))).contains("app.odd");
        }
        engine.run(rollup.formatted("late -- shown"));
        engine.refused("TL018", "SELECT tally.allow_function('app.odd', NULL)");
        engine.refused("TL018", "SELECT tally.write_back('app.odd', NULL, '{}')");
        assertThat(engine.refused("TL001", "SELECT tally.merge(NULL)")).contains("NULL");
        engine.run("SELECT tally.activate('app.odd')");
        engine.write("SELECT 1", "INSERT INTO app.item (id) VALUES (7001), (7002)");
    }
}
