package dev.countersink.ingest.message;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One result, decoded: exactly one of {@code result} and {@code error} is set.
 *
 * @param replySubject where to publish {@code +ACK} after the commit, or null
 */
public record MessageBody(
        @Nullable Result result,
        @Nullable ErrorReport error,
        @Nullable String replySubject) {

    /**
     * The findings of a pipeline on some captures.
     *
     * @param errors why nothing was found on the captures without a detection, or null
     */
    public record Result(
            String pipeline,
            long[] sourceImages,
            List<Detection> detections,
            @Nullable String errors) {}

    /** A null {@code box} means that the algorithm looked and found nothing. */
    public record Detection(
            long captureId,
            @Nullable Box box,
            String algorithm,
            @Nullable String cropUrl,
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
    public record Numbers(float @Nullable [] values, int @Nullable [] classes) {
        public static final Numbers NONE = new Numbers(null, null);
    }

    /** A null {@code captureId} means that the error is not about a particular capture. */
    public record ErrorReport(@Nullable Long captureId, String error) {}
}
