package dev.countersink.demo;

import java.util.Locale;
import java.util.Random;

/**
 * Realistic result messages; the same seed gives the same messages. Each has one image. One image in five is empty. On
 * average there are 5.5 detections an image and 1.9 classifications a detection, with scores of two and of twenty classes.
 */
public final class Workload {
    private static final int SPECIES = 3000;
    private static final int GENERA = 300;
    private static final int SCORES = 20;
    private static final double EMPTY = 0.2;
    private static final double ONE_CLASSIFICATION = 0.1;

    private final Random random;

    public Workload(long seed) {
        this.random = new Random(seed);
    }

    /** The message of one capture, as JSON. */
    public String message(long capture) {
        StringBuilder json = new StringBuilder(4096);
        json.append("{\"pipeline\":\"moths\",\"total_time\":1.2,\"source_images\":[{\"id\":\"")
                .append(capture)
                .append("\"}],\"detections\":[");
        // the mean of images with detections is higher, so that all images together have 5.5
        int detections = random.nextDouble() < EMPTY ? 0 : 1 + random.nextInt(12);
        detections = detections == 0 ? 0 : Math.max(1, (int) Math.round(detections * 5.5 / (6.5 * (1 - EMPTY))));
        for (int i = 0; i < detections; i++) {
            detection(json.append(i == 0 ? "" : ","), capture, i);
        }
        return json.append("]}").toString();
    }

    private void detection(StringBuilder json, long capture, int i) {
        double x = 100.0 * i + random.nextInt(100);
        double y = random.nextInt(2000);
        json.append(String.format(
                Locale.ROOT,
                "{\"source_image_id\":\"%d\",\"bbox\":{\"x1\":%.1f,\"y1\":%.1f,\"x2\":%.1f,\"y2\":%.1f},"
                        + "\"algorithm\":{\"name\":\"finder\",\"key\":\"finder\"},\"timestamp\":\"2026-06-01T22:00:00Z\","
                        + "\"crop_image_url\":\"crops/%d-%d.jpg\",\"classifications\":[",
                capture,
                x,
                y,
                x + 80,
                y + 60,
                capture,
                i));
        double moth = random.nextDouble();
        classification(json, "Genus 1", "moth-or-not", false, moth, 2);
        if (random.nextDouble() >= ONE_CLASSIFICATION) {
            // a few species make up most of a night
            int species = (int) (SPECIES * Math.pow(random.nextDouble(), 3));
            int genus = 1 + species % GENERA;
            classification(
                    json.append(','),
                    "Genus " + genus + " species " + (1 + species / GENERA),
                    "species",
                    true,
                    random.nextDouble(),
                    SCORES);
        }
        json.append("]}");
    }

    private void classification(
            StringBuilder json, String label, String algorithm, boolean terminal, double score, int scores) {
        json.append(String.format(
                Locale.ROOT,
                "{\"classification\":\"%s\",\"terminal\":%b,\"algorithm\":{\"name\":\"%s\",\"key\":\"%s\"},"
                        + "\"timestamp\":\"2026-06-01T22:00:00Z\",\"scores\":[%.6f",
                label,
                terminal,
                algorithm,
                algorithm,
                score));
        for (int i = 1; i < scores; i++) {
            json.append(String.format(Locale.ROOT, ",%.6f", score * random.nextDouble()));
        }
        json.append("]}");
    }
}
