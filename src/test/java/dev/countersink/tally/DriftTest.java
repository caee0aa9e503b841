package dev.countersink.tally;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Sql;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DriftTest {
    private final Engine engine = new Engine();

    DriftTest() {
        engine.run("""
                CREATE TABLE app.item (id int PRIMARY KEY, grp int, v int);
                CREATE VIEW app.item_def AS SELECT id, grp, v FROM app.item;
                SELECT tally.create_projection('app.fact', 'app.item_def', '{id}');
                SELECT tally.watch('app.fact', 'app.item', '{id}');
                SELECT tally.create_rollup('app.sums', 'app.fact', '{grp}', '{"n":"count(*)","v":"sum(v)","hi":"max(v)","d":"count(distinct v)"}');
                INSERT INTO app.item SELECT i, nullif(i % 4, 0), i FROM generate_series(1, 40) i;
                SELECT tally.activate('app.fact');
                """);
        engine.write("SELECT 1");
    }

    @AfterEach
    void close() throws Exception {
        engine.close();
    }

    @Test
    void whatIsCorruptedIsFoundAndMended() {
        for (String damage : new String[] {
            "UPDATE app.fact SET v = v + 1 WHERE id = 3",
            "DELETE FROM app.fact WHERE id IN (4, 5)",
            "INSERT INTO app.fact VALUES (999, 1, 1)",
            "UPDATE app.sums SET n = n + 1 WHERE grp = 1",
            "UPDATE app.sums SET hi = NULL WHERE grp IS NULL",
            "DELETE FROM app.sums WHERE grp = 2",
            "UPDATE app.sums_state SET sum_v = 0, n_v = 3 WHERE grp = 3",
            "DELETE FROM app.sums_by_1_state WHERE grp = 1",
            "UPDATE app.item SET v = -1 WHERE id = 8; DELETE FROM app.fact_delta",
            "UPDATE app.item SET grp = 2 WHERE id < 9; DELETE FROM app.fact_delta",
        }) {
            engine.run(damage);
            assertThat(engine.number("SELECT count(*) FROM tally.verify('app.fact')"))
                    .as("found: " + damage)
                    .isPositive();
            engine.run("SELECT tally.repair('app.fact'); SELECT tally.refresh('app.fact')");
            engine.storedAgrees(damage);
            engine.liveAgrees(damage);
        }
    }

    @Test
    void whatIsOnlyPendingIsNoFalseAlarm() {
        engine.run("UPDATE app.item SET v = v * 2, grp = 1; DELETE FROM app.item WHERE id = 7");
        assertThat(engine.number("SELECT count(*) FROM tally.verify('app.fact')"))
                .isZero();
        assertThat(engine.number("SELECT count(*) FROM tally.verify('app.fact', 0.5)"))
                .isZero();
        engine.refused("TL018", "SELECT tally.verify('app.fact', 0)");
    }

    @Test
    void healthShowsATriggerThatDoesNotFire() {
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
        engine.run("ALTER TABLE app.item DISABLE TRIGGER ALL");
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok AND view = 'app.fact'"))
                .isEqualTo(4);
        engine.run(
                "UPDATE app.item SET v = 0 WHERE id = 1; SELECT tally.heal('app.fact'); SELECT tally.refresh('app.fact')");
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
        engine.storedAgrees("heal");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "RULE odd AS ON INSERT TO app.fact_delta DO INSTEAD NOTHING",
                "TRIGGER odd BEFORE INSERT ON app.fact_delta FOR EACH ROW EXECUTE FUNCTION app.left_out()"
            })
    void healthNamesWhatMayKeepChangesFromADeltaTable(String hook) {
        engine.run("""
                CREATE FUNCTION app.left_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
                CREATE %s; UPDATE app.item SET v = 77 WHERE id = 1""".formatted(hook));
        assertThat(engine.text("SELECT problem FROM tally.health WHERE NOT ok"))
                .contains("odd on app.fact_delta", "SELECT tally.rebuild('app.fact')");
        engine.run("DROP %s odd ON app.fact_delta; SELECT tally.rebuild('app.fact'); SELECT tally.refresh('app.fact')"
                .formatted(hook.split(" ")[0]));
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
        engine.storedAgrees("rebuilt");
    }

    @ParameterizedTest
    @ValueSource(strings = {"fact", "fact_delta", "sums", "sums_state", "sums_by_1_state"})
    void forcedRowLevelSecurityStopsMergesAndNoWriter(String table) {
        engine.run("""
                DO 'BEGIN CREATE ROLE drift_bound NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END';
                GRANT countersink_owner TO drift_bound; GRANT USAGE, CREATE ON SCHEMA app TO drift_bound;
                DO $$ DECLARE x regclass; BEGIN
                    FOR x IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'v') LOOP
                        EXECUTE format('ALTER TABLE %s OWNER TO drift_bound', x);
                    END LOOP;
                END $$;
                SELECT tally.heal('app.fact'); SELECT tally.refresh('app.fact')""");
        engine.run("ALTER TABLE app.%1$s ENABLE ROW LEVEL SECURITY; ALTER TABLE app.%1$s FORCE ROW LEVEL SECURITY"
                .formatted(table));
        engine.run("UPDATE app.item SET v = v + 1; DELETE FROM app.item WHERE id = 5; SELECT tally.merge('app.fact')");
        assertThat(engine.text("SELECT error_sqlstate FROM tally.status WHERE name = 'app.fact'"))
                .isEqualTo("TL023");
        assertThat(engine.text("SELECT string_agg(problem, ' ') FROM tally.health WHERE NOT ok"))
                .contains("ALTER TABLE app.%s NO FORCE ROW LEVEL SECURITY".formatted(table));
        engine.run(
                "ALTER TABLE app.%s NO FORCE ROW LEVEL SECURITY; SELECT tally.resume('app.fact'); SELECT tally.refresh('app.fact')"
                        .formatted(table));
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
        engine.storedAgrees("no longer forced");
        engine.run("REASSIGN OWNED BY drift_bound TO CURRENT_USER");
    }

    @Test
    void whatChangesOrAddsRowsOfADerivedTableIsTold() {
        engine.run("""
                CREATE FUNCTION app.doubled() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.v := NEW.v * 2; RETURN NEW; END';
                CREATE TRIGGER after_all AFTER UPDATE ON app.fact FOR EACH ROW EXECUTE FUNCTION app.doubled()""");
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
        engine.run("CREATE TRIGGER doubled BEFORE UPDATE ON app.fact FOR EACH ROW EXECUTE FUNCTION app.doubled()");
        assertThat(engine.text("SELECT problem FROM tally.health WHERE NOT ok")).contains("doubled on app.fact");
        engine.run("DROP TRIGGER doubled ON app.fact; CREATE TABLE app.old_fact () INHERITS (app.fact)");
        assertThat(engine.text("SELECT problem FROM tally.health WHERE NOT ok"))
                .contains("ALTER TABLE app.old_fact NO INHERIT app.fact");
    }

    @Test
    void whatSomebodyChangedBesideADerivedTableIsToldWithItsRemedy() {
        engine.run("DROP INDEX app.fact_id_idx; UPDATE app.item SET v = 0; SELECT tally.merge('app.fact')");
        assertThat(engine.text("SELECT problem FROM tally.health WHERE NOT ok"))
                .contains("CREATE UNIQUE INDEX ON app.fact (id) NULLS NOT DISTINCT");
        engine.run("""
                CREATE UNIQUE INDEX ON app.fact (id) NULLS NOT DISTINCT; SELECT tally.resume('app.fact'); SELECT tally.refresh('app.fact');
                ALTER TABLE app.fact RENAME COLUMN v TO w; UPDATE app.item SET v = 1; SELECT tally.merge('app.fact')""");
        assertThat(engine.text("SELECT problem FROM tally.health WHERE NOT ok"))
                .contains("app.fact has other columns (id, grp, w)");
        engine.run("""
                ALTER TABLE app.fact RENAME COLUMN w TO v; SELECT tally.resume('app.fact'); SELECT tally.refresh('app.fact');
                ALTER FUNCTION app.fact_log_1() SECURITY INVOKER""");
        assertThat(engine.text("SELECT problem FROM tally.health WHERE NOT ok"))
                .contains("fact_log_1", "tally.heal('app.fact')");
        engine.run("SELECT tally.heal('app.fact'); DROP FUNCTION app.fact_consume; SELECT tally.merge('app.fact')");
        assertThat(engine.text("SELECT problem FROM tally.health WHERE NOT ok"))
                .contains("app.fact_consume(integer)", "tally.heal('app.fact')");
        engine.run("SELECT tally.heal('app.fact'); SELECT tally.refresh('app.fact')");
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
        engine.storedAgrees("all mended");
        engine.run("""
                DO $$ BEGIN EXECUTE format('ALTER TRIGGER %I ON app.item RENAME TO other',
                    (SELECT tgname FROM pg_trigger WHERE tgrelid = 'app.item'::regclass AND tgname LIKE 'tally%update')); END $$;
                SELECT tally.drop('app.sums'); SELECT tally.drop('app.fact')""");
        assertThat(engine.number(
                        "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'app.item'::regclass AND NOT tgisinternal"))
                .isZero();
    }

    @Test
    void aDerivedTableThatGetsAnotherOwnerIsToldAndHealed() {
        engine.run("""
                DO 'BEGIN CREATE ROLE drift_owner NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END';
                REVOKE countersink_owner FROM drift_owner; GRANT USAGE, CREATE ON SCHEMA app TO drift_owner;
                ALTER TABLE app.fact OWNER TO drift_owner; UPDATE app.item SET v = 78 WHERE id = 1""");
        assertThat(engine.text("SELECT problem FROM tally.health WHERE NOT ok"))
                .contains("belongs to drift_owner", "tally.heal('app.fact')", "GRANT countersink_owner TO drift_owner");
        engine.refused("TL018", "SELECT tally.heal('app.fact')");
        engine.run("""
                GRANT countersink_owner TO drift_owner; GRANT SELECT ON ALL TABLES IN SCHEMA app TO drift_owner;
                SELECT tally.heal('app.fact'); SELECT tally.refresh('app.fact')""");
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
        engine.storedAgrees("healed");
        engine.run("REASSIGN OWNED BY drift_owner TO CURRENT_USER; REVOKE countersink_owner FROM drift_owner");
        engine.write("UPDATE app.item SET v = 79 WHERE id = 1");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "ALTER TABLE app.item DISABLE TRIGGER USER; {write}; ALTER TABLE app.item ENABLE TRIGGER USER",
                "BEGIN; ALTER TABLE app.item DISABLE TRIGGER ALL; {write}; ALTER TABLE app.item ENABLE TRIGGER ALL; COMMIT",
                "BEGIN; ALTER TABLE app.item DISABLE TRIGGER USER; SELECT tally.merge('app.fact'); {write}; ALTER TABLE app.item ENABLE TRIGGER USER; COMMIT",
                "ALTER TABLE app.item DISABLE TRIGGER USER; SELECT tally.refresh('app.fact'); {write}; ALTER TABLE app.item ENABLE TRIGGER USER",
                "DO $$ DECLARE t name; BEGIN FOR t IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'app.item'::regclass LOOP EXECUTE format('ALTER TABLE app.item ENABLE REPLICA TRIGGER %I', t); END LOOP; END $$; {write}; ALTER TABLE app.item ENABLE TRIGGER USER",
                "ALTER TABLE app.parted_1 DISABLE TRIGGER USER; {write}; ALTER TABLE app.parted_1 ENABLE TRIGGER USER",
                "ALTER TABLE app.item DISABLE TRIGGER USER; {write}; ALTER TABLE app.item ENABLE TRIGGER USER; SELECT tally.watch('app.fact', 'app.other', '{id}')",
                "ALTER TABLE app.parted DISABLE TRIGGER USER; ALTER TABLE app.parted_1 DISABLE TRIGGER USER; {write}; ALTER TABLE app.parted ENABLE TRIGGER USER; ALTER TABLE app.parted_1 ENABLE TRIGGER USER; CREATE TABLE app.parted_2 PARTITION OF app.parted FOR VALUES IN (2)",
            })
    void whatIsWrittenWhileTriggersAreDisabledIsComparedByTheNextMerge(String load) {
        engine.run("""
                CREATE TABLE app.other (id int PRIMARY KEY);
                CREATE TABLE app.parted (id int, p int, v int, PRIMARY KEY (id, p)) PARTITION BY LIST (p); CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES IN (1);
                INSERT INTO app.parted SELECT i, 1, i FROM generate_series(1, 9) i; CREATE VIEW app.parts_def AS SELECT id, p, v FROM app.parted; SELECT tally.keep('app.parts', 'app.parts_def');
                CREATE MATERIALIZED VIEW app.chart AS SELECT grp, count(*) AS n FROM app.item GROUP BY grp; CREATE UNIQUE INDEX ON app.chart (grp) NULLS NOT DISTINCT;
                SELECT tally.create_snapshot('app.chart'); SELECT tally.activate('app.chart')""");
        engine.write("SELECT 1");
        engine.run("SELECT tally.refresh('app.chart')");
        assertThat(engine.number("SELECT count(*) FROM tally.ready('{app.fact,app.parts}')"))
                .isZero();
        engine.run(
                load.replace(
                        "{write}",
                        "UPDATE app.item SET grp = 2, v = -v WHERE id < 9; DELETE FROM app.item WHERE id = 11; UPDATE app.parted_1 SET v = -v WHERE id < 4; DELETE FROM app.parted_1 WHERE id = 5"));
        String view = load.contains("parted") ? "app.parts" : "app.fact";
        assertThat(engine.text("SELECT string_agg(name, ' ') FROM tally.ready('{%s}') name".formatted(view)))
                .isEqualTo(view);
        if (!load.contains("tally.watch")) { // which compares every key itself
            assertThat(engine.text("SELECT string_agg(problem, ' ') FROM tally.health WHERE view = '%s' AND NOT ok"
                            .formatted(view)))
                    .contains("disabled or enabled");
        }
        engine.run("SELECT tally.refresh(name) FROM unnest('{app.fact,app.parts,app.chart}'::text[]) name");
        engine.storedAgrees(load);
        engine.liveAgrees(load);
        assertThat(
                        engine.number(
                                "SELECT count(*) FROM ((SELECT grp, count(*) FROM app.item GROUP BY grp) EXCEPT TABLE app.chart) x"))
                .isZero();
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
        // each of them sets its own triggers on a table to ENABLE ALWAYS, which the others look at once
        engine.write("SELECT 1");
        assertThat(engine.number("SELECT count(*) FROM tally.ready('{app.fact,app.parts}')"))
                .isZero();
    }

    @Test
    void whatASessionWithTheRoleOfAReplicaWritesIsFollowed() {
        keepParts();
        engine.run("""
                CREATE TABLE app.parted_3 PARTITION OF app.parted FOR VALUES IN (3); SELECT tally.refresh('app.parts')""");
        for (String write : new String[] {
            "UPDATE app.item SET grp = 2 WHERE id < 9; INSERT INTO app.item SELECT 2000, 1, 1; DELETE FROM app.item WHERE id = 10",
            "UPDATE app.parted SET p = 2 WHERE id < 3; UPDATE app.parted_2 SET v = 7",
            "MERGE INTO app.parted t USING (SELECT 4 AS id, 3 AS to_) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET p = s.to_",
            "TRUNCATE app.parted_1; TRUNCATE app.item"
        }) {
            engine.run("SET session_replication_role = replica; " + write);
            assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                    .as(write)
                    .isZero();
            engine.run("RESET session_replication_role");
            engine.write("SELECT 1");
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "ALTER TABLE app.item ENABLE TRIGGER ALL",
                "ALTER TABLE app.item DISABLE TRIGGER USER; ALTER TABLE app.item ENABLE TRIGGER USER",
                "DO $$ DECLARE t name; BEGIN FOR t IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'app.item'::regclass LOOP EXECUTE format('ALTER TABLE app.item ENABLE TRIGGER %I', t); END LOOP; END $$",
                "ALTER TABLE app.parted ENABLE TRIGGER ALL; ALTER TABLE app.parted_1 ENABLE TRIGGER ALL; ALTER TABLE app.parted_2 ENABLE TRIGGER ALL",
                "BEGIN; SELECT tally.heal('app.fact'); ALTER TABLE app.item ENABLE TRIGGER USER; COMMIT",
            })
    void triggersThatSomebodyEnabledFireInEverySessionAfterTheNextMerge(String enable) {
        String view = enable.contains("parted") ? "app.parts" : "app.fact";
        String write =
                "SET session_replication_role = replica; UPDATE app.item SET v = v + 1 WHERE id < 5; UPDATE app.parted_1 SET v = 9 WHERE id = 1; MERGE INTO app.parted t USING (SELECT 4 AS id, 2 AS to_) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET p = s.to_; RESET session_replication_role";
        keepParts();
        engine.run(enable);
        engine.run(write);
        assertThat(engine.text("SELECT string_agg(problem, ' ') FROM tally.health WHERE view = '%s' AND NOT ok"
                        .formatted(view)))
                .contains("the next merge sets them to ENABLE ALWAYS");
        assertThat(engine.text("SELECT string_agg(name, ' ') FROM tally.ready('{%s}') name".formatted(view)))
                .isEqualTo(view);
        engine.run("SELECT tally.refresh(name) FROM unnest('{app.fact,app.parts}'::text[]) name");
        engine.storedAgrees(enable);
        engine.run(write.replace("4 AS id", "5 AS id"));
        engine.liveAgrees(enable);
        engine.write("SELECT 1");
        assertThat(
                        engine.text(
                                "SELECT string_agg(DISTINCT tgenabled::text, '') FROM pg_trigger WHERE tgname ~ '^tally_\\d+_' AND tgrelid::regclass::text LIKE 'app.%'"))
                .isEqualTo("A");
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
        assertThat(engine.number("SELECT count(*) FROM tally.ready('{app.fact,app.parts}')"))
                .isZero();
    }

    private void keepParts() {
        engine.run("""
                CREATE TABLE app.parted (id int, p int, v int, PRIMARY KEY (id, p)) PARTITION BY LIST (p); CREATE TABLE app.parted_1 PARTITION OF app.parted FOR VALUES IN (1);
                CREATE TABLE app.parted_2 PARTITION OF app.parted FOR VALUES IN (2); INSERT INTO app.parted SELECT i, 1, i FROM generate_series(1, 9) i;
                CREATE VIEW app.parts_def AS SELECT id, p, v FROM app.parted; SELECT tally.keep('app.parts', 'app.parts_def')""");
        engine.write("SELECT 1");
    }

    /** An older engine made ordinary triggers and noted nothing of them. */
    @Test
    void triggersOfAnOlderEngineFireInEverySessionAfterTheFirstMerge() {
        keepParts();
        engine.run(
                "ALTER TABLE app.item ENABLE TRIGGER USER; ALTER TABLE app.parted ENABLE TRIGGER USER; ALTER TABLE app.parted_1 ENABLE TRIGGER USER; ALTER TABLE app.parted_2 ENABLE TRIGGER USER;"
                        + "UPDATE tally.fingerprint SET triggers = '{}', glance = ''");
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isEqualTo(4);
        for (String view : new String[] {"app.fact", "app.parts"}) {
            assertThat(engine.text("SELECT outcome || ' ' || consumed FROM tally.refresh('%s')".formatted(view)))
                    .as("nothing is swept for that")
                    .isEqualTo("merged 0");
        }
        engine.run(
                "SET session_replication_role = replica; DELETE FROM app.item WHERE id < 5; UPDATE app.parted SET v = 0; RESET session_replication_role");
        engine.write("SELECT 1");
        assertThat(engine.number("SELECT count(*) FROM tally.health WHERE NOT ok"))
                .isZero();
    }

    @Test
    void aTableThatIsWrittenKeepsItsTriggersUntilItsWriterIsDone() throws Exception {
        engine.run("ALTER TABLE app.item ENABLE TRIGGER ALL");
        String armed =
                "SELECT string_agg(DISTINCT tgenabled::text, '') FROM pg_trigger WHERE tgname ~ '^tally_' AND tgrelid = 'app.item'::regclass";
        try (Sql writer = engine.session()) {
            writer.run("BEGIN; UPDATE app.item SET v = 0 WHERE id = 1");
            engine.run("SELECT tally.refresh('app.fact')");
            assertThat(engine.text(armed)).isEqualTo("O");
            assertThat(engine.text(
                            "SELECT string_agg(problem, ' ') FROM tally.health WHERE NOT ok AND view = 'app.fact'"))
                    .contains("ENABLE ALWAYS");
            assertThat(engine.number("SELECT count(*) FROM tally.ready('{app.fact}')"))
                    .isOne();
            writer.run("SET LOCAL session_replication_role = replica; UPDATE app.item SET v = -5 WHERE id = 2; COMMIT");
        }
        engine.run("SELECT tally.refresh('app.fact')");
        assertThat(engine.text(armed)).isEqualTo("A");
        engine.storedAgrees("armed");
        // a session that reads the table in a cursor, and merges, cannot alter it
        engine.run(
                "ALTER TABLE app.item ENABLE TRIGGER ALL; BEGIN; DECLARE c CURSOR FOR SELECT FROM app.item; FETCH c; SELECT tally.refresh('app.fact'); COMMIT");
        assertThat(engine.text(armed)).isEqualTo("O");
        engine.write("SELECT 1");
        assertThat(engine.text(armed)).isEqualTo("A");
    }

    @Test
    void aDropLeavesTheCatalogAsItWas() {
        String catalog = """
                SELECT md5(string_agg(what, E'\\n' ORDER BY what)) FROM (
                    SELECT 'c' || oid::regclass::text AS what FROM pg_class WHERE relnamespace = 'app'::regnamespace
                    UNION ALL SELECT 'p' || oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'app'::regnamespace
                    UNION ALL SELECT 't' || oid::regtype::text FROM pg_type WHERE typnamespace = 'app'::regnamespace
                    UNION ALL SELECT 'g' || tgname FROM pg_trigger
                    UNION ALL SELECT 'v' || format('%s.%s', schema_name, relation_name) FROM tally.derived_view
                    UNION ALL SELECT 's' || count(*) FROM tally.source UNION ALL SELECT 'm' || count(*) FROM tally.measure
                    UNION ALL SELECT 'q' || count(*) FROM tally.merge_state) x""";
        String before = engine.text(catalog);
        engine.run("""
                CREATE VIEW app.group_def AS SELECT grp, jsonb_agg(v ORDER BY v) AS vs, count(*) AS n FROM app.item GROUP BY grp;
                SELECT tally.create_projection('app.groups', 'app.group_def', '{grp}');
                SELECT tally.watch('app.groups', 'app.item', '{grp}', 'SELECT grp FROM changed');
                SELECT tally.create_rollup('app.up', 'app.groups', '{n}', '{"d":"count(distinct grp)","hi":"max(grp)"}');
                SELECT tally.create_rollup('app.upper', 'app.up', '{d}', '{"c":"count(*)","k":"count(distinct n)"}');
                SELECT tally.activate('app.groups');
                """);
        engine.write("UPDATE app.item SET grp = 7 WHERE id < 5");
        engine.refused("TL017", "SELECT tally.drop('app.up')");
        engine.run("SELECT tally.drop('app.upper')");
        engine.write("UPDATE app.item SET grp = 8 WHERE id < 5");
        engine.run("SELECT tally.drop('app.groups'); DROP VIEW app.group_def");
        assertThat(engine.text(catalog)).isEqualTo(before);
        engine.write("UPDATE app.item SET grp = 9 WHERE id < 5");
    }

    /** Statements that PostgreSQL thinks this cheap are not compiled (jit_above_cost), which takes seconds. */
    @Test
    void healthAndStatusLookCheap() {
        for (String view : new String[] {"health", "status"}) {
            engine.run(
                    "DO $$ DECLARE plan json; BEGIN EXECUTE 'EXPLAIN (FORMAT JSON) SELECT * FROM tally." + view
                            + "' INTO plan; PERFORM set_config('tally.cost', plan -> 0 -> 'Plan' ->> 'Total Cost', false); END $$");
            assertThat(engine.number("SELECT ceil(current_setting('tally.cost')::numeric)::bigint"))
                    .as(view)
                    .isBetween(1L, 50_000L);
        }
    }
}
