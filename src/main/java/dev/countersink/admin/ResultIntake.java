package dev.countersink.admin;

import dev.countersink.config.IntakeSettings;
import dev.countersink.ingest.IngestMetrics;
import dev.countersink.ingest.message.DecodeException;
import dev.countersink.ingest.message.DecodedMessage;
import dev.countersink.ingest.message.MessageDecoder;
import dev.countersink.ingest.message.ResultList;
import dev.countersink.ingest.message.Subjects;
import dev.countersink.ingest.nats.ResultPublisher;
import java.io.EOFException;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.zip.ZipException;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.stereotype.Component;

/**
 * Takes results that come by HTTP. It splits the body into its entries while it arrives, publishes those that can be decoded,
 * and answers once the server has confirmed them. Its use of memory does not depend on the size of the body.
 */
@Component
class ResultIntake {
    private static final String UNDECODABLE = "RS010";
    private static final String TOO_LARGE = "RS012";
    private static final String FULL = "53100";
    private static final String UNREACHABLE = "08006";
    /** Further rejected entries are only counted. */
    private static final int MOST_TOLD = 1000;

    private static final long SOON_SECONDS = 1;
    private static final long LATER_SECONDS = 10;

    private final IntakeSettings settings;
    private final ResultPublisher publisher;
    private final MessageDecoder decoder;
    private final IngestMetrics metrics;
    private final Semaphore requests;

    ResultIntake(IntakeSettings settings, ResultPublisher publisher, MessageDecoder decoder, IngestMetrics metrics) {
        this.settings = settings;
        this.publisher = publisher;
        this.decoder = decoder;
        this.metrics = metrics;
        this.requests = new Semaphore(settings.maxRequests());
    }

    /**
     * An entry that was not published.
     *
     * @param index its index in the list, from 0
     * @param code the SQLSTATE that a dead letter would have
     */
    record Rejected(int index, String code, String detail) {}

    /** What was done with a body. */
    record Outcome(long queued, long broken, List<Rejected> rejected) {}

    /**
     * Takes the results of a job.
     *
     * @param contentLength as the sender gives it, -1 if it does not
     * @throws IntakeRefusedException if the body, or a part of it, cannot be taken
     */
    Outcome take(long job, InputStream body, long contentLength) throws IOException {
        requireSize(contentLength, 0);
        String refusal = metrics.refusal();
        if (refusal != null) {
            throw refused(HttpStatus.SERVICE_UNAVAILABLE, UNREACHABLE, refusal, LATER_SECONDS);
        }
        if (settings.maxBacklog() > 0 && metrics.backlog() > settings.maxBacklog()) {
            throw refused(
                    HttpStatus.TOO_MANY_REQUESTS,
                    FULL,
                    String.format(
                            Locale.ROOT,
                            "%d messages wait to be applied, and COUNTERSINK_INTAKE_MAX_BACKLOG allows %d.",
                            metrics.backlog(),
                            settings.maxBacklog()),
                    LATER_SECONDS);
        }
        if (!requests.tryAcquire()) {
            throw refused(
                    HttpStatus.TOO_MANY_REQUESTS,
                    Problems.TOO_MANY,
                    String.format(
                            Locale.ROOT,
                            "%d requests are being read, the most that COUNTERSINK_INTAKE_MAX_REQUESTS allows.",
                            settings.maxRequests()),
                    SOON_SECONDS);
        }
        try {
            return new Reading(job).read(new Bounded(body));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        } finally {
            requests.release();
        }
    }

    private void requireSize(long bytes, long queued) {
        if (bytes > settings.maxBody().toBytes()) {
            throw new IntakeRefusedException(
                    HttpStatus.CONTENT_TOO_LARGE,
                    TOO_LARGE,
                    String.format(
                            Locale.ROOT,
                            "The body has more than %d MB, the most that COUNTERSINK_INTAKE_MAX_BODY allows.",
                            settings.maxBody().toMegabytes()),
                    "Send the results in several requests; those that were queued may be sent again.",
                    0,
                    queued,
                    List.of());
        }
    }

