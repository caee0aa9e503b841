package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Session;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.util.PSQLException;

/** Whatever search_path the caller has, the engine runs nothing that it leads to, and speaks in sentences of its own. */
class HostilePathTest {
    private static final String TABLES = """
            CREATE TABLE app.item (id int PRIMARY KEY, grp int, v text); CREATE INDEX ON app.item (grp);
            CREATE TABLE app.grp (id int PRIMARY KEY, name text, n bigint);
            INSERT INTO app.item SELECT i, i % 3, 'x' || i FROM generate_series(1, 20) i; INSERT INTO app.grp SELECT i, 'g' || i FROM generate_series(0, 2) i;
            CREATE VIEW app.item_def AS SELECT i.id, i.grp, i.v, g.name FROM app.item i JOIN app.grp g ON g.id = i.grp;
            CREATE VIEW app.item_def2 AS SELECT i.id, i.grp, i.v || '!' AS v, g.name FROM app.item i JOIN app.grp g ON g.id = i.grp;
            CREATE VIEW app.by_grp_def AS SELECT grp, count(*) AS n, sum(id) AS s FROM app.item GROUP BY grp;
            CREATE MATERIALIZED VIEW app.snap AS SELECT count(*) AS n FROM app.item; CREATE UNIQUE INDEX ON app.snap (n)""";

    /** Every function that users call, in an order that works; the user's own text names its operators in full. */
    private static final String CALLS = """
            tally.explain('app.item_def'::pg_catalog.regclass)
            tally.explain('app.item_def'::pg_catalog.text)
            tally.explain('item_def'::pg_catalog.text)
            tally.explain_view('app.item_def', '{id}')
            tally.keep_statements('app.item_def')
            tally.keep('app.item_kept', 'app.item_def', '{id}')
            tally.keep('app.by_grp', 'app.by_grp_def')
            tally.keep('bare', 'app.item_def', '{id}')
            tally.create_projection('app.hand', 'app.item_def', '{id}')
            tally.watch('app.hand', 'app.item')
            tally.watch('app.hand', 'app.grp', '{id}', 'SELECT i.id FROM app.item i JOIN changed c ON i.grp OPERATOR(pg_catalog.=) c.id')
            tally.watch('app.hand', 'app.grp')
            tally.assume_static('app.hand', 'app.item')
            tally.allow_function('app.hand', 'pg_catalog.now()')
            tally.create_rollup('app.sums', 'app.hand', '{grp}', '{"n":"count(*)","hi":"max(v)","d":"count(distinct name)","a":"avg(id)"}', 'id OPERATOR(pg_catalog.>) 0')
            tally.activate('app.hand')
            tally.explain('app.hand'::pg_catalog.text)
            tally.create_snapshot('app.snap')
            tally.activate('app.snap')
            tally.merge('app.hand')
            tally.merge('hand')
            tally.verify('sums')
            tally.views('hand')
            tally.exists('hand')
            tally.refresh('app.item_kept')
            tally.refresh('app.by_grp')
            tally.refresh('app.snap')
            tally.split('app.by_grp2', 'app.by_grp_def')
            tally.rehearse('app.item_kept', 2)
            tally.rehearse('app.item_kept', 'DELETE FROM app.item')
            tally.write_back('app.by_grp', 'app.grp', '{"n":"n"}')
            app.item_kept_live
            app.sums_live
            app.by_grp_live
            app.by_grp_live_at(1)
            tally.schedule('app.hand', '{"priority":1}')
            tally.pause('app.hand')
            tally.resume('app.hand')
            tally.verify('app.hand')
            tally.verify('app.by_grp')
            tally.repair('app.hand')
            tally.rebuild('app.hand')
            tally.heal('app.hand')
            tally.refresh('app.hand')
            tally.refresh('app.by_grp')
            tally.redefine('app.item_kept', 'app.item_def2')
            tally.refresh('app.item_kept')
            tally.refresh('app.item_kept')
            tally.status
            tally.health
            tally.views()
            tally.due()
            tally.exists('app.hand')
            tally.token()
            tally.wait_for('app.hand', '3'::pg_catalog.xid8, '1 ms'::pg_catalog.interval)
            tally.guard()
            tally.unguard()
            tally.regenerate()
            tally.drop('app.hand')
            tally.drop('app.by_grp')
            tally.drop('app.by_grp2')
            tally.drop('app.item_kept')
            tally.drop('app.snap')""";

