package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A declarer owns what was made for his view, and may change it: nothing of his runs with the rights of who merges. */
class LentRightsTest {
    private final Engine engine = new Engine();

    @BeforeEach
    void declare() {
        engine.run("""
                DO $$ BEGIN IF to_regrole('lent_team') IS NULL THEN CREATE ROLE lent_team; END IF; IF to_regrole('lent_other') IS NULL THEN CREATE ROLE lent_other; END IF; END $$;
                GRANT countersink_owner TO lent_team; CREATE SCHEMA a AUTHORIZATION lent_team; SET ROLE lent_team;
                CREATE TABLE a.trace (who name); GRANT INSERT ON a.trace TO PUBLIC;
                CREATE TABLE a.t (id int PRIMARY KEY, v int); INSERT INTO a.t VALUES (1, 1), (2, 2);
                CREATE VIEW a.f_def AS SELECT id, v FROM a.t;
                SELECT tally.keep('a.f', 'a.f_def', '{id}');
                CREATE FUNCTION a.spy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO a.trace VALUES (current_user); RETURN NULL; END';
                RESET ROLE; SELECT tally.refresh('a.f')""");
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void aFunctionThatWouldRunAsWhoCallsItIsNotCalled() {
        for (String suffix :
                new String[] {"consume(integer)", "verify(double precision)", "repair()", "mend()", "enqueue()"}) {
            engine.run("ALTER FUNCTION a.f_%s SECURITY INVOKER; UPDATE a.t SET v = v + 1".formatted(suffix));
            String call = suffix.startsWith("consume")
                    ? "DO 'BEGIN PERFORM tally.fail(''TL023'', m.error) FROM tally.merge(''a.f'') m; END'"
                    : suffix.startsWith("verify")
                            ? "SELECT tally.verify('a.f')"
                            : suffix.startsWith("repair")
                                    ? "SELECT tally.repair('a.f')"
                                    : "SELECT tally.rebuild('a.f')";
            assertThat(engine.refused("TL023", call)).contains("is not as the engine made it");
            engine.run("SELECT tally.regenerate()");
            engine.run("ALTER FUNCTION a.f_%s SECURITY DEFINER; SELECT tally.heal('a.f')".formatted(suffix));
            engine.write("UPDATE a.t SET v = v + 1");
        }
    }

    @Test
    void triggersOnWhatIsKeptRunAsTheDeclarer() {
        engine.run("""
                CREATE TRIGGER spy AFTER INSERT OR UPDATE OR DELETE ON a.f FOR EACH STATEMENT EXECUTE FUNCTION a.spy();
                CREATE TRIGGER spy AFTER INSERT OR UPDATE OR DELETE ON a.f_delta FOR EACH STATEMENT EXECUTE FUNCTION a.spy();
                UPDATE a.t SET v = 5; SELECT tally.merge('a.f'); SELECT tally.rebuild('a.f'); SELECT tally.refresh('a.f'); SELECT tally.repair('a.f'); SELECT tally.heal('a.f');
                SELECT tally.guard(); ALTER TABLE a.t RENAME v TO w; ALTER TABLE a.f RENAME TO g; CREATE OR REPLACE VIEW a.f_def AS SELECT id, w + 1 AS v FROM a.t; SELECT tally.unguard();
                SELECT tally.refresh('a.g'); SELECT tally.merge('a.g')""");
        assertThat(engine.text("SELECT string_agg(DISTINCT who::text, ' ') FROM a.trace"))
                .isEqualTo("lent_team");
        engine.storedAgrees("all that");
    }

    @Test
    void theCatalogTakesNoTriggers() {
        engine.run("SET ROLE lent_team");
        for (String table : new String[] {"derived_view", "merge_state", "fingerprint", "source"}) {
            engine.refused(
                    "42501",
                    "CREATE TRIGGER spy AFTER UPDATE ON tally.%s FOR EACH STATEMENT EXECUTE FUNCTION a.spy()"
                            .formatted(table));
        }
        engine.run("RESET ROLE");
    }

    @Test
    void aStrangersAggregateOfTheSameNameIsNotTaken() {
        engine.run("""
                CREATE SCHEMA types; CREATE TYPE types.mood AS ENUM ('sad', 'ok', 'fine'); GRANT USAGE, CREATE ON SCHEMA types TO lent_other; SET ROLE lent_other;
                CREATE FUNCTION types.step(types.mood, types.mood) RETURNS types.mood LANGUAGE plpgsql AS 'BEGIN RETURN ''sad''; END';
                CREATE AGGREGATE types.max(types.mood) (SFUNC = types.step, STYPE = types.mood); RESET ROLE;
                CREATE TABLE a.m (id int PRIMARY KEY, g int, k types.mood); INSERT INTO a.m VALUES (1, 1, 'sad'), (2, 1, 'ok'), (3, 2, 'ok');
                CREATE VIEW a.m_def AS SELECT id, g, k FROM a.m; SELECT tally.keep('a.mf', 'a.m_def', '{id}');
                SELECT tally.create_rollup('a.mr', 'a.mf', '{g}', '{"m":"max(k)"}'); SELECT tally.refresh('a.mf')""");
        engine.write("UPDATE a.m SET k = 'fine' WHERE id = 3", "DELETE FROM a.m WHERE id = 2");
        assertThat(engine.text("SELECT string_agg(g || ' ' || m, ', ' ORDER BY g) FROM a.mr"))
                .isEqualTo("1 sad, 2 fine");
    }

    @Test
    void writersGoOnWhereTheOwnerMayNotUseTheSchemaAndEveryKeyIsSweptAfterwards() {
        engine.run(
                "ALTER SCHEMA a OWNER TO lent_other; INSERT INTO a.t VALUES (3, 3); UPDATE a.t SET v = 9 WHERE id = 1; DELETE FROM a.t WHERE id = 2");
        assertThat(engine.text("SELECT error FROM tally.merge('a.f')"))
                .isEqualTo(
                        "lent_team, to whom a.f belongs, may not use schema a, so nothing that is written is logged for it.");
        assertThat(engine.text("SELECT error_sqlstate FROM tally.status WHERE name = 'a.f'"))
                .isEqualTo("TL023");
        engine.run("INSERT INTO a.t VALUES (4, 4); GRANT USAGE ON SCHEMA a TO lent_team; SELECT tally.refresh('a.f')");
        engine.storedAgrees("the right is back");
        engine.write("UPDATE a.t SET v = 10");
    }

    @Test
    void writersGoOnWhateverTypeAWatchedColumnGets() {
        engine.run("""
                CREATE TABLE a.w (id int PRIMARY KEY, d date, b boolean, at timestamptz, i interval, f float8, j jsonb);
                INSERT INTO a.w SELECT g, '2024-01-01', true, '2024-01-01 12:00+00', '1 day -2 hours', 1.0 / 3, '{"a":1}' FROM generate_series(1, 3) g;
                CREATE VIEW a.w_def AS SELECT t.id, (SELECT count(*) FROM a.w WHERE w.id = t.id) AS n FROM a.t;
                SELECT tally.create_projection('a.wf', 'a.w_def', '{id}'); SELECT tally.watch('a.wf', 'a.t', '{id}');
                SELECT tally.watch('a.wf', 'a.w', '{id,d,b,at,i,f,j}', 'SELECT id FROM changed'); SELECT tally.activate('a.wf');
                SET datestyle = 'ISO, DMY'; SET timezone = 'Asia/Tokyo'; SET extra_float_digits = 0; SET intervalstyle = 'sql_standard'""");
        engine.write(
                "UPDATE a.w SET f = 2.0 / 3, at = at + interval '1 hour', i = '1 day 3 hours', d = '2024-02-03' WHERE id = 1",
                "DELETE FROM a.w WHERE id = 3");
        for (String change : new String[] {
            "ALTER TABLE a.w ALTER d TYPE int USING extract(year FROM d)::int",
            "ALTER TABLE a.w ALTER b TYPE date USING '2024-01-01'",
            "ALTER TABLE a.w ALTER j TYPE boolean USING true",
            "ALTER TABLE a.w ALTER i TYPE point USING point(1, 2)"
        }) {
            engine.run(change
                    + "; UPDATE a.w SET f = f + 1; DELETE FROM a.w WHERE id = 2; INSERT INTO a.w (id) VALUES (2)");
            engine.write("SELECT 1");
        }
    }
}