    private static IntakeRefusedException refused(HttpStatus status, String code, String message, long seconds) {
        return new IntakeRefusedException(
                status, code, message, "Send the same request again after Retry-After.", seconds, 0, List.of());
    }

    /** Reads one body. */
    private final class Reading {
        private final String subject;
        private final ResultPublisher.Sending sending;
        private final List<Rejected> rejected = new ArrayList<>();
        private long broken;

        Reading(long job) {
            this.subject = Subjects.PREFIX + job;
            this.sending = publisher.begin(subject);
        }

        Outcome read(Bounded body) throws IOException, InterruptedException {
            ResultList results = new ResultList(body, publisher.mostBytes());
            @Nullable IOException failure = null;
            try {
                boolean going = true;
                for (ResultList.Entry entry = results.next(); entry != null && going; entry = results.next()) {
                    going = take(entry);
                }
            } catch (IOException e) {
                failure = e;
            }
            // The answer says what was published, even if reading failed.
            ResultPublisher.Refusal refusal = sending.finish();
            requireSize(body.read, sending.confirmed());
            if (refusal != null) {
                throw interrupted(refusal);
            }
            if (failure instanceof ResultList.NotAListException) {
                throw invalid(String.valueOf(failure.getMessage()));
            }
            if (failure instanceof ZipException || failure instanceof EOFException) {
                throw invalid("The body ends too early, or is not gzip from some place on.");
            }
            if (failure != null) {
                throw failure;
            }
            if (sending.confirmed() == 0 && broken > 0) {
                throw invalid(String.format(Locale.ROOT, "None of the %d results can be read.", broken));
            }
            return new Outcome(sending.confirmed(), broken, rejected);
        }

        private boolean take(ResultList.Entry entry) throws InterruptedException {
            byte[] bytes = entry.bytes();
            if (bytes == null) {
                reject(entry.index(), UNDECODABLE, String.valueOf(entry.fault()));
                return true;
            }
            var origin = new DecodedMessage.Origin("", 0, subject, Map.of(), bytes);
            for (DecodedMessage result : DecodedMessage.decode(decoder, origin)) {
                DecodeException fault = result.fault();
                if (fault != null) {
                    reject(entry.index(), fault.sqlState(), result.explain(fault.reason()));
                    return true;
                }
            }
            return sending.publish(bytes);
        }

        private void reject(int index, String code, String detail) {
            broken++;
            if (rejected.size() < MOST_TOLD) {
                rejected.add(new Rejected(index, code, detail));
            }
        }

        private IntakeRefusedException invalid(String message) {
            return new IntakeRefusedException(
                    HttpStatus.BAD_REQUEST,
                    Problems.INVALID_PARAMETER,
                    message,
                    "Send a list of results, or {\"results\": […]}, as JSON in UTF-8.",
                    0,
                    sending.confirmed(),
                    rejected);
        }

        private IntakeRefusedException interrupted(ResultPublisher.Refusal refusal) {
            boolean full = refusal == ResultPublisher.Refusal.FULL;
            return new IntakeRefusedException(
                    full ? HttpStatus.TOO_MANY_REQUESTS : HttpStatus.SERVICE_UNAVAILABLE,
                    full ? FULL : UNREACHABLE,
                    full
                            ? "The stream RESULTS takes no more messages at present."
                            : "The NATS server does not confirm what is published.",
                    "Send the same request again after Retry-After: results that were queued are applied only once.",
                    LATER_SECONDS,
                    sending.confirmed(),
                    rejected);
        }
    }

    /** Stops reading a body that is longer than allowed. */
    private final class Bounded extends FilterInputStream {
        private long read;

        Bounded(InputStream in) {
            super(in);
        }

        @Override
        public int read(byte[] target, int offset, int length) throws IOException {
            int count = in.read(target, offset, length);
            read += Math.max(count, 0);
            if (read > settings.maxBody().toBytes()) {
                throw new IOException("The body is too long.");
            }
            return count;
        }
    }
}
