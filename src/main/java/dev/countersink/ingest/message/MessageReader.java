package dev.countersink.ingest.message;

import dev.countersink.ingest.message.JsonValues.Floats;
import dev.countersink.ingest.message.MessageBody.Box;
import dev.countersink.ingest.message.MessageBody.Classification;
import dev.countersink.ingest.message.MessageBody.Detection;
import dev.countersink.ingest.message.MessageBody.ErrorReport;
import dev.countersink.ingest.message.MessageBody.Result;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import tools.jackson.core.JsonParser;

/**
 * The grammar of one message. Fields come in any order and unknown ones are passed by; of a field given twice the last
 * counts, as with most JSON readers.
 */
final class MessageReader {
    private static final Box NO_BOX = null;

    private final JsonParser json;
    private final JsonValues values;
    private String replySubject;

    private String pipeline;
    private long[] sourceImages;
    private List<Detection> detections;
    private String error;
    private Long errorCapture;
    private boolean enveloped;

    MessageReader(JsonParser json) {
        this.json = json;
        this.values = new JsonValues(json);
    }

    /** Where to answer, as far as it has been read. */
    String replySubject() {
        return replySubject;
    }

    MessageBody read() throws DecodeException {
        json.nextToken();
        values.expectObject();
        for (String field = values.nextField(); field != null; field = values.nextField()) {
            switch (field) {
                case "reply_subject" -> replySubject = subject();
                case "result" -> envelope();
                default -> bodyField(field);
            }
        }
        if (json.nextToken() != null) {
            throw DecodeException.undecodable("something follows the document.");
        }
        return finish();
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
        switch (field) {
            case "pipeline" -> pipeline = values.name();
            case "source_images" -> sourceImages = sourceImages();
            case "detections" -> detections = detections();
            case "error" -> error = values.text();
            case "image_id" -> errorCapture = values.isNull() ? null : (Long) values.id();
            default -> values.skip();
        }
    }

    private MessageBody finish() throws DecodeException {
        if (pipeline == null && error != null) {
            return new MessageBody(null, new ErrorReport(errorCapture, error), replySubject);
        }
        if (pipeline == null && sourceImages == null && detections == null) {
            throw DecodeException.undecodable(
                    (enveloped ? "the envelope's result" : "the document") + " is neither a result nor an error.");
        }
        if (pipeline == null) {
            throw values.missing("pipeline");
        }
        if (sourceImages == null) {
            throw values.missing("source_images");
        }
        if (detections == null) {
            throw values.missing("detections");
        }
        return new MessageBody(new Result(pipeline, sourceImages, detections), null, replySubject);
    }

    private String subject() throws DecodeException {
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
                ids = Arrays.copyOf(ids, count * 2);
            }
            ids[count++] = sourceImage();
        }
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
                values.skip();
            }
        }
        require(given, "id");
        return id;
    }

    private List<Detection> detections() throws DecodeException {
        values.expectArray();
        List<Detection> list = new ArrayList<>();
        while (values.nextElement()) {
            values.expectObject();
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
                default -> values.skip();
            }
        }
        require(capture != null, "source_image_id");
        require(algorithm != null, "algorithm");
        require(detectedAt != null, "timestamp");
        return new Detection(capture, box, algorithm, crop, detectedAt, classifications);
    }

    private Box box() throws DecodeException {
        values.expectObject();
        double[] corner = {Double.NaN, Double.NaN, Double.NaN, Double.NaN};
        for (String field = values.nextField(); field != null; field = values.nextField()) {
            switch (field) {
                case "x1" -> corner[0] = values.number();
                case "y1" -> corner[1] = values.number();
                case "x2" -> corner[2] = values.number();
                case "y2" -> corner[3] = values.number();
                default -> values.skip();
            }
        }
        require(!Double.isNaN(corner[0]), "x1");
        require(!Double.isNaN(corner[1]), "y1");
        require(!Double.isNaN(corner[2]), "x2");
        require(!Double.isNaN(corner[3]), "y2");
        return new Box(corner[0], corner[1], corner[2], corner[3]);
    }

    /** The key; algorithms are known by it, whatever name a worker gives them. */
    private String algorithm() throws DecodeException {
        values.expectObject();
        String key = null;
        for (String field = values.nextField(); field != null; field = values.nextField()) {
            if (field.equals("key")) {
                key = values.name();
            } else {
                values.skip();
            }
        }
        require(key != null, "key");
        return key;
    }

    private List<Classification> classifications() throws DecodeException {
        values.expectArray();
        List<Classification> list = new ArrayList<>(2);
        while (values.nextElement()) {
            values.expectObject();
            list.add(classification());
        }
        return list;
    }

    private Classification classification() throws DecodeException {
        String label = null;
        String algorithm = null;
        boolean terminal = true;
        Floats scores = null;
        Floats logits = null;
        Long classifiedAt = null;
        for (String field = values.nextField(); field != null; field = values.nextField()) {
            switch (field) {
                case "classification" -> label = values.name();
                case "scores" -> scores = values.floats();
                case "logits" -> logits = values.floats();
                case "algorithm" -> algorithm = algorithm();
                case "terminal" -> terminal = values.isNull() || values.bool();
                case "timestamp" -> classifiedAt = values.timestamp();
                default -> values.skip();
            }
        }
        require(label != null, "classification");
        require(algorithm != null, "algorithm");
        require(classifiedAt != null, "timestamp");
        if (scores == null) {
            throw new DecodeException(
                    DecodeException.NO_SCORES,
                    "The classification \"" + label + "\" at " + values.place() + " has no scores.");
        }
        float[] logit = logits == null ? null : logits.values();
        return new Classification(label, algorithm, scores.max(), terminal, scores.values(), logit, classifiedAt);
    }

    private void require(boolean given, String field) throws DecodeException {
        if (!given) {
            throw values.missing(field);
        }
    }
}
