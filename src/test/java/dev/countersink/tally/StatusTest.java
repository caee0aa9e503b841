package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.countersink.testing.Sql;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What tally.status takes: delta tables are counted once a projection, and only that of the one that is asked for. */
class StatusTest {
    private static final int PROJECTIONS = 4;
    private static final String CALLS =
            "SELECT coalesce(sum(calls), 0) FROM pg_stat_xact_user_functions WHERE funcname IN ('backlog_of', 'lost_under')";

    private final Engine engine = new Engine();

    @BeforeEach
    void declare() {
        engine.run("CREATE TABLE app.t (id int PRIMARY KEY, v int)");
        for (int n = 1; n <= PROJECTIONS; n++) {
            engine.run("""
                    CREATE VIEW app.f%1$d_def AS SELECT id, v FROM app.t;
                    SELECT tally.create_projection('app.f%1$d', 'app.f%1$d_def', '{id}'); SELECT tally.watch('app.f%1$d', 'app.t');
                    SELECT tally.create_rollup('app.r%1$d', 'app.f%1$d', '{v}', '{"n":"count(*)","d":"count(distinct id)"}');
                    SELECT tally.create_rollup('app.s%1$d', 'app.f%1$d', '{}', '{"n":"count(*)"}');
                    SELECT tally.activate('app.f%1$d'); SELECT tally.refresh('app.f%1$d')""".formatted(n));
        }
        engine.run("INSERT INTO app.t SELECT n, n % 3 FROM generate_series(1, 5) n");
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void eachProjectionIsLookedAtOnceAndOfOneViewThatAlone(boolean analyzed) {
        if (analyzed) {
            engine.run("ANALYZE");
        }
        long roots = engine.number("SELECT count(*) FROM tally.derived_view WHERE root_id IS NULL");
        assertThat(calls("SELECT sum(length(s::text)) FROM tally.status s")).isEqualTo(2 * roots);
        assertThat(calls("SELECT sum(length(s::text)) FROM tally.views() s")).isEqualTo(2 * roots);
        for (String name : new String[] {"app.f3", "app.r3"}) {
            assertThat(calls("SELECT sum(length(s::text)) FROM tally.status s WHERE name = '" + name + "'"))
                    .isEqualTo(2);
            assertThat(calls("SELECT sum(length(s::text)) FROM tally.views('" + name + "') s"))
                    .isEqualTo(2);
        }
    }

    @Test
    void aRollupHasWhatIsPendingForItsProjectionWhetherAskedAloneOrWithAll() {
        for (String rows : new String[] {
            "tally.views()",
            "tally.status",
            "(SELECT v.* FROM tally.due() d, tally.views(d.name) v UNION ALL"
                    + " SELECT v.* FROM unnest('{app.r3,app.s3}'::text[]) n, tally.views(n) v)"
        }) {
            assertThat(engine.text(
                            "SELECT string_agg(concat_ws(' ', s.name, s.projection, s.pending, s.lag > 0), ',' ORDER BY name) FROM "
                                    + rows + " s WHERE name LIKE '%3'"))
                    .isEqualTo("app.f3 5 t,app.r3 app.f3 5 t,app.s3 app.f3 5 t");
        }
    }

    /** As during a swap: the catalog's rows are those of the snapshot, but a table can be gone. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "SELECT tally.drop('app.f3')",
                "DROP TABLE app.f3_delta CASCADE",
                "DROP TABLE app.t CASCADE",
                "DROP MATERIALIZED VIEW app.m",
                "DROP SCHEMA app CASCADE"
            })
    void whatWasDroppedSinceTheSnapshotStopsNobodyWhoLooks(String drop) throws Exception {
        engine.run(
                "CREATE MATERIALIZED VIEW app.m AS SELECT count(*) AS n FROM app.t; CREATE UNIQUE INDEX ON app.m (n); SELECT tally.create_snapshot('app.m'); SELECT tally.activate('app.m')");
        try (Sql reader = engine.session()) {
            reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class");
            engine.run(drop);
            for (String look : new String[] {
                "SELECT sum(length(s::text)) FROM tally.status s",
                "SELECT sum(length(h::text)) FROM tally.health h",
                "SELECT sum(length(v::text)) FROM tally.views() v",
                "SELECT sum(length(v::text)) FROM tally.views('app.f3') v",
                "SELECT sum(length(d::text)) FROM tally.due() d",
                "SELECT count(*) FROM tally.ready('{app.f1,app.f3,app.m}')",
                "SELECT count(*) FROM tally.explain('app.f3')"
            }) {
                reader.run(look);
            }
            for (String call : new String[] {"SELECT * FROM tally.verify('app.f3')", "SELECT tally.repair('app.f3')"}) {
                reader.run("SAVEPOINT before");
                Throwable refused = catchThrowable(() -> reader.run(call));
                if (refused != null) { // what it reads is gone
                    assertThat(refused)
                            .as(call)
                            .rootCause()
                            .hasMessageMatching(
                                    "(?s)ERROR: (app.f3, or something that it is made of, was dropped after|could not serialize).*");
                }
                reader.run("ROLLBACK TO before");
            }
        }
    }

    /** How often the two functions are called that read delta tables and the catalog. */
    private long calls(String query) {
        engine.run("SET track_functions = 'all'; BEGIN");
        long before = engine.number(CALLS); // it has the calls before this transaction too, until they are told
        engine.number(query);
        long after = engine.number(CALLS);
        engine.run("ROLLBACK");
        return after - before;
    }
}