    private final Engine engine = new Engine();

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @ParameterizedTest
    @ValueSource(strings = {"evil, pg_catalog", "''", "pg_temp, evil", "evil", "evil, app, pg_temp, pg_catalog"})
    void nothingOfTheCallersSearchPathRuns(String path) throws Exception {
        Session.psql(engine.db(), Path.of("sql", "tests", "hostile", "evil.sql"));
        engine.run(TABLES);
        engine.run("SET search_path = " + path);
        List<String> refused = new ArrayList<>();
        for (String call : CALLS.lines().toList()) {
            engine.run("UPDATE app.item SET v = 'y' WHERE id OPERATOR(pg_catalog.=) 7");
            refused.addAll(said(call));
        }
        engine.run("RESET search_path");
        assertThat(engine.text("SELECT is_called FROM evil.ran")).isEqualTo("f");
        assertThat(refused).allMatch(sentence -> sentence.startsWith("TL") && sentence.endsWith("."));
        assertThat(
                        engine.number(
                                "SELECT count(*) FROM tally.derived_view WHERE relation_name NOT LIKE '%bare' AND schema_name <> 'results'"))
                .isZero();
        engine.run("SET search_path = evil, pg_catalog; SELECT pi(); RESET search_path");
        assertThat(engine.text("SELECT is_called FROM evil.ran"))
                .as("the trap works")
                .isEqualTo("t");
    }

    @Test
    void backslashesMeanTheSameWhateverTheSessionsStringsAre() throws Exception {
        engine.run(TABLES);
        engine.run("SET standard_conforming_strings = off; SET escape_string_warning = off");
        engine.run("UPDATE app.item SET v = chr(92) || 'd' || id WHERE id % 2 = 0");
        engine.run("""
                SELECT tally.create_projection('app.hand', 'app.item_def', '{id}'); SELECT tally.watch('app.hand', 'app.item'); SELECT tally.watch('app.hand', 'app.grp');
                SELECT tally.create_rollup('app.sums', 'app.hand', '{grp}', '{"n":"count(*)","hi":"max(v)"}', 'v ~ ''^x' || chr(92) || 'd+$'' OR v = ''' || chr(92) || 'd4''');
                SELECT tally.activate('app.hand'); SELECT * FROM tally.explain('app.hand'); SELECT tally.keep('app.kept', 'app.item_def', '{id}')""");
        assertThat(engine.text("SELECT string_agg(n::text, ' ' ORDER BY grp) FROM app.sums_def"))
                .isEqualTo("3 5 3");
        for (String setting : new String[] {"off", "on"}) {
            engine.run("SET standard_conforming_strings = " + setting);
            engine.write("UPDATE app.item SET v = v || '1' WHERE id < 5", "UPDATE app.grp SET name = name || '1'");
            assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok AND view LIKE 'app.%'"))
                    .isZero();
        }
        engine.run("SET standard_conforming_strings = off; SELECT tally.redefine('app.kept', 'app.item_def2')");
        engine.run("SELECT count(*) FROM tally.rehearse('app.hand', 1)");
        engine.write("SELECT 1", "UPDATE app.item SET v = v || '2'");
        engine.run("SELECT tally.heal('app.hand'); SELECT tally.drop('app.hand'); SELECT tally.drop('app.kept')");
    }

    /** What a call is refused with. */
    private List<String> said(String call) {
        try {
            engine.run("SELECT pg_catalog.count(*) FROM " + call);
            return List.of();
        } catch (IllegalStateException e) {
            PSQLException error = (PSQLException) e.getCause();
            return List.of(
                    error.getSQLState() + " " + error.getServerErrorMessage().getMessage());
        }
    }
}
