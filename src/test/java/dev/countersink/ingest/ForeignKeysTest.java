package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.countersink.db.Database;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.Sql;
import java.sql.Connection;
import java.sql.Statement;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Writers check foreign keys set by set; what the keys and other triggers promise holds as if they fired. */
class ForeignKeysTest {
    /** Every foreign key below what a batch writes: rows without their parent. */
    private static final String DANGLING = """
            SELECT (SELECT count(*) FROM results.occurrence c LEFT JOIN results.project p ON p.id = c.project_id WHERE p.id IS NULL)
                 + (SELECT count(*) FROM results.occurrence c LEFT JOIN results.deployment p ON p.id = c.deployment_id WHERE p.id IS NULL AND c.deployment_id IS NOT NULL)
                 + (SELECT count(*) FROM results.occurrence c LEFT JOIN results.event p ON p.id = c.event_id WHERE p.id IS NULL AND c.event_id IS NOT NULL)
                 + (SELECT count(*) FROM results.occurrence c LEFT JOIN results.taxon p ON p.id = c.determination_id WHERE p.id IS NULL AND c.determination_id IS NOT NULL)
                 + (SELECT count(*) FROM results.detection c LEFT JOIN results.capture p ON p.id = c.capture_id WHERE p.id IS NULL)
                 + (SELECT count(*) FROM results.detection c LEFT JOIN results.occurrence p ON p.id = c.occurrence_id WHERE p.id IS NULL AND c.occurrence_id IS NOT NULL)
                 + (SELECT count(*) FROM results.detection c LEFT JOIN results.algorithm p ON p.id = c.algorithm_id WHERE p.id IS NULL)
                 + (SELECT count(*) FROM results.classification c LEFT JOIN results.detection p ON p.id = c.detection_id WHERE p.id IS NULL)
                 + (SELECT count(*) FROM results.classification c LEFT JOIN results.taxon p ON p.id = c.taxon_id WHERE p.id IS NULL)
                 + (SELECT count(*) FROM results.classification c LEFT JOIN results.algorithm p ON p.id = c.algorithm_id WHERE p.id IS NULL)
                 + (SELECT count(*) FROM results.job_capture c LEFT JOIN results.job p ON p.id = c.job_id WHERE p.id IS NULL)
                 + (SELECT count(*) FROM results.job_capture c LEFT JOIN results.capture p ON p.id = c.capture_id WHERE p.id IS NULL)""";

    private static final String WAITING =
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() AND query LIKE ";

    private static final String BATCH = "'%apply_batch%'";
    private static final String DELETE = "'DELETE%'";

    @AutoClose
    private final Rig rig = Rig.seeded(100);

