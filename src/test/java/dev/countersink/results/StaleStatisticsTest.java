package dev.countersink.results;

import static org.assertj.core.api.Assertions.assertThat;

import dev.countersink.config.DbSettings;
import dev.countersink.testing.Sql;
import dev.countersink.testing.TestPostgres;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/**
 * Statistics are always older than the rows, and a job's first messages may be all that they know of. What a batch reads must
 * not depend on that.
 */
class StaleStatisticsTest {
    private static final int MESSAGES = 100;
    private static final int STORED = 10 * MESSAGES;
    /** A small table may be read as a whole, once. */
    private static final int SCAN = 4;
    /** About as many as the largest table has. */
    private static final int ROWS_OF_A_TABLE = 10 * STORED;

    private static final String TABLES =
            "results.occurrence, results.detection, results.classification, results.job_capture";
    private static final String READ =
            "SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) FROM pg_stat_xact_user_tables WHERE schemaname = 'results'";

    /** Fills the stage with messages of n captures: one in five is empty, the others have one to nine boxes. */
    private static final String FILL = """
            CREATE FUNCTION pg_temp.fill(first int, n int, salt int) RETURNS void LANGUAGE sql AS $$
                INSERT INTO pg_temp.stage_message SELECT i, 1, 'moths', NULL FROM generate_series(0, n - 1) i;
                INSERT INTO pg_temp.stage_image SELECT i, first + i FROM generate_series(0, n - 1) i;
                INSERT INTO pg_temp.stage_detection
                SELECT i, row_number() OVER (ORDER BY i, k) - 1, first + i, 'finder', k * 10, salt, k * 10 + 50, salt + 60, NULL, now()
                FROM generate_series(0, n - 1) i, generate_series(1, CASE WHEN i % 5 = 0 THEN 0 ELSE 1 + (i * 7 + salt) % 9 END) k;
                INSERT INTO pg_temp.stage_classification
                SELECT d.det, row_number() OVER () - 1, 'Moth ' || d.det % 20, 'species', (d.det * 17 % 100) / 100.0, true,
                       ARRAY[0.1, 0.9], NULL, NULL, NULL, now()
                FROM pg_temp.stage_detection d;
            $$""";

    /** Rows that were read for a batch of new captures, for the same batch again, and for other boxes on its captures. */
    private record Read(long fresh, long again, long otherBoxes) {}

    @Test
    void whatABatchReadsDoesNotDependOnThem() throws Exception {
        Read expected = read(STORED);
        for (int known : new int[] {0, 1}) {
            Read read = read(known);
            assertThat(read.fresh())
                    .as("rows read for new captures, %d messages known", known)
                    .isLessThan(SCAN * expected.fresh());
            assertThat(read.again())
                    .as("rows read for messages again, %d messages known", known)
                    .isLessThan(SCAN * expected.again());
            assertThat(read.otherBoxes())
                    .as("rows read for more boxes, %d messages known", known)
                    .isLessThan(SCAN * expected.otherBoxes());
        }
    }

