package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class RightsTest {
    private static final String DENIED = "42501";
    private final Engine engine = new Engine();

    RightsTest() {
        engine.run("""
                DO 'BEGIN CREATE ROLE app_writer NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END';
                CREATE TABLE app.item (id int PRIMARY KEY, grp int);
                CREATE VIEW app.item_def AS SELECT * FROM app.item;
                SELECT tally.create_projection('app.fact', 'app.item_def', '{id}');
                SELECT tally.watch('app.fact', 'app.item', '{id}');
                SELECT tally.create_rollup('app.sums', 'app.fact', '{grp}', '{"n":"count(*)"}');
                SELECT tally.activate('app.fact');
                GRANT USAGE ON SCHEMA app TO app_writer;
                GRANT ALL ON app.item TO app_writer;
                """);
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void aWriterNeedsNoRightOnWhatTheEngineKeeps() {
        engine.run("SET ROLE app_writer");
        engine.run(
                "INSERT INTO app.item VALUES (1, 1), (2, 1); UPDATE app.item SET grp = 2; DELETE FROM app.item WHERE id = 1");
        engine.refused(DENIED, "SELECT * FROM app.fact_delta");
        engine.refused(DENIED, "SELECT * FROM app.fact");
        engine.refused(DENIED, "SELECT tally.merge('app.fact')");
        engine.refused(DENIED, "SELECT app.fact_pending()");
        engine.run("RESET ROLE");
        engine.write("SELECT 1");
    }

    @Test
    void aReaderReadsStoredLiveAndOracleAndNothingElse() {
        engine.run("INSERT INTO app.item VALUES (1, 1); SET ROLE countersink_reader");
        assertThat(engine.number("SELECT count(*) FROM app.fact")).isZero();
        assertThat(engine.number("SELECT count(*) FROM app.fact_live")).isOne();
        assertThat(engine.number("SELECT n FROM app.sums_live")).isOne();
        assertThat(engine.number("SELECT n FROM app.sums_def")).isOne();
        assertThat(engine.number("SELECT pending FROM tally.status WHERE name = 'app.sums'"))
                .isPositive();
        for (String denied : new String[] {
            "SELECT tally.merge('app.fact')",
            "SELECT tally.refresh('app.fact')",
            "SELECT tally.pause('app.fact')",
            "SELECT tally.drop('app.fact')",
            "SELECT tally.verify('app.fact')",
            "SELECT * FROM app.fact_delta",
            "SELECT * FROM app.item",
            "UPDATE app.fact SET grp = 1",
            "DELETE FROM app.sums",
            "UPDATE tally.derived_view SET state = 'paused'",
        }) {
            engine.refused(DENIED, denied);
        }
    }

    @Test
    void anOperatorLooksAfterViewsButDeclaresNone() {
        engine.run("INSERT INTO app.item VALUES (1, 1); SET ROLE countersink_operator");
        engine.run("""
                SELECT tally.merge('app.fact'); SELECT tally.refresh('app.fact'); SELECT tally.verify('app.fact'); SELECT tally.repair('app.fact');
                SELECT tally.rebuild('app.fact'); SELECT tally.pause('app.fact'); SELECT tally.resume('app.fact');
                SELECT tally.schedule('app.fact', '{"priority":1}');
                SELECT * FROM tally.status; SELECT * FROM tally.health; SELECT * FROM tally.due(); SELECT * FROM tally.views();
                """);
        for (String denied : new String[] {
            "SELECT tally.drop('app.fact')",
            "SELECT tally.activate('app.fact')",
            "SELECT tally.create_projection('app.x', 'app.item_def', '{id}')",
            "SELECT app.fact_consume(1)",
            "DELETE FROM tally.quarantine",
            "SELECT * FROM app.fact_delta",
        }) {
            engine.refused(DENIED, denied);
        }
    }

    @Test
    void nothingIsGrantedToPublic() {
        assertThat(engine.text("""
                SELECT coalesce(string_agg(oid::regprocedure::text, ', '), '-') FROM pg_proc p
                WHERE (pronamespace = 'tally'::regnamespace OR pronamespace = 'app'::regnamespace)
                  AND (proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee = 0))""")).isEqualTo("-");
        assertThat(engine.number("""
                SELECT count(*) FROM pg_class c, aclexplode(c.relacl) a
                WHERE a.grantee = 0 AND c.relnamespace IN ('tally'::regnamespace, 'app'::regnamespace)""")).isZero();
    }

    @Test
    void functionsThatRunAsTheirOwnerHaveAFixedSearchPath() {
        assertThat(engine.text("""
                SELECT coalesce(string_agg(oid::regprocedure::text, ', '), '-') FROM pg_proc p
                WHERE prosecdef AND NOT EXISTS (SELECT FROM unnest(proconfig) c WHERE c LIKE 'search_path=%')""")).isEqualTo("-");
    }
}
