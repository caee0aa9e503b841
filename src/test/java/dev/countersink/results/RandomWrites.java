package dev.countersink.results;

import java.util.List;
import java.util.Random;
import java.util.function.Supplier;

/** Random statements on the tables of schema results: inserts, updates, moves and deletes, wide and narrow. */
final class RandomWrites {
    private final Random random;
    private final List<Supplier<String>> common = List.of(
            this::newOccurrence,
            this::newDetections,
            this::nullMarker,
            this::moveDetection,
            this::changeDetection,
            this::deleteDetections,
            this::determine,
            this::moveOccurrence,
            this::deleteOccurrence,
            this::newCaptures,
            this::changeCapture,
            this::deleteCapture,
            this::identify,
            this::changeIdentification,
            this::classify,
            this::changeClassification,
            this::process,
            this::forget);
    private final List<Supplier<String>> wide = List.of(
            this::threshold,
            this::listTaxon,
            this::unlistTaxon,
            this::moveTaxon,
            this::changeTaxa,
            this::changeEvent,
            this::changeDeployment,
            this::changeJob,
            this::changePipeline);
    private final List<Supplier<String>> rare =
            List.of(this::truncate, this::deleteProject, this::newProject, this::deleteEventOrDeployment);

    RandomWrites(Random random) {
        this.random = random;
    }

    String next() {
        int dice = random.nextInt(100);
        return any(dice < 76 ? common : dice < 98 ? wide : rare).get();
    }

    private String newOccurrence() {
        return """
                WITH c AS (SELECT * FROM results.capture WHERE id = %s),
                o AS (INSERT INTO results.occurrence (project_id, deployment_id, event_id, determination_id, determination_score)
                      SELECT project_id, deployment_id, event_id, %s, %s FROM c RETURNING id)
                INSERT INTO results.detection (capture_id, occurrence_id, algorithm_id, bbox, detected_at)
                SELECT c.id, o.id, %s, %s, %s FROM c, o""".formatted(one("capture"), maybe("taxon"), score(), one("algorithm"), box(), time());
    }

    private String newDetections() {
        return """
                INSERT INTO results.detection (capture_id, occurrence_id, algorithm_id, bbox, detected_at)
                SELECT %s, %s, %s, ARRAY[n, %d, 1, 1], %s FROM generate_series(1, %d) n
                ON CONFLICT (capture_id, bbox) DO UPDATE SET occurrence_id = excluded.occurrence_id""".formatted(
                        one("capture"),
                        maybe("occurrence"),
                        one("algorithm"),
                        random.nextInt(100),
                        time(),
                        1 + random.nextInt(12));
    }

    private String nullMarker() {
        return "INSERT INTO results.detection (capture_id, algorithm_id) SELECT %s, %s ON CONFLICT DO NOTHING"
                .formatted(one("capture"), one("algorithm"));
    }

    private String moveDetection() {
        return random.nextBoolean()
                ? "UPDATE results.detection SET capture_id = %s WHERE id = %s"
                        .formatted(one("capture"), one("detection"))
                : "UPDATE results.detection SET occurrence_id = %s WHERE id IN (%s, %s)"
                        .formatted(maybe("occurrence"), one("detection"), one("detection"));
    }

    private String changeDetection() {
        return random.nextBoolean()
                ? "UPDATE results.detection SET bbox = %s WHERE id = %s"
                        .formatted(random.nextInt(3) == 0 ? "NULL" : box(), one("detection"))
                : "UPDATE results.detection SET detected_at = %s, crop_url = md5(random()::text) WHERE id = %s"
                        .formatted(time(), one("detection"));
    }

    private String deleteDetections() {
        return random.nextInt(4) == 0
                ? "DELETE FROM results.detection WHERE capture_id = " + one("capture")
                : "DELETE FROM results.detection WHERE id IN (%s, %s, %s)"
                        .formatted(one("detection"), one("detection"), one("detection"));
    }

    private String determine() {
        return "UPDATE results.occurrence SET determination_id = %s, determination_score = %s WHERE id IN (%s, %s)"
                .formatted(maybe("taxon"), score(), one("occurrence"), one("occurrence"));
    }

    private String moveOccurrence() {
        return switch (random.nextInt(3)) {
            case 0 ->
                "UPDATE results.occurrence SET event_id = %s WHERE id = %s"
                        .formatted(maybe("event"), one("occurrence"));
            case 1 ->
                "UPDATE results.occurrence SET deployment_id = %s, event_id = NULL WHERE id = %s"
                        .formatted(maybe("deployment"), one("occurrence"));
            default ->
                "UPDATE results.occurrence SET project_id = %s WHERE id = %s"
                        .formatted(one("project"), one("occurrence"));
        };
    }

    private String deleteOccurrence() {
        return "DELETE FROM results.occurrence WHERE id IN (%s, %s)".formatted(one("occurrence"), one("occurrence"));
    }