    ForeignKeysTest() {
        rig.execute(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET countersink.key_sets_from = 1', current_database()); END $$");
    }

    private void publish(int capture) throws Exception {
        rig.publish("results.1", moth(capture));
    }

    private static String moth(int capture) {
        return Messages.result(capture, Messages.detection(capture, 1, Messages.classification("Moth", 0.5)));
    }

    /** The batch of a message waits for a deletion that is then committed. */
    private void publishWhileDeleting(String delete, String message) throws Exception {
        try (Connection other = Database.connect(rig.database());
                Statement statement = other.createStatement()) {
            other.setAutoCommit(false);
            statement.execute(delete);
            rig.publish("results.1", message);
            Eventually.await("the batch waits for it", () -> rig.number(WAITING + BATCH), waiting -> waiting == 1);
            other.commit();
        }
        rig.awaitFinished();
        assertThat(rig.number("SELECT last_value + is_called::int FROM lost")).isPositive();
        assertThat(rig.number(DANGLING)).isZero();
    }

    /** A number that the error of a rolled back batch leaves. */
    private void countLostParents() {
        rig.execute("CREATE SEQUENCE lost MINVALUE 0 START 0");
        rig.execute("""
                CREATE OR REPLACE FUNCTION results.lost_parent(parent text) RETURNS void LANGUAGE plpgsql AS $$
                BEGIN
                    PERFORM nextval('public.lost');
                    RAISE foreign_key_violation USING MESSAGE = parent;
                END $$""");
    }

    @ParameterizedTest
    @CsvSource({
        "taxon, name = 'Moth', 2, 0",
        "capture, id = 2, 1, 1",
        "event, id = 1, 2, 0",
        "deployment, id = 1, 0, 1",
        "algorithm, id = 2, 1, 1",
        "job, id = 1, 0, 1",
        "project, id = 1, 0, 1"
    })
    void aParentThatIsDeletedWhileItIsNeededIsNotReferredTo(String parent, String which, int processed, int dead)
            throws Exception {
        countLostParents();
        rig.ingest();
        publish(1);
        rig.awaitFinished();
        publishWhileDeleting("DELETE FROM results." + parent + " WHERE " + which, moth(2));
        assertThat(rig.number("SELECT count(*) FROM results.job_capture WHERE status = 'processed'"))
                .isEqualTo(processed);
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isEqualTo(dead);
    }

    @Test
    void aDetectionThatIsDeletedWhileItIsClassifiedAgainIsMadeAgain() throws Exception {
        countLostParents();
        rig.ingest();
        publish(1);
        rig.awaitFinished();
        publishWhileDeleting("DELETE FROM results.detection", moth(1));
        assertThat(rig.number("SELECT count(*) FROM results.classification")).isOne();
    }

    /** The determination comes from a classification that is still there, of a taxon that is not among the message's. */
    @Test
    void aTaxonThatIsDeletedWhileAnOccurrenceIsDeterminedAgainIsNotReferredTo() throws Exception {
        countLostParents();
        rig.ingest();
        publish(1);
        rig.awaitFinished();
        rig.execute("UPDATE results.occurrence SET determination_id = NULL");
        publishWhileDeleting(
                "DELETE FROM results.taxon WHERE name = 'Moth'",
                Messages.result(1, Messages.detection(1, 1, Messages.classification("Owl", 0.1))));
        assertThat(rig.rows(
                        "SELECT t.name FROM results.occurrence o JOIN results.taxon t ON t.id = o.determination_id"))
                .containsExactly(List.of("Owl"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"taxon", "capture", "event", "deployment", "algorithm", "job", "project"})
    void whoDeletesAParentWaitsForTheBatchThatNeedsIt(String parent) throws Exception {
        rig.execute("INSERT INTO results.taxon (name) VALUES ('Moth')");
        try (Sql writer = new Sql(rig.database());
                Sql other = new Sql(rig.database())) {
            other.run("SET lock_timeout = '60s'");
            writer.run("SELECT results.open_stage()");
            apply(writer, 1);
            CompletableFuture<Void> deleted =
                    CompletableFuture.runAsync(() -> other.run("DELETE FROM results." + parent));
            Eventually.await("it waits", () -> rig.number(WAITING + DELETE), waiting -> waiting == 1);
            writer.run("COMMIT");
            deleted.join();
        }
        assertThat(rig.number(DANGLING)).isZero();
    }

    /** A pool would pass it to somebody else, whose triggers would not fire. */
    @Test
    void theSettingDoesNotOutlastTheBatch() throws Exception {
        countLostParents();
        rig.execute("""
                CREATE FUNCTION results.note() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN PERFORM nextval('public.lost'); RETURN NULL; END $$;
                CREATE TRIGGER tally_99_1_insert AFTER INSERT ON results.detection FOR EACH STATEMENT
                WHEN (current_setting('session_replication_role') = 'replica') EXECUTE FUNCTION results.note();
                ALTER TABLE results.detection ENABLE ALWAYS TRIGGER tally_99_1_insert""");
        try (Sql writer = new Sql(rig.database())) {
            writer.run("SELECT results.open_stage()");
            for (int capture : new int[] {1, 2, 2, 3}) {
                apply(writer, capture);
                assertThat(writer.text("SHOW session_replication_role")).isEqualTo("origin");
                assertThat(writer.number(
                                "SELECT results.record_dead_letters(ARRAY['RESULTS'], ARRAY[%d], ARRAY['results.1'], ARRAY['{}'],"
                                                .formatted(capture)
                                        + " ARRAY[''::bytea], ARRAY['Wrong.'], ARRAY['RS010'])"))
                        .isOne();
                writer.run("COMMIT");
                assertThat(writer.text("SHOW session_replication_role")).isEqualTo("origin");
            }
        }
        assertThat(rig.number("SELECT last_value + is_called::int FROM lost"))
                .as("inserts without triggers")
                .isPositive();
        assertThat(rig.number("SELECT results.dead_letter_count()")).isEqualTo(3);
        assertThat(rig.number("SELECT count(*) FROM results.occurrence WHERE determination_id IS NOT NULL"))
                .isEqualTo(3);
    }

    @Test
    void whatSomebodyAddsIsToldFromWhatIsKnown() throws Exception {
        String others =
                "SELECT results.has_others_triggers(ARRAY['results.job_capture', 'results.occurrence', 'results.detection',"
                        + " 'results.classification']::regclass[])::text";
        try (Sql owner = new Sql(rig.database())) {
            owner.run("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$");
            assertThat(owner.text(others)).isEqualTo("false");
            for (String added : List.of(
                    "CREATE TRIGGER added AFTER UPDATE ON results.occurrence EXECUTE FUNCTION nothing()",
                    "CREATE TRIGGER added AFTER UPDATE OF crop_url ON results.detection FOR EACH ROW EXECUTE FUNCTION nothing()",
                    "CREATE RULE added AS ON UPDATE TO results.occurrence DO ALSO NOTHING",
                    "ALTER TABLE results.occurrence ADD UNIQUE (id, event_id) DEFERRABLE",
                    "ALTER TABLE results.detection ADD follows bigint REFERENCES results.detection",
                    "ALTER TABLE results.occurrence ADD UNIQUE (id, determination_id); CREATE TABLE added (o bigint, t bigint,"
                            + " FOREIGN KEY (o, t) REFERENCES results.occurrence (id, determination_id) ON UPDATE CASCADE)",
                    "CREATE TABLE added () INHERITS (results.detection)",
                    "CREATE TRIGGER added AFTER INSERT ON results.classification EXECUTE FUNCTION nothing();"
                            + " ALTER TABLE results.classification ENABLE REPLICA TRIGGER added",
                    "CREATE TRIGGER added AFTER INSERT ON results.classification EXECUTE FUNCTION nothing();"
                            + " ALTER TABLE results.classification ENABLE ALWAYS TRIGGER added")) {
                owner.run("BEGIN");
                owner.run(added);
                assertThat(owner.text(others)).as(added).isEqualTo("true");
                owner.run("ROLLBACK");
            }
            owner.run(
                    "CREATE TABLE comment_on_box (detection_id bigint REFERENCES results.detection ON DELETE CASCADE)");
            assertThat(owner.text(others)).as("a table that refers to an id").isEqualTo("false");
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "ALTER TABLE results.occurrence DROP CONSTRAINT occurrence_event_id_fkey",
                "ALTER TABLE results.classification DISABLE TRIGGER ALL"
            })
    void aKeyThatSomebodyHasTakenAwayIsNotChecked(String taken) throws Exception {
        try (Sql writer = new Sql(rig.database())) {
            writer.run("SELECT results.open_stage(); SET countersink.key_sets_from = 0");
            assertThat(writer.text("SELECT results.knows_keys()::text")).isEqualTo("true");
            rig.execute(taken);
            assertThat(writer.text("SELECT results.knows_keys()::text")).isEqualTo("false");
        }
    }

    @Test
    void aRowOfATableThatInheritsIsNoParent() throws Exception {
        rig.execute("CREATE TABLE old_capture () INHERITS (results.capture)");
        rig.execute("INSERT INTO old_capture (id, project_id, deployment_id, path) VALUES (200, 1, 1, 'old')");
        rig.ingest();
        publish(200);
        publish(1);
        rig.awaitFinished();
        assertThat(rig.rows("SELECT sqlstate FROM results.dead_letter")).containsExactly(List.of("23503"));
        assertThat(rig.number(DANGLING)).isZero();
        assertThat(rig.number("SELECT count(*) FROM results.detection")).isOne();
    }

    /** Triggers of keys read them as the tables' owner. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "REVOKE SELECT ON results.event FROM keys_reader",
                "REVOKE UPDATE ON results.project FROM keys_reader",
                "ALTER TABLE results.deployment ENABLE ROW LEVEL SECURITY"
            })
    void aRoleThatMayNotReadAParentWritesAllTheSame(String hide) throws Exception {
        rig.execute("CREATE ROLE keys_reader");
        rig.execute(
                "GRANT USAGE ON SCHEMA results TO keys_reader; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA results TO keys_reader;"
                        + " GRANT USAGE ON ALL SEQUENCES IN SCHEMA results TO keys_reader;"
                        + " GRANT SET ON PARAMETER session_replication_role TO keys_reader;"
                        + " DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO keys_reader', current_database()); END $$");
        try (Sql writer = new Sql(rig.database())) {
            writer.run("SET ROLE keys_reader; SELECT results.open_stage()");
            rig.execute(hide);
            apply(writer, 1);
            writer.run("COMMIT");
            assertThat(rig.number("SELECT count(*) FROM results.classification"))
                    .isOne();
        } finally {
            rig.execute("REVOKE SET ON PARAMETER session_replication_role FROM keys_reader");
            rig.execute("DROP OWNED BY keys_reader");
            rig.execute("DROP ROLE keys_reader");
        }
    }

    @Test
    void aSettingThatIsNoNumberIsNoMessagesFault() throws Exception {
        rig.execute(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET countersink.key_sets_from = many', current_database()); END $$");
        rig.ingest();
        publish(1);
        rig.awaitFinished();
        assertThat(rig.number("SELECT count(*) FROM results.job_capture WHERE status = 'processed'"))
                .isOne();
    }

    /** A batch that locks a capture and then waits for its project would stand in the way of whoever deletes the project. */
    @ParameterizedTest
    @CsvSource({
        "project, project_included_taxon, 1",
        "project, project_included_taxon, 100",
        "deployment, event, 1",
        "deployment, event, 100"
    })
    void whoDeletesAPlaceInUseIsNoVictimOfADeadlock(String parent, String below, int inSetsFrom) throws Exception {
        rig.execute("INSERT INTO results.taxon (name) VALUES ('Moth')");
        rig.execute("INSERT INTO results.project_included_taxon SELECT 1, id FROM results.taxon");
        rig.execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET countersink.key_sets_from = " + inSetsFrom
                + "', current_database()); END $$");
        rig.ingest();
        try (Sql holder = new Sql(rig.database());
                Sql other = new Sql(rig.database())) {
            holder.run("BEGIN; SELECT FROM results." + below + " FOR UPDATE");
            other.run("SET deadlock_timeout = '10ms'"); // so that it is the victim, if there is one
            CompletableFuture<Void> deleted =
                    CompletableFuture.runAsync(() -> other.run("DELETE FROM results." + parent));
            Eventually.await("the deletion is half done", () -> rig.number(WAITING + DELETE), waiting -> waiting == 1);
            publish(2);
            Eventually.await("the batch waits for it", () -> rig.number(WAITING + BATCH), waiting -> waiting == 1);
            holder.run("COMMIT");
            deleted.join();
        }
        rig.awaitFinished();
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isOne();
        assertThat(rig.number(DANGLING)).isZero();
    }

    @Test
    void theSettingDoesNotOutlastABatchThatFails() throws Exception {
        rig.execute("ALTER TABLE results.job_capture ADD CHECK (capture_id <> 1)"); // the last that a batch writes
        try (Sql writer = new Sql(rig.database())) {
            writer.run("SELECT results.open_stage(); BEGIN");
            writer.run("SAVEPOINT before");
            stage(writer, 1);
            assertThatThrownBy(() -> writer.run("SELECT results.apply_batch()"))
                    .hasMessageContaining("violates check constraint");
            writer.run("ROLLBACK TO before");
            assertThat(writer.text("SHOW session_replication_role")).isEqualTo("origin");
            stage(writer, 2);
            writer.run("SELECT results.apply_batch(); COMMIT");
            assertThat(writer.text("SHOW session_replication_role")).isEqualTo("origin");
        }
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isOne();
    }

    /** As the ingestion does, but without the commit. */
    private static void apply(Sql writer, int capture) {
        writer.run("BEGIN");
        stage(writer, capture);
        assertThat(writer.number("SELECT count(*) FROM results.apply_batch()")).isZero();
    }

    private static void stage(Sql writer, int capture) {
        writer.run("""
                INSERT INTO pg_temp.stage_message VALUES (0, 1, 'random', NULL);
                INSERT INTO pg_temp.stage_image VALUES (0, %1$d);
                INSERT INTO pg_temp.stage_detection VALUES (0, 0, %1$d, 'random-detector', 1, 2, 3, 4, NULL, now());
                INSERT INTO pg_temp.stage_classification VALUES (0, 0, 'Moth', 'random-species-classifier', 0.5, true, ARRAY[0.5], NULL, NULL, NULL, now())
                """.formatted(capture));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "BEFORE INSERT ON results.detection FOR EACH ROW",
                "AFTER INSERT ON results.occurrence FOR EACH ROW",
                "AFTER INSERT ON results.classification FOR EACH STATEMENT",
                "AFTER INSERT OR UPDATE ON results.job_capture FOR EACH ROW",
                "AFTER INSERT ON results.taxon FOR EACH ROW",
                "BEFORE INSERT ON results.dead_letter FOR EACH ROW"
            })
    void aTriggerThatSomebodyAddsFiresFromThenOn(String when) throws Exception {
        rig.ingest();
        rig.publish("results.1", Messages.result(1, Messages.detection(1, 1, Messages.classification("Moth", 0.5))));
        rig.awaitFinished();
        rig.execute("CREATE SEQUENCE fired MINVALUE 0 START 0");
        rig.execute(
                "CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('public.fired'); RETURN NEW; END $$");
        rig.execute("CREATE TRIGGER added " + when + " EXECUTE FUNCTION fired()");
        rig.publish("results.1", Messages.result(2, Messages.detection(2, 1, Messages.classification("Owl", 0.5))));
        rig.publish("results.1", "{}");
        rig.awaitFinished();
        assertThat(rig.number("SELECT last_value + is_called::int FROM fired")).isPositive();
        assertThat(rig.number("SELECT count(*) FROM results.job_capture WHERE status = 'processed'"))
                .isEqualTo(2);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "ALTER TABLE results.detection ADD reviewer int REFERENCES reviewers;"
                        + " ALTER TABLE results.detection ALTER reviewer SET DEFAULT 7",
                "ALTER TABLE results.occurrence ADD CONSTRAINT added UNIQUE (event_id) DEFERRABLE",
                "CREATE CONSTRAINT TRIGGER added AFTER INSERT ON results.classification DEFERRABLE INITIALLY DEFERRED"
                        + " FOR EACH ROW EXECUTE FUNCTION refuse()",
                // these fire in any case, but what they write has keys of its own
                "CREATE TRIGGER added BEFORE INSERT ON results.occurrence FOR EACH ROW EXECUTE FUNCTION move();"
                        + " ALTER TABLE results.occurrence ENABLE ALWAYS TRIGGER added",
                "CREATE TRIGGER added AFTER INSERT ON results.job_capture FOR EACH STATEMENT EXECUTE FUNCTION review();"
                        + " ALTER TABLE results.job_capture ENABLE ALWAYS TRIGGER added"
            })
    void aConstraintThatSomebodyAddsIsCheckedFromThenOn(String add) throws Exception {
        rig.ingest();
        publish(1);
        rig.awaitFinished();
        rig.execute("CREATE TABLE reviewers (id int PRIMARY KEY)");
        rig.execute(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE unique_violation; END $$");
        rig.execute("CREATE FUNCTION move() RETURNS trigger LANGUAGE plpgsql AS"
                + " $$ BEGIN NEW.event_id := 77; RETURN NEW; END $$");
        rig.execute("CREATE TABLE review (reviewer int REFERENCES reviewers)");
        rig.execute("CREATE FUNCTION review() RETURNS trigger LANGUAGE plpgsql AS"
                + " $$ BEGIN INSERT INTO public.review VALUES (7); RETURN NULL; END $$");
        rig.execute(add);
        publish(2);
        rig.awaitFinished();
        assertThat(rig.rows("SELECT left(sqlstate, 2) FROM results.dead_letter"))
                .containsExactly(List.of("23"));
    }

    @Test
    void aRoleThatMayNotSetTheParameterLeavesKeysToTheirTriggers() throws Exception {
        rig.execute("CREATE ROLE keys_plain");
        rig.execute(
                "GRANT USAGE ON SCHEMA results TO keys_plain; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA results TO keys_plain;"
                        + " DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO keys_plain', current_database()); END $$");
        try (Sql writer = new Sql(rig.database())) {
            writer.run("SET ROLE keys_plain; SELECT results.open_stage()");
            assertThat(writer.text("SELECT results.knows_keys()::text")).isEqualTo("false");
            rig.execute("GRANT SET ON PARAMETER session_replication_role TO keys_plain");
            writer.run("SET countersink.key_sets_from = 0");
            assertThat(writer.text("SELECT results.knows_keys()::text")).isEqualTo("true");
            writer.run("RESET countersink.key_sets_from");
            assertThat(writer.text("SELECT results.knows_keys()::text"))
                    .as("a small batch")
                    .isEqualTo("false");
            writer.run("SET countersink.key_sets_from = 0; SET session_replication_role = replica");
            assertThat(writer.text("SELECT results.knows_keys()::text"))
                    .as("somebody else has set it")
                    .isEqualTo("false");
        } finally {
            rig.execute("REVOKE SET ON PARAMETER session_replication_role FROM keys_plain");
            rig.execute("DROP OWNED BY keys_plain");
            rig.execute("DROP ROLE keys_plain");
        }
    }
}
