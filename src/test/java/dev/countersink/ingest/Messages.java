package dev.countersink.ingest;

import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Random;

/** Messages as workers send them. */
public final class Messages {
    private static final String AT = "2026-04-16T22:00:00";

    private Messages() {}

    public static byte[] bytes(String json) {
        return json.getBytes(StandardCharsets.UTF_8);
    }

    /** A result for one capture; without detections it says that nothing was found. */
    public static String result(long capture, String... detections) {
        return "{\"pipeline\":\"random\",\"total_time\":1.2,\"source_images\":[{\"id\":\"" + capture
                + "\",\"url\":\"https://example.org/" + capture + ".jpg\"}],\"detections\":["
                + String.join(",", detections) + "]}";
    }

    /** A detection whose box depends on its number, with its classifications. */
    public static String detection(long capture, int number, String... classifications) {
        return String.format(
                Locale.ROOT,
                "{\"source_image_id\":\"%d\",\"bbox\":{\"x1\":%d,\"y1\":0.5,\"x2\":%d,\"y2\":9.25},"
                        + "\"algorithm\":{\"name\":\"D\",\"key\":\"random-detector\"},\"timestamp\":\"%s\","
                        + "\"crop_image_url\":\"https://example.org/crops/%d-%d.jpg\",\"classifications\":[%s]}",
                capture,
                number,
                number + 10,
                AT,
                capture,
                number,
                String.join(",", classifications));
    }

    public static String classification(String label, double score) {
        return String.format(
                Locale.ROOT,
                "{\"classification\":\"%s\",\"scores\":[%s,%s],\"terminal\":true,"
                        + "\"algorithm\":{\"name\":\"S\",\"key\":\"random-species-classifier\"},\"timestamp\":\"%s\"}",
                label,
                score,
                score / 2,
                AT);
    }

    public static String error(long capture, String text) {
        return "{\"error\":\"" + text + "\",\"image_id\":\"" + capture + "\"}";
    }

    public static String envelope(String replySubject, String result) {
        return "{\"reply_subject\":\"" + replySubject + "\",\"result\":" + result + "}";
    }

    /** A result of usual shape: some detections, each with one or two classifications of a few classes. */
    public static String usual(long capture, Random random) {
        String[] detections = new String[random.nextInt(12)];
        for (int i = 0; i < detections.length; i++) {
            detections[i] = detection(
                    capture,
                    i,
                    classification("Moth", 0.5 + random.nextInt(500) / 1000.0),
                    classification("Species " + random.nextInt(40), random.nextInt(1000) / 1000.0));
        }
        return result(capture, detections);
    }
}
