package dev.countersink.ingest.db;

import dev.countersink.ingest.message.DecodedMessage;
import dev.countersink.ingest.message.MessageBody;
import dev.countersink.ingest.message.MessageBody.Box;
import dev.countersink.ingest.message.MessageBody.Classification;
import dev.countersink.ingest.message.MessageBody.Detection;
import dev.countersink.ingest.message.MessageBody.Result;
import dev.countersink.ingest.message.Subjects;
import java.sql.SQLException;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.postgresql.copy.CopyManager;

/**
 * Copies a batch into the session's stage tables, one table after another. The column {@code msg} is the index of the message
 * in the batch. A table without rows is not touched.
 */
final class StageCopier {
    private final CopyManager manager;
    private final List<DecodedMessage> batch;
    private final Runnable sent;

    /** @param sent is told each time that some of the batch has been handed to the network */
    StageCopier(CopyManager manager, List<DecodedMessage> batch, Runnable sent) {
        this.manager = manager;
        this.batch = batch;
        this.sent = sent;
    }

    /** Returns whether there was anything to stage. */
    boolean fill() throws SQLException {
        boolean messages = table("pg_temp.stage_message", this::message);
        boolean images = table("pg_temp.stage_image", this::images);
        boolean detections = table("pg_temp.stage_detection", this::detections);
        boolean classifications = table("pg_temp.stage_classification", this::classifications);
        boolean errors = table("pg_temp.stage_error", this::error);
        return messages || images || detections || classifications || errors;
    }

    /** Writes the rows of one message. {@code Rows} starts the COPY with the first row. */
    private interface Writer {
        void write(Rows rows, int msg, DecodedMessage.Origin origin, MessageBody body) throws SQLException;
    }

    private boolean table(String name, Writer writer) throws SQLException {
        try (Rows rows = new Rows(manager, name, sent)) {
            for (int msg = 0; msg < batch.size(); msg++) {
                DecodedMessage incoming = batch.get(msg);
                MessageBody body = incoming.body();
                if (body != null) {
                    writer.write(rows, msg, incoming.origin(), body);
                }
            }
            return rows.finish();
        }
    }

    private void message(Rows rows, int msg, DecodedMessage.Origin origin, MessageBody body) throws SQLException {
        Result result = body.result();
        if (result == null) {
            return;
        }
        BinaryCopy row = rows.next(4);
        row.integer(msg);
        row.bigint(Subjects.jobId(origin.subject()));
        row.text(result.pipeline());
        row.text(result.errors());
    }

    private void images(Rows rows, int msg, DecodedMessage.Origin origin, MessageBody body) throws SQLException {
        Result result = body.result();
        if (result == null) {
            return;
        }
        for (long capture : result.sourceImages()) {
            BinaryCopy row = rows.next(2);
            row.integer(msg);
            row.bigint(capture);
        }
    }

    private void detections(Rows rows, int msg, DecodedMessage.Origin origin, MessageBody body) throws SQLException {
        Result result = body.result();
        if (result == null) {
            return;
        }
        for (Detection detection : result.detections()) {
            BinaryCopy row = rows.next(10);
            row.integer(msg);
            row.integer(rows.count() - 1);
            row.bigint(detection.captureId());
            row.text(detection.algorithm());
            box(row, detection.box());
            row.text(detection.cropUrl());
            row.timestamptz(detection.detectedAt());
        }
    }

    private static void box(BinaryCopy row, @Nullable Box box) throws SQLException {
        if (box == null) {
            for (int corner = 0; corner < 4; corner++) {
                row.nothing();
            }
            return;
        }
        row.float8(box.x1());
        row.float8(box.y1());
        row.float8(box.x2());
        row.float8(box.y2());
    }

    private void classifications(Rows rows, int msg, DecodedMessage.Origin origin, MessageBody body)
            throws SQLException {
        Result result = body.result();
        if (result == null) {
            return;
        }
        for (Detection detection : result.detections()) {
            int det = rows.parent();
            for (Classification classification : detection.classifications()) {
                BinaryCopy row = rows.next(11);
                row.integer(det);
                row.integer(rows.count() - 1);
                row.text(classification.label());
                row.text(classification.algorithm());
                row.float8(classification.score());
                row.bool(classification.terminal());
                row.float4Array(classification.scores().values());
                row.float4Array(classification.logits().values());
                row.int4Array(classification.scores().classes());
                row.int4Array(classification.logits().classes());
                row.timestamptz(classification.classifiedAt());
            }
        }
    }

    private void error(Rows rows, int msg, DecodedMessage.Origin origin, MessageBody body) throws SQLException {
        MessageBody.ErrorReport error = body.error();
        if (error == null) {
            return;
        }
        BinaryCopy row = rows.next(4);
        row.integer(msg);
        row.bigint(Subjects.jobId(origin.subject()));
        row.bigint(error.captureId());
        row.text(error.error());
    }

    /** The rows of one table, counted. */
    private static final class Rows implements AutoCloseable {
        private final CopyManager manager;
        private final String table;
        private final Runnable sent;
        private @Nullable BinaryCopy copy;
        private int count;
        private int parents;

        Rows(CopyManager manager, String table, Runnable sent) {
            this.manager = manager;
            this.table = table;
            this.sent = sent;
        }

        BinaryCopy next(int fields) throws SQLException {
            if (copy == null) {
                copy = new BinaryCopy(manager, table, sent);
            }
            copy.row(fields);
            count++;
            return copy;
        }

        int count() {
            return count;
        }

        /** Returns the number of the next parent row. Parent and child rows must be copied in the same order of the batch. */
        int parent() {
            return parents++;
        }

        boolean finish() throws SQLException {
            if (copy == null) {
                return false;
            }
            long taken = copy.finish();
            if (taken != count) {
                throw new IllegalStateException(table + " took " + taken + " rows of " + count + ".");
            }
            return true;
        }

        @Override
        public void close() throws SQLException {
            if (copy != null) {
                copy.close();
            }
        }
    }
}
