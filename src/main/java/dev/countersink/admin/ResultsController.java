package dev.countersink.admin;

import dev.countersink.db.ResultsReads;
import jakarta.servlet.http.HttpServletRequest;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.dao.DataAccessException;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RestController;

/** Results of a job by HTTP, as workers of ML pipelines send them. */
@RestController
class ResultsController {
    private static final Logger LOG = LoggerFactory.getLogger(ResultsController.class);
    /** After the database has not answered: senders do not wait for it one after the other. */
    private static final Duration UNASKED = Duration.ofSeconds(10);

    private final ResultIntake intake;
    private final ResultsReads results;
    private volatile long unansweredAt = System.nanoTime() - UNASKED.toNanos();

    ResultsController(ResultIntake intake, ResultsReads results) {
        this.intake = intake;
        this.results = results;
    }

    /** Publishes the results. They are applied soon afterwards, or become dead letters. A request has one row in the audit log. */
    @PostMapping({"/api/v2/jobs/{id}/result", "/api/v2/jobs/{id}/result/"})
    @Needs(value = Role.OPERATOR, auditedFirst = false)
    ResponseEntity<Map<String, Object>> results(@PathVariable long id, HttpServletRequest request) throws IOException {
        requireJob(id);
        ResultIntake.Outcome outcome = intake.take(id, body(request), request.getContentLengthLong());
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("status", "accepted");
        answer.put("job_id", id);
        answer.put("results_queued", outcome.queued());
        answer.put("results_rejected", outcome.broken());
        answer.put("rejected", outcome.rejected());
        return ResponseEntity.accepted().body(answer);
    }

    /** If the database cannot be reached, the job is not checked: if it does not exist, the message becomes a dead letter. */
    private void requireJob(long id) {
        if (System.nanoTime() - unansweredAt < UNASKED.toNanos()) {
            return;
        }
        try {
            if (!results.hasJob(id)) {
                throw new NotFoundException(
                        "RS001",
                        String.format(Locale.ROOT, "There is no job %d.", id),
                        "Send results to the id of a row of results.job.");
            }
        } catch (DataAccessException e) {
            unansweredAt = System.nanoTime();
            LOG.debug("Results are taken without a look at their job: {}", e.getMessage());
        }
    }

    private static InputStream body(HttpServletRequest request) throws IOException {
        String encoding = request.getHeader(HttpHeaders.CONTENT_ENCODING);
        String name = encoding == null ? "" : encoding.strip().toLowerCase(Locale.ROOT);
        return switch (name) {
            case "", "identity" -> request.getInputStream();
            case "gzip", "x-gzip" -> gzip(request.getInputStream());
            default ->
                throw notUnderstood(
                        HttpStatus.UNSUPPORTED_MEDIA_TYPE,
                        String.format(Locale.ROOT, "The Content-Encoding is \"%s\".", encoding));
        };
    }

    private static InputStream gzip(InputStream body) throws IOException {
        try {
            return new GZIPInputStream(body);
        } catch (ZipException | EOFException e) {
            throw notUnderstood(HttpStatus.BAD_REQUEST, "The body is not gzip, which its Content-Encoding says it is.");
        }
    }

    private static IntakeRefusedException notUnderstood(HttpStatus status, String message) {
        return new IntakeRefusedException(
                status, "RS010", message, "Send the body as it is, or compressed with gzip.", 0, 0, List.of());
    }
}
