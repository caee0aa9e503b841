package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.testing.Eventually;
import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** A limit that a whole batch exceeds, but not a part of it: the batch is halved, and no message is blamed. */
class DatabaseLimitsTest {
    private static final Duration PATIENCE = Duration.ofSeconds(40);

    @AutoClose
    private final Rig rig = Rig.seeded(1000);

    @Test
    void aStatementTimeoutThatABatchExceedsMakesItSmaller() throws Exception {
        rig.execute("""
                CREATE FUNCTION results.slow() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END $$;
                CREATE TRIGGER slow BEFORE INSERT ON results.job_capture FOR EACH ROW EXECUTE FUNCTION results.slow()""");
        rig.execute("ALTER DATABASE "
                + rig.rows("SELECT current_database()").get(0).get(0) + " SET statement_timeout = '700ms'");
        applied(300);
    }

    @Test
    void aResourceLimitThatABatchExceedsMakesItSmaller() throws Exception {
        rig.execute("""
                CREATE FUNCTION results.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF (SELECT count(*) FROM added) > 20 THEN
                        RAISE 'temporary file size exceeds temp_file_limit' USING ERRCODE = '53400';
                    END IF;
                    RETURN NULL;
                END $$;
                CREATE TRIGGER refuse AFTER INSERT ON results.job_capture REFERENCING NEW TABLE AS added
                FOR EACH STATEMENT EXECUTE FUNCTION results.refuse()""");
        applied(300);
    }

    @Test
    void aProgramLimitThatOneMessageExceedsIsItsFault() throws Exception {
        for (int capture = 1; capture <= 40; capture++) {
            rig.publish("results.1", Messages.result(capture, Messages.detection(capture, 1)));
        }
        // A value that is too long for an index row reaches a program limit. It has to compress badly.
        rig.execute("CREATE INDEX ON results.detection (crop_url)");
        StringBuilder url = new StringBuilder();
        new Random(3).ints(9000, 'a', 'z').forEach(c -> url.append((char) c));
        rig.publish(
                "results.1",
                Messages.result(41, Messages.detection(41, 1).replace("https://example.org/crops/41-1", url)));
        rig.ingest();
        Eventually.await("every message is finished", PATIENCE, rig::left, left -> left == 0);
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(40);
        assertThat(rig.rows("SELECT sqlstate FROM results.dead_letter").get(0).get(0))
                .isEqualTo("54000");
    }

    /** As a newer release beside this one makes it, whose stage has a column that this one does not write. */
    @Test
    void anotherStageThanThisProgramWritesBlamesNoMessage() throws Exception {
        rig.execute("""
                CREATE SEQUENCE results.opened;
                ALTER FUNCTION results.open_stage() RENAME TO open_known_stage;
                CREATE FUNCTION results.open_stage() RETURNS void LANGUAGE plpgsql AS $$
                BEGIN
                    PERFORM results.open_known_stage();
                    ALTER TABLE pg_temp.stage_message ADD COLUMN IF NOT EXISTS newer text;
                    PERFORM nextval('results.opened');
                END $$""");
        for (int capture = 1; capture <= 5; capture++) {
            rig.publish("results.1", Messages.result(capture));
        }
        rig.ingest();
        Eventually.await(
                "it is tried over another connection",
                PATIENCE,
                () -> rig.number("SELECT last_value FROM results.opened"),
                opened -> opened > 4);
        rig.execute(
                "DROP FUNCTION results.open_stage(); ALTER FUNCTION results.open_known_stage() RENAME TO open_stage");
        Eventually.await("every message is finished", PATIENCE, rig::left, left -> left == 0);
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(5);
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
    }

    private void applied(int captures) throws Exception {
        for (int capture = 1; capture <= captures; capture++) {
            rig.publish("results.1", Messages.result(capture));
        }
        rig.ingest();
        Eventually.await("every message is finished", PATIENCE, rig::left, left -> left == 0);
        assertThat(rig.number("SELECT count(*) FROM results.job_capture")).isEqualTo(captures);
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
    }
}
