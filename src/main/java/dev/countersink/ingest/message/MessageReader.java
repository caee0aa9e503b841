package dev.countersink.ingest.message;

import dev.countersink.config.MessageSettings;
import dev.countersink.ingest.message.MessageBody.Box;
import dev.countersink.ingest.message.MessageBody.Classification;
import dev.countersink.ingest.message.MessageBody.Detection;
import dev.countersink.ingest.message.MessageBody.ErrorReport;
import dev.countersink.ingest.message.MessageBody.Numbers;
import dev.countersink.ingest.message.MessageBody.Result;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JsonParser;

/**
 * Reads one result, or a document that holds only one. Fields may have any order, and unknown ones are skipped. If a field occurs
 * twice, the last one counts, as in most JSON readers. A field with an unsuitable value is stored as a fault and skipped, because
 * a later field may turn the document into an error report, which counts whatever else it holds.
 */
final class MessageReader {
    private static final @Nullable Box NO_BOX = null;

    private final JsonValues values;
    private final MemoryBudget budget;
    private final NumberReader scoreReader;
    private final NumberReader logitReader;

    private @Nullable String replySubject;
    private @Nullable String pipeline;
    private long @Nullable [] sourceImages;
    private @Nullable List<Detection> detections;
    private @Nullable String errors;
    private @Nullable String error;
    private boolean hasError;
    private @Nullable Long errorCapture;
    private boolean enveloped;
    private @Nullable DecodeException fault;
    private @Nullable DecodeException captureFault;

    MessageReader(JsonParser json, MemoryBudget budget, MessageSettings settings) {
        this.budget = budget;
        this.values = new JsonValues(json, budget, settings.maxText());
        this.scoreReader = new NumberReader(settings.storedScores());
        this.logitReader = new NumberReader(settings.storedLogits());
    }

    JsonValues values() {
        return values;
    }

    /** Forgets the result that was read last. */
    void reset() {
        replySubject = null;
        pipeline = null;
        sourceImages = null;
        detections = null;
        errors = null;
        error = null;
        hasError = false;
        errorCapture = null;
        enveloped = false;
        fault = null;
        captureFault = null;
    }

    /** The reply subject, if it was read already. */
    @Nullable
    String replySubject() {
        return replySubject;
    }

    /** Whether something besides the envelope was read. */
    boolean hasBody() {
        return pipeline != null || sourceImages != null || detections != null || hasError || fault != null;
    }

    /** Reads a field of a result, or of the envelope around it. */
    void field(String name) throws DecodeException {
        switch (name) {
            case "reply_subject" -> replySubject = subject();
            case "result" -> envelope();
            default -> bodyField(name);
        }
    }

    private void envelope() throws DecodeException {
        if (values.isNull()) {
            return;
        }
        values.expectObject();
        enveloped = true;
        for (String field = values.nextField(); field != null; field = values.nextField()) {
            bodyField(field);
        }
    }

    private void bodyField(String field) throws DecodeException {
        int outside = values.depthOutside();
        try {
            switch (field) {
                case "pipeline" -> pipeline = values.name();
                case "source_images" -> sourceImages = sourceImages();
                case "detections" -> detections = detections();
                case "errors" -> errors = values.textOrList();
                case "error" -> error();
                case "image_id" -> errorCapture();
                default -> values.skip(field);
            }
        } catch (DecodeException e) {
            if (e.endsTheMessage() || field.equals("error")) {
                throw e;
            }
            fault = fault == null ? e : fault;
            values.leave(outside);
        }
    }

    private void error() throws DecodeException {
        if (!values.isNull()) {
            error = values.textOrList();
            hasError = true;
        }
    }

    /** In a result this field has no meaning, so it may have any value. */
    private void errorCapture() throws DecodeException {
        captureFault = null;
        errorCapture = null;
        int outside = values.depthOutside();
        try {
            errorCapture = values.idOrNull();
        } catch (DecodeException e) {
            if (e.endsTheMessage()) {
                throw e;
            }
            captureFault = e;
            values.leave(outside);
        }
    }

    /** Makes the body from the fields. */
    MessageBody finish() throws DecodeException {
        boolean nothingElse = pipeline == null && sourceImages == null && detections == null;
        if (error != null || (hasError && nothingElse)) {
            if (captureFault != null) {
                throw captureFault;
            }
            return new MessageBody(null, new ErrorReport(errorCapture, error == null ? "" : error), replySubject);
        }
        if (fault != null) {
            throw fault;
        }
        if (nothingElse) {
            throw DecodeException.undecodable(
                    (enveloped ? "the envelope's result" : values.place()) + " is neither a result nor an error.");
        }
        return new MessageBody(
                new Result(
                        given(pipeline, "pipeline"),
                        given(sourceImages, "source_images"),
                        given(detections, "detections"),
                        errors),
                null,
                replySubject);
    }

    private @Nullable String subject() throws DecodeException {
        String subject = values.text();
        if (subject != null && !Subjects.isPublishable(subject)) {
            throw values.unfit("not a subject that can be published to");
        }
        return subject;
    }

