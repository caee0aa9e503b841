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
        String definition = engine.text(
                "SELECT definition::oid FROM tally.derived_view WHERE (schema_name, relation_name) = ('app', 'fact')");
        engine.run("INSERT INTO app.item VALUES (1, 1); SET ROLE countersink_reader");
        assertThat(engine.number("SELECT count(*) FROM tally.explain(%s::regclass, '{id}')".formatted(definition)))
                .isOne();
        engine.run(
                "RESET ROLE; CREATE SCHEMA closed; CREATE VIEW closed.item_def AS SELECT id, grp FROM app.item; SET ROLE countersink_reader");
        assertThat(engine.number("SELECT count(*) FROM tally.explain('closed.item_def', '{id}')"))
                .isOne();
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
                RESET ROLE; GRANT USAGE ON SCHEMA app TO countersink_operator; SET ROLE countersink_operator;  -- without it, a path leads nowhere
                SET search_path = app; SELECT tally.merge('fact'), tally.refresh('fact'), tally.verify('fact'), tally.repair('fact'), tally.rebuild('fact'), tally.pause('fact');
                SELECT tally.resume('fact'), tally.schedule('fact', '{"priority":1}'), tally.exists('fact'), tally.views('fact'); RESET search_path;
                RESET ROLE; REVOKE USAGE ON SCHEMA app FROM countersink_operator; SET ROLE countersink_operator
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
    void aDeclarersCodeRunsWithTheDeclarersRightsOnly() {
        engine.run("""
                DO 'BEGIN CREATE ROLE app_team NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END';
                GRANT countersink_owner TO app_team; CREATE SCHEMA team AUTHORIZATION app_team; SET ROLE app_team;
                CREATE TABLE team.trace (who name); GRANT INSERT ON team.trace TO PUBLIC;
                CREATE TABLE team.t (id int PRIMARY KEY, v int); INSERT INTO team.t VALUES (1, 1), (2, 2);
                CREATE FUNCTION team.note(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO team.trace VALUES (current_user); RETURN $1; END';
                CREATE VIEW team.f_def AS SELECT id, team.note(v) AS v FROM team.t; CREATE VIEW team.f_def2 AS SELECT id, team.note(v) + 1 AS v FROM team.t;
                SELECT tally.create_projection('team.f', 'team.f_def', '{id}'); SELECT tally.watch('team.f', 'team.t', '{id}');
                SELECT tally.allow_function('team.f', 'team.note(int)');
                SELECT tally.create_rollup('team.r', 'team.f', '{v}', '{"n":"count(*)","hi":"max(id)"}', 'team.note(v) > 0'); SELECT tally.activate('team.f');
                CREATE MATERIALIZED VIEW team.m AS SELECT count(*) AS n FROM team.t; CREATE UNIQUE INDEX ON team.m (n);
                SELECT tally.create_snapshot('team.m'); SELECT tally.activate('team.m'); RESET ROLE;
                SELECT tally.refresh('team.f'); SELECT tally.verify('team.f'); SELECT tally.rebuild('team.f'); SELECT tally.merge('team.f');
                UPDATE team.r_state SET cell_rows = 7; SELECT tally.repair('team.f'); SELECT tally.verify('team.f', 0.5);
                SELECT tally.refresh('team.m'); SELECT tally.verify('team.m');
                UPDATE tally.derived_view SET generated_by = 'an older engine' WHERE schema_name = 'team'; SELECT tally.regenerate();
                UPDATE team.t SET v = v + 1; SELECT tally.refresh('team.f');
                SET ROLE app_team; SELECT tally.redefine('team.f', 'team.f_def2'); RESET ROLE; SELECT tally.refresh('team.f'); SELECT tally.refresh('team.f')""");
        assertThat(engine.text("SELECT string_agg(DISTINCT who::text, ' ') FROM team.trace"))
                .isEqualTo("app_team");
        assertThat(engine.text("""
                SELECT coalesce(string_agg(what, ' '), 'the declarer''s') FROM (
                    SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'team'::regnamespace AND proowner <> 'app_team'::regrole
                    UNION ALL SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'team'::regnamespace AND relowner <> 'app_team'::regrole) x(what)""")).isEqualTo("the declarer's");
    }

    @Test
    void nothingIsGrantedToPublicButWhatAnswersTheLiveViewsAlone() {
        assertThat(engine.text("""
                SELECT string_agg(oid::regprocedure::text, ', ' ORDER BY oid) FROM pg_proc p
                WHERE (pronamespace = 'tally'::regnamespace OR pronamespace = 'app'::regnamespace)
                  AND (proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee = 0))""")).isEqualTo("app.fact_live_rows(uuid,regclass), app.sums_live_rows(uuid,regclass)");
        assertThat(engine.number("""
                SELECT count(*) FROM pg_class c, aclexplode(c.relacl) a
                WHERE a.grantee = 0 AND c.relnamespace IN ('tally'::regnamespace, 'app'::regnamespace)""")).isZero();
    }

    @Test
    void selectOnALiveViewIsAllThatItsReaderNeedsAndAllThatHelps() {
        engine.run("""
                DO 'BEGIN CREATE ROLE app_reader NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END';
                DO 'BEGIN CREATE ROLE app_guest NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END';
                GRANT USAGE ON SCHEMA app TO app_reader, app_guest; GRANT SELECT ON app.fact_live, app.sums_live TO app_reader;
                INSERT INTO app.item VALUES (1, 1), (2, 1); SELECT tally.refresh('app.fact');
                GRANT CREATE ON SCHEMA app TO app_reader; SET ROLE app_reader;
                CREATE VIEW app.on_top AS SELECT f.id, s.n FROM app.fact_live f JOIN app.sums_live s USING (grp);
                GRANT SELECT ON app.on_top TO app_guest; RESET ROLE;
                REVOKE CREATE ON SCHEMA app FROM app_reader""");
        for (String change : new String[] {
            "SELECT 1",
            "INSERT INTO app.item VALUES (3, 1)",
            "SELECT tally.rebuild('app.fact')",
            "SELECT tally.merge('app.fact', 1)"
        }) {
            engine.run(change + "; SET ROLE app_reader");
            long rows = engine.number("SELECT count(*) FROM app.fact_live");
            assertThat(engine.number("SELECT n FROM app.sums_live"))
                    .as(change)
                    .isEqualTo(rows)
                    .isGreaterThan(1);
            engine.refused(DENIED, "SELECT * FROM app.fact");
            engine.refused(DENIED, "SELECT app.fact_live_at(1)");
            engine.refused(DENIED, "SELECT secret FROM tally.live_key");
            engine.run("SET ROLE app_guest");
            assertThat(engine.number("SELECT count(*) FROM app.on_top WHERE n = " + rows))
                    .as(change)
                    .isEqualTo(rows);
            engine.refused(DENIED, "SELECT * FROM app.fact_live");
            for (String call : new String[] {
                "app.fact_live_rows(NULL, NULL)",
                "app.fact_live_rows(gen_random_uuid(), 'app.item_def')",
                "app.sums_live_rows(NULL, 'app.item_def')",
                "app.sums_live_rows('00000000-0000-0000-0000-000000000000', 'app.item_def')"
            }) {
                assertThat(engine.refused(DENIED, "SELECT * FROM " + call)).contains("answers nobody but the view");
            }
            engine.run("RESET ROLE");
        }
    }

    @Test
    void aReaderMayBeGivenTheFunctionByKeyAlone() {
        engine.run("""
                DO 'BEGIN CREATE ROLE app_looker NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END';
                GRANT USAGE ON SCHEMA app TO app_looker; GRANT EXECUTE ON FUNCTION app.sums_live_at(int) TO app_looker;
                INSERT INTO app.item VALUES (1, 1), (2, 1); SET ROLE app_looker""");
        assertThat(engine.number("SELECT n FROM app.sums_live_at(1)")).isEqualTo(2);
        engine.refused(DENIED, "SELECT * FROM app.sums_live");
    }

    @Test
    void functionsThatRunAsTheirOwnerHaveAFixedSearchPath() {
        assertThat(engine.text("""
                SELECT coalesce(string_agg(oid::regprocedure::text, ', '), '-') FROM pg_proc p
                WHERE prosecdef AND NOT EXISTS (SELECT FROM unnest(proconfig) c WHERE c LIKE 'search_path=%')""")).isEqualTo("-");
    }
}
