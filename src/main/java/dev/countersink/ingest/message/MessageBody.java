package dev.countersink.ingest.message;

import java.util.List;

/**
 * A decoded message: exactly one of {@code result} and {@code error} is set.
 *
 * @param replySubject where to publish {@code +ACK} after the commit, or null
 */
public record MessageBody(Result result, ErrorReport error, String replySubject) {

    /** What a pipeline found on some captures. */
    public record Result(String pipeline, long[] sourceImages, List<Detection> detections) {}

    /** A null {@code box} says that the algorithm looked and found nothing. */
    public record Detection(
            long captureId,
            Box box,
            String algorithm,
            String cropUrl,
            long detectedAt,
            List<Classification> classifications) {}

    public record Box(double x1, double y1, double x2, double y2) {}

    /** {@code score} is the highest of {@code scores}; the arrays are null when the message has none. */
    public record Classification(
            String label,
            String algorithm,
            double score,
            boolean terminal,
            float[] scores,
            float[] logits,
            long classifiedAt) {}

    /** A null {@code captureId} says that the error concerns no capture in particular. */
    public record ErrorReport(Long captureId, String error) {}

    /** About how many bytes of heap this takes. */
    long weight() {
        if (result == null) {
            return 200 + 2L * error.error().length();
        }
        long weight = 200 + 8L * result.sourceImages().length;
        for (Detection detection : result.detections()) {
            weight += 250;
            for (Classification classification : detection.classifications()) {
                weight += 200 + 4L * length(classification.scores()) + 4L * length(classification.logits());
            }
        }
        return weight;
    }

    private static int length(float[] values) {
        return values == null ? 0 : values.length;
    }
}