    private String newCaptures() {
        return """
                INSERT INTO results.capture (project_id, deployment_id, event_id, path, captured_at, byte_size)
                SELECT e.project_id, e.deployment_id, CASE WHEN n > 1 THEN e.id END, '%d/' || n, %s, %s
                FROM results.event e, generate_series(1, %d) n WHERE e.id = %s ON CONFLICT DO NOTHING""".formatted(random.nextInt(), maybeTime(), bytes(), 1 + random.nextInt(3), one("event"));
    }

    private String changeCapture() {
        return switch (random.nextInt(4)) {
            case 0 ->
                "UPDATE results.capture SET event_id = %s WHERE id = %s".formatted(maybe("event"), one("capture"));
            case 1 ->
                "UPDATE results.capture SET captured_at = %s, byte_size = %s WHERE id = %s"
                        .formatted(maybeTime(), bytes(), one("capture"));
            case 2 ->
                "UPDATE results.capture c SET deployment_id = d.id, project_id = d.project_id FROM results.deployment d WHERE d.id = %s AND c.id = %s"
                        .formatted(one("deployment"), one("capture"));
            default ->
                "UPDATE results.capture SET event_id = %s WHERE event_id = %s".formatted(maybe("event"), one("event"));
        };
    }

    private String deleteCapture() {
        return "DELETE FROM results.capture WHERE id = " + one("capture");
    }

    private String identify() {
        return "INSERT INTO results.identification (occurrence_id, taxon_id) SELECT o.id, %s FROM results.occurrence o WHERE o.id IN (%s, %s)"
                .formatted(one("taxon"), one("occurrence"), one("occurrence"));
    }

    private String changeIdentification() {
        return switch (random.nextInt(3)) {
            case 0 -> "UPDATE results.identification SET withdrawn = NOT withdrawn WHERE id = " + one("identification");
            case 1 -> "DELETE FROM results.identification WHERE id = " + one("identification");
            default ->
                "UPDATE results.identification SET occurrence_id = %s WHERE id = %s"
                        .formatted(one("occurrence"), one("identification"));
        };
    }

    private String classify() {
        return """
                INSERT INTO results.classification (detection_id, taxon_id, algorithm_id, score)
                SELECT %s, %s, %s, n / 10.0 FROM generate_series(1, %d) n ON CONFLICT DO NOTHING""".formatted(one("detection"), one("taxon"), one("algorithm"), 1 + random.nextInt(3));
    }

    private String changeClassification() {
        return switch (random.nextInt(3)) {
            case 0 ->
                "UPDATE results.classification SET detection_id = %s WHERE id = %s"
                        .formatted(one("detection"), one("classification"));
            case 1 ->
                "UPDATE results.classification SET algorithm_id = %s WHERE id = %s"
                        .formatted(one("algorithm"), one("classification"));
            default -> "DELETE FROM results.classification WHERE id = " + one("classification");
        };
    }

    private String process() {
        String status = random.nextInt(3) == 0 ? "failed" : "processed";
        return """
                MERGE INTO results.job_capture j USING (SELECT %s AS job_id, id AS capture_id FROM results.capture WHERE id IN (%s, %s)) n
                ON j.job_id = n.job_id AND j.capture_id = n.capture_id
                WHEN MATCHED THEN UPDATE SET status = '%s'
                WHEN NOT MATCHED THEN INSERT (job_id, capture_id, status) VALUES (n.job_id, n.capture_id, '%s')""".formatted(one("job"), one("capture"), one("capture"), status, status);
    }

    private String forget() {
        return random.nextBoolean()
                ? "DELETE FROM results.job_capture WHERE capture_id = " + one("capture")
                : "UPDATE results.job_capture SET job_id = %s WHERE capture_id = %s"
                        .formatted(one("job"), one("capture"));
    }

    private String threshold() {
        return "UPDATE results.project SET score_threshold = %d / 10.0 WHERE id = %s"
                .formatted(random.nextInt(11), one("project"));
    }

    private String listTaxon() {
        return "INSERT INTO results.project_%s_taxon SELECT %s, %s ON CONFLICT DO NOTHING"
                .formatted(list(), one("project"), one("taxon"));
    }

    private String unlistTaxon() {
        return random.nextInt(3) == 0
                ? "UPDATE results.project_%s_taxon SET project_id = %s WHERE taxon_id = %s"
                        .formatted(list(), one("project"), one("taxon"))
                : "DELETE FROM results.project_%s_taxon WHERE project_id = %s".formatted(list(), one("project"));
    }

    private String moveTaxon() {
        return "UPDATE results.taxon SET parent_id = %s WHERE id = %s".formatted(maybe("taxon"), one("taxon"));
    }

