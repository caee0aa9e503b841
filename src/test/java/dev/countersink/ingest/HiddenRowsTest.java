package dev.countersink.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.DbSettings;
import dev.countersink.db.Database;
import dev.countersink.testing.Eventually;
import dev.countersink.testing.TestPostgres;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Somebody puts policies on the tables, so that the role of the service does not see all rows. */
class HiddenRowsTest {
    private static final String ROLE = "ingesting_role";

    private Rig rig;

    @BeforeEach
    void open() {
        rig = new Rig();
        rig.seed(100);
        TestPostgres.execute("DO $$ BEGIN CREATE ROLE " + ROLE + " LOGIN PASSWORD 'secret';"
                + " EXCEPTION WHEN duplicate_object THEN NULL; END $$");
        rig.execute("GRANT USAGE ON SCHEMA results, tally TO " + ROLE);
        rig.execute("GRANT ALL ON ALL TABLES IN SCHEMA results TO " + ROLE);
        rig.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA results TO " + ROLE);
        rig.execute("GRANT ALL ON ALL FUNCTIONS IN SCHEMA results TO " + ROLE);
    }

    @AfterEach
    void close() {
        rig.close();
    }

    @Test
    void rowsThatAPolicyHidesBlameNoMessage() throws Exception {
        rig.execute("ALTER TABLE results.capture ENABLE ROW LEVEL SECURITY");
        Ingestor ingestor =
                rig.ingestFrom(Database.unpooled(DbSettings.of(rig.database().url(), ROLE, "secret")));
        for (int capture = 1; capture <= 20; capture++) {
            rig.publish("results.1", Messages.result(capture, Messages.detection(capture, 1)));
        }
        Eventually.await(
                "it is told",
                () -> String.valueOf(ingestor.metrics().snapshot().blocked()),
                reason -> reason.contains("row-level security"));
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
        rig.execute("ALTER TABLE results.capture DISABLE ROW LEVEL SECURITY");
        rig.awaitFinished();
        assertThat(rig.number("SELECT count(*) FROM results.detection")).isEqualTo(20);
        assertThat(rig.number("SELECT count(*) FROM results.dead_letter")).isZero();
    }
}