    /** @param known after how many messages the statistics are taken, of those that are stored */
    private static Read read(int known) throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql writer = seeded(db)) {
            if (known == 0) {
                writer.run("ANALYZE " + TABLES);
            }
            int first = 1;
            while (first <= STORED) {
                int n = first <= known ? Math.min(MESSAGES, known - first + 1) : Math.min(MESSAGES, STORED - first + 1);
                apply(writer, first, n, 1);
                first += n;
                if (first == known + 1) {
                    writer.run("ANALYZE " + TABLES);
                }
            }
        }
        // a session of its own, whose plans are made by these statistics
        try (Sql writer = session(db)) {
            return new Read(
                    apply(writer, STORED + 1, MESSAGES, 1),
                    apply(writer, STORED + 1, MESSAGES, 1),
                    apply(writer, 1, MESSAGES, 2));
        }
    }

    /** Returns how many rows of tables in results were read. */
    private static long apply(Sql writer, int first, int n, int salt) {
        writer.run("BEGIN");
        writer.run("SELECT pg_temp.fill(%d, %d, %d)".formatted(first, n, salt));
        long before = writer.number(READ);
        assertThat(writer.number("SELECT count(*) FROM results.apply_batch()")).isZero();
        long read = writer.number(READ) - before;
        writer.run("COMMIT");
        return read;
    }

    private static Sql seeded(DbSettings db) {
        try (Sql sql = new Sql(db)) {
            sql.run("""
                    INSERT INTO results.project (id) VALUES (1);
                    INSERT INTO results.deployment (id, project_id) VALUES (1, 1);
                    INSERT INTO results.capture (id, project_id, deployment_id, path)
                    SELECT i, 1, 1, 'c' || i FROM generate_series(1, %d) i;
                    INSERT INTO results.algorithm (id, key, task_type) VALUES (1, 'finder', 'detection'), (2, 'species', 'classification');
                    INSERT INTO results.taxon (name, rank) SELECT 'Moth ' || i, 'SPECIES' FROM generate_series(0, 19) i;
                    INSERT INTO results.pipeline (id, slug, name) VALUES (1, 'moths', 'moths');
                    INSERT INTO results.pipeline_algorithm (pipeline_id, algorithm_id) VALUES (1, 1), (1, 2);
                    INSERT INTO results.job (id, project_id, pipeline_id) VALUES (1, 1, 1);
                    """.formatted(STORED + MESSAGES));
            for (String table : TABLES.split(", ", -1)) {
                sql.run("ALTER TABLE " + table + " SET (autovacuum_enabled = off)");
            }
            sql.run("ANALYZE results.capture, results.taxon");
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
        return session(db);
    }

    private static Sql session(DbSettings db) {
        Sql writer = new Sql(db);
        writer.run("SELECT results.open_stage()");
        writer.run(FILL);
        return writer;
    }

    /** The statistics are of empty tables, and so is the plan that an import keeps for its whole session. */
    @Test
    void anIdentificationReadsWhatBelongsToItsOccurrence() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql writer = seeded(db)) {
            writer.run("ANALYZE " + TABLES + ", results.identification");
            for (int first = 1; first <= STORED; first += MESSAGES) {
                apply(writer, first, MESSAGES, 1);
            }
        }
        try (Sql person = new Sql(db)) {
            person.run("BEGIN");
            for (int occurrence = 1; occurrence <= MESSAGES; occurrence++) {
                person.run("INSERT INTO results.identification (occurrence_id, taxon_id) VALUES (%d, 1)"
                        .formatted(occurrence));
            }
            assertThat(person.number(READ)).as("rows read").isLessThan(50 * MESSAGES);
            person.run("COMMIT");
        }
    }

    /** Changes of some rows, each with the view whose merge they lead to. */
    private static final Map<String, String> CHANGES = Map.of(
            "UPDATE results.occurrence SET determination_score = 0.001 WHERE id BETWEEN 50 AND 250", "results.fact",
            "UPDATE results.occurrence SET determination_score = 0.002 WHERE id IN (50, 51)", "results.fact",
            "UPDATE results.capture SET byte_size = 7 WHERE id BETWEEN 30 AND 60", "results.fact",
            "UPDATE results.detection SET detected_at = now() WHERE id BETWEEN 50 AND 250", "results.fact",
            "UPDATE results.job_capture SET status = 'failed' WHERE capture_id BETWEEN 30 AND 60", "results.job_fact",
            "DELETE FROM results.classification WHERE id BETWEEN 50 AND 250", "results.job_fact");

    /** A table may be read as a whole once, as 15 does for empty statistics, but not for each key. */
    @Test
    void whatAMergeReadsDoesNotDependOnThem() throws Exception {
        Map<String, Long> expected = readByMerges(STORED);
        for (int known : new int[] {0, 2}) {
            readByMerges(known)
                    .forEach((change, read) -> assertThat(read)
                            .as("rows read after %s, %d messages known", change, known)
                            .isLessThan(expected.get(change) + SCAN * ROWS_OF_A_TABLE));
        }
    }

    /** One session merges all the time, and keeps its plans from when the tables were empty. */
    private static Map<String, Long> readByMerges(int known) throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql writer = seeded(db);
                Sql merger = new Sql(db)) {
            for (int first = 1; first <= STORED; ) {
                if (first == known + 1) {
                    writer.run("ANALYZE");
                }
                int n = first <= known ? Math.min(MESSAGES, known - first + 1) : Math.min(MESSAGES, STORED - first + 1);
                apply(writer, first, n, 1);
                first += n;
                merger.run("SELECT tally.refresh('results.fact'), tally.refresh('results.job_fact')");
            }
            if (known == STORED) {
                writer.run("ANALYZE");
            }
            Map<String, Long> read = new TreeMap<>();
            for (Map.Entry<String, String> change : new TreeMap<>(CHANGES).entrySet()) {
                merger.run(change.getKey());
                merger.run("BEGIN");
                long before = merger.number(READ);
                merger.run("SELECT tally.merge('" + change.getValue() + "')");
                read.put(change.getKey(), merger.number(READ) - before);
                merger.run("COMMIT");
            }
            return read;
        }
    }

    @Test
    void aTaxonOfAnImportIsPlacedByReadingItsAncestorsAlone() throws Exception {
        DbSettings db = TestPostgres.migrated();
        try (Sql importer = new Sql(db)) {
            importer.run("ANALYZE results.taxon");
            importer.run("BEGIN");
            importer.run("INSERT INTO results.taxon (id, name, parent_id) VALUES (1, 'Lepidoptera', NULL)");
            long few = placed(importer, 2);
            placed(importer, 2 + MESSAGES);
            for (int first = 2 + 2 * MESSAGES; first <= STORED; first += MESSAGES) {
                placed(importer, first);
            }
            long many = placed(importer, STORED + 2);
            importer.run("COMMIT");
            assertThat(many)
                    .as("rows read for %d taxa, of %d", MESSAGES, STORED)
                    .isLessThan(2 * few);
            assertThat(importer.number("SELECT count(*) FROM results.taxon t JOIN results.taxon p ON p.id = t.parent_id"
                            + " WHERE t.ancestor_ids = p.ancestor_ids || p.id"))
                    .isEqualTo(importer.number("SELECT count(*) - 1 FROM results.taxon"));
        }
    }

    /** Adds taxa one by one, each below one of the first ten; returns how many rows of tables in results were read. */
    private static long placed(Sql importer, int first) {
        long before = importer.number(READ);
        for (int id = first; id < first + MESSAGES; id++) {
            importer.run("INSERT INTO results.taxon (id, name, parent_id) VALUES (%d, 'Taxon %d', %d)"
                    .formatted(id, id, Math.min(id - 1, 1 + id % 10)));
        }
        return importer.number(READ) - before;
    }

    /** By two writers at once, whose second one finds what the first has just committed. */
    @Test
    void theRowsOfTheFirstOfTwoWritersAreAdopted() throws Exception {
        DbSettings db = TestPostgres.migrated();
        seeded(db).close();
        try (Sql first = session(db);
                Sql second = session(db)) {
            second.run("BEGIN");
            second.run("SELECT pg_temp.fill(1, 20, 1)");
            second.run(
                    "SELECT results.analyze_stage(), results.judge_messages(), results.resolve_detections(), results.resolve_taxa()");
            apply(first, 1, 20, 1);
            assertThat(second.text("SELECT results.write_detections()::text")).isEqualTo("true");
            second.run("SELECT results.adopt_detections()");
            assertThat(
                            second.number(
                                    "SELECT count(*) FROM pg_temp.batch_detection b"
                                            + " WHERE NOT EXISTS (SELECT FROM results.detection d WHERE d.id = b.detection_id AND b.known)"))
                    .as("detections that were not adopted")
                    .isZero();
            second.run("ROLLBACK");
        }
    }
}