    private String changeTaxa() {
        return random.nextInt(3) == 0
                ? "DELETE FROM results.taxon WHERE id = (SELECT max(t.id) FROM results.taxon t WHERE t.parent_id IS NOT NULL AND t.id > 20)"
                : "INSERT INTO results.taxon (name, parent_id) SELECT md5(random()::text), " + one("taxon");
    }

    private String changeEvent() {
        return random.nextBoolean()
                ? "INSERT INTO results.event (project_id, deployment_id, group_by) SELECT project_id, id, '%d' FROM results.deployment WHERE id = %s"
                        .formatted(random.nextInt(), one("deployment"))
                : "UPDATE results.event e SET deployment_id = d.id, project_id = d.project_id FROM results.deployment d WHERE d.id = %s AND e.id = %s"
                        .formatted(one("deployment"), one("event"));
    }

    private String changeDeployment() {
        return random.nextBoolean()
                ? "INSERT INTO results.deployment (project_id, name) SELECT %s, 'new'".formatted(one("project"))
                : "UPDATE results.deployment SET project_id = %s, name = 'moved' WHERE id = %s"
                        .formatted(one("project"), one("deployment"));
    }

    private String changeJob() {
        return switch (random.nextInt(3)) {
            case 0 -> "UPDATE results.job SET pipeline_id = %s WHERE id = %s".formatted(maybe("pipeline"), one("job"));
            case 1 ->
                "UPDATE results.job SET total_captures = %d, status = 'working' WHERE id = %s"
                        .formatted(random.nextInt(100), one("job"));
            default ->
                "INSERT INTO results.job (project_id, pipeline_id, total_captures) SELECT %s, %s, 7"
                        .formatted(one("project"), maybe("pipeline"));
        };
    }

    private String changePipeline() {
        return switch (random.nextInt(3)) {
            case 0 ->
                "INSERT INTO results.pipeline_algorithm SELECT %s, %s ON CONFLICT DO NOTHING"
                        .formatted(one("pipeline"), one("algorithm"));
            case 1 ->
                "DELETE FROM results.pipeline_algorithm WHERE pipeline_id = %s AND algorithm_id = %s"
                        .formatted(one("pipeline"), one("algorithm"));
            default ->
                "UPDATE results.pipeline_algorithm SET pipeline_id = %s WHERE algorithm_id = %s"
                        .formatted(one("pipeline"), one("algorithm"));
        };
    }

    private String truncate() {
        return "TRUNCATE results."
                + any(List.of(
                        "classification",
                        "job_capture",
                        "identification",
                        "project_included_taxon",
                        "project_excluded_taxon"));
    }

    private String newProject() {
        return """
                WITH p AS (INSERT INTO results.project (name) VALUES ('new') RETURNING id),
                d AS (INSERT INTO results.deployment (project_id) SELECT id FROM p RETURNING id, project_id),
                e AS (INSERT INTO results.event (project_id, deployment_id, group_by) SELECT project_id, id, 'x' FROM d RETURNING *)
                INSERT INTO results.capture (project_id, deployment_id, event_id, path)
                SELECT project_id, deployment_id, id, 'n' || n FROM e, generate_series(1, 5) n""";
    }

    private String deleteProject() {
        return "DELETE FROM results.project WHERE id = (SELECT max(id) FROM results.project WHERE id > 2)";
    }

    private String deleteEventOrDeployment() {
        return random.nextInt(4) == 0
                ? "DELETE FROM results.deployment WHERE id = (SELECT max(id) FROM results.deployment WHERE id > 3)"
                : "DELETE FROM results.event WHERE id = (SELECT max(id) FROM results.event WHERE id > 6)";
    }

    /** The ID of some row that the statement sees; NULL if there is none. */
    private String one(String table) {
        return "(SELECT id FROM results.%s ORDER BY hashint8extended(id, %d) LIMIT 1)"
                .formatted(table, random.nextInt());
    }

    private String maybe(String table) {
        return random.nextInt(5) == 0 ? "NULL" : one(table);
    }

    private String score() {
        return random.nextInt(8) == 0 ? "NULL" : random.nextInt(11) + " / 10.0";
    }

    private String box() {
        return "ARRAY[%d, %d, 9, 9]::float8[]".formatted(random.nextInt(50), random.nextInt(50));
    }

    /** One of a few values, so that several rows share an extremum and lose it. */
    private String time() {
        return "timestamptz '2026-06-01 00:00Z' + interval '1 minute' * " + random.nextInt(30);
    }

    private String maybeTime() {
        return random.nextInt(6) == 0 ? "NULL" : time();
    }

    private String bytes() {
        return random.nextInt(6) == 0 ? "NULL" : Integer.toString(random.nextInt(1000));
    }

    private String list() {
        return random.nextBoolean() ? "included" : "excluded";
    }

    private <T> T any(List<T> choices) {
        return choices.get(random.nextInt(choices.size()));
    }
}