    private long[] sourceImages() throws DecodeException {
        values.expectArray();
        long[] ids = new long[1];
        int count = 0;
        while (values.nextElement()) {
            values.expectObject();
            if (count == ids.length) {
                budget.requireRoom(2L * Long.BYTES * count);
                ids = Arrays.copyOf(ids, count * 2);
            }
            ids[count++] = sourceImage();
        }
        budget.array(count, Long.BYTES);
        return Arrays.copyOf(ids, count);
    }

    private long sourceImage() throws DecodeException {
        long id = 0;
        boolean given = false;
        for (String field = values.nextField(); field != null; field = values.nextField()) {
            if (field.equals("id")) {
                id = values.id();
                given = true;
            } else {
                values.skip(field);
            }
        }
        require(given, "id");
        return id;
    }

    private List<Detection> detections() throws DecodeException {
        values.expectArray();
        List<Detection> list = new ArrayList<>();
        budget.take(MemoryBudget.LIST_BYTES);
        while (values.nextElement()) {
            values.expectObject();
            budget.take(MemoryBudget.DETECTION_BYTES);
            list.add(detection());
        }
        return list;
    }

    private Detection detection() throws DecodeException {
        Long capture = null;
        Box box = NO_BOX;
        String algorithm = null;
        String crop = null;
        Long detectedAt = null;
        List<Classification> classifications = List.of();
        for (String field = values.nextField(); field != null; field = values.nextField()) {
            switch (field) {
                case "source_image_id" -> capture = values.id();
                case "bbox" -> box = values.isNull() ? NO_BOX : box();
                case "algorithm" -> algorithm = algorithm();
                case "crop_image_url" -> crop = values.text();
                case "timestamp" -> detectedAt = values.timestamp();
                case "classifications" -> classifications = values.isNull() ? List.of() : classifications();
                default -> values.skip(field);
            }
        }
        return new Detection(
                given(capture, "source_image_id"),
                box,
                given(algorithm, "algorithm"),
                crop,
                given(detectedAt, "timestamp"),
                classifications);
    }

    private Box box() throws DecodeException {
        values.expectObject();
        budget.take(MemoryBudget.BOX_BYTES);
        double[] corner = {Double.NaN, Double.NaN, Double.NaN, Double.NaN};
        for (String field = values.nextField(); field != null; field = values.nextField()) {
            switch (field) {
                case "x1" -> corner[0] = values.number();
                case "y1" -> corner[1] = values.number();
                case "x2" -> corner[2] = values.number();
                case "y2" -> corner[3] = values.number();
                default -> values.skip(field);
            }
        }
        require(!Double.isNaN(corner[0]), "x1");
        require(!Double.isNaN(corner[1]), "y1");
        require(!Double.isNaN(corner[2]), "x2");
        require(!Double.isNaN(corner[3]), "y2");
        return new Box(corner[0], corner[1], corner[2], corner[3]);
    }

    /** Reads the key. Algorithms are identified by it, whatever name a worker sends. */
    private String algorithm() throws DecodeException {
        values.expectObject();
        String key = null;
        for (String field = values.nextField(); field != null; field = values.nextField()) {
            if (field.equals("key")) {
                key = values.name();
            } else {
                values.skip(field);
            }
        }
        return given(key, "key");
    }

    private List<Classification> classifications() throws DecodeException {
        values.expectArray();
        List<Classification> list = new ArrayList<>(2);
        budget.take(MemoryBudget.LIST_BYTES);
        while (values.nextElement()) {
            values.expectObject();
            budget.take(MemoryBudget.CLASSIFICATION_BYTES);
            list.add(classification());
        }
        return list;
    }

    private Classification classification() throws DecodeException {
        String label = null;
        String algorithm = null;
        boolean terminal = true;
        double score = Double.NEGATIVE_INFINITY;
        Numbers scores = Numbers.NONE;
        Numbers logits = Numbers.NONE;
        Long classifiedAt = null;
        for (String field = values.nextField(); field != null; field = values.nextField()) {
            switch (field) {
                case "classification" -> label = values.name();
                case "scores" -> {
                    score = values.scores(scoreReader);
                    scores = scoreReader.end(budget);
                }
                case "logits" -> logits = values.logits(logitReader);
                case "algorithm" -> algorithm = algorithm();
                case "terminal" -> terminal = values.isNull() || values.bool();
                case "timestamp" -> classifiedAt = values.timestamp();
                default -> values.skip(field);
            }
        }
        String named = given(label, "classification");
        String by = given(algorithm, "algorithm");
        long at = given(classifiedAt, "timestamp");
        if (score == Double.NEGATIVE_INFINITY) {
            throw new DecodeException(
                    DecodeException.NO_SCORES,
                    "The classification \"" + named + "\" at " + values.place() + " has no scores.");
        }
        return new Classification(named, by, score, terminal, scores, logits, at);
    }

    private <T> T given(@Nullable T value, String field) throws DecodeException {
        if (value == null) {
            throw values.missing(field);
        }
        return value;
    }

    private void require(boolean given, String field) throws DecodeException {
        if (!given) {
            throw values.missing(field);
        }
    }
}
