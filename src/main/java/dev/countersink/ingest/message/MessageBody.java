package dev.countersink.ingest.message;

import java.util.List;

/**
 * One result, decoded: exactly one of {@code result} and {@code error} is set.
 *
 * @param replySubject where to publish {@code +ACK} after the commit, or null
 */
public record MessageBody(Result result, ErrorReport error, String replySubject) {

    /**
     * The findings of a pipeline on some captures.
     *
     * @param errors why nothing was found on the captures without a detection, or null
     */
    public record Result(String pipeline, long[] sourceImages, List<Detection> detections, String errors) {}

    /** A null {@code box} means that the algorithm looked and found nothing. */
    public record Detection(
            long captureId,
            Box box,
            String algorithm,
            String cropUrl,
            long detectedAt,
            List<Classification> classifications) {}

    public record Box(double x1, double y1, double x2, double y2) {}

    /** {@code score} is the highest of all scores in the message, even if not all of them are stored. */
    public record Classification(
            String label,
            String algorithm,
            double score,
            boolean terminal,
            Numbers scores,
            Numbers logits,
            long classifiedAt) {}

    /**
     * Numbers to be stored.
     *
     * @param values null if there are none
     * @param classes the class of each value, from 0; null if all classes are there, in order
     */
    public record Numbers(float[] values, int[] classes) {
        public static final Numbers NONE = new Numbers(null, null);
    }

    /** A null {@code captureId} means that the error is not about a particular capture. */
    public record ErrorReport(Long captureId, String error) {}
}
