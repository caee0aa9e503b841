package dev.countersink.admin;

import dev.countersink.db.SqlError;
import jakarta.servlet.http.HttpServletResponse;
import java.util.Locale;
import java.util.Set;
import org.apache.tomcat.util.http.InvalidParameterException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.TypeMismatchException;
import org.springframework.dao.DataAccessException;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatus;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.MediaType;
import org.springframework.http.ProblemDetail;
import org.springframework.http.ResponseEntity;
import org.springframework.http.converter.HttpMessageNotReadableException;
import org.springframework.security.web.firewall.RequestRejectedException;
import org.springframework.transaction.TransactionException;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.RestControllerAdvice;
import org.springframework.web.context.request.ServletWebRequest;
import org.springframework.web.context.request.WebRequest;
import org.springframework.web.servlet.mvc.method.annotation.ResponseEntityExceptionHandler;

/** Errors as {@code application/problem+json}, with the SQLSTATE as {@code code} and what to do as {@code hint}. */
@RestControllerAdvice
class Problems extends ResponseEntityExceptionHandler {
    private static final Logger LOG = LoggerFactory.getLogger(Problems.class);
    /** No such view, no name of one, no such dead letter. */
    private static final Set<String> NOT_FOUND = Set.of("TL001", "TL003", "RS030");

    private static final String BAD_ARGUMENT = "TL018";
    /** The role of the program lacks a right. */
    private static final String NO_RIGHT = "42501";

    private static final String SCHEDULE_CHANGED = "TL021";
    static final String INVALID_PARAMETER = "22023";
    static final String NO_DATA = "02000";
    static final String INTERNAL = "XX000";
    /** More requests than are answered at the same time. */
    static final String TOO_MANY = "53400";
    /** As PostgreSQL has it: a program limit is exceeded. */
    static final String TOO_LARGE = "54000";

    private static final String UNIQUE_VIOLATION = "23505";
    private static final String TOO_MANY_CONNECTIONS = "53300";

    private static final String READ_ONLY = "25006";

    /** Serialization failure, deadlock, lock not available, statement cancelled, a server that only reads. */
    private static final Set<String> TRY_AGAIN = Set.of("40001", "40P01", "55P03", "57014", READ_ONLY);

    static final String PATHS =
            "The paths are /, /api/now, /api/events, /api/activity, /api/alerts, /api/health, /api/views, /api/refresh,"
                    + " /api/runs, /api/ingest, /api/jobs, /api/dead-letters, /api/transactions, /api/audit, /api/tokens, /api/session, /api/openapi.json and"
                    + " /api/v2/jobs/{id}/result/.";
    static final String NOTHING_HERE = "There is nothing at this path.";
    private static final String DESCRIBED =
            "/api/openapi.json describes each call, and /ui/try.html has a form for it.";
    static final String SOON_SECONDS = "1";
    private static final String LATER_SECONDS = "5";

    static ProblemDetail problem(HttpStatus status, String code, String detail, @Nullable String hint) {
        ProblemDetail problem = ProblemDetail.forStatusAndDetail(status, detail);
        problem.setTitle(status.getReasonPhrase());
        problem.setProperty("code", code);
        problem.setProperty("hint", hint);
        return problem;
    }

    @ExceptionHandler
    ProblemDetail notFound(NotFoundException e) {
        return problem(HttpStatus.NOT_FOUND, e.code(), String.valueOf(e.getMessage()), e.hint());
    }

    @ExceptionHandler
    ProblemDetail badRequest(BadRequestException e) {
        return problem(HttpStatus.BAD_REQUEST, INVALID_PARAMETER, String.valueOf(e.getMessage()), e.hint());
    }

    @ExceptionHandler
    ResponseEntity<ProblemDetail> notTaken(IntakeRefusedException e) {
        ProblemDetail problem = problem(e.status(), e.code(), String.valueOf(e.getMessage()), e.hint());
        problem.setProperty("results_queued", e.queued());
        problem.setProperty("rejected", e.rejected());
        ResponseEntity.BodyBuilder answer =
                ResponseEntity.status(e.status()).contentType(MediaType.APPLICATION_PROBLEM_JSON);
        if (e.retryAfterSeconds() > 0) {
            answer.header(HttpHeaders.RETRY_AFTER, Long.toString(e.retryAfterSeconds()));
        }
        return answer.body(problem);
    }

    @ExceptionHandler
    ProblemDetail refused(RefusedException e) {
        return problem(e.status(), e.code(), String.valueOf(e.getMessage()), e.hint());
    }

    /** A query that cannot be decoded, or has control characters, is found when a parameter is asked for. */
    @ExceptionHandler({InvalidParameterException.class, RequestRejectedException.class})
    ProblemDetail unreadable(RuntimeException e) {
        return problem(
                HttpStatus.BAD_REQUEST,
                INVALID_PARAMETER,
                "The query cannot be decoded.",
                "Write special characters as %XX of their UTF-8 form; a % itself is %25.");
    }

    @ExceptionHandler({DataAccessException.class, TransactionException.class})
    ResponseEntity<ProblemDetail> database(RuntimeException e) {
        SqlError error = SqlError.in(e).orElseGet(() -> new SqlError(INTERNAL, String.valueOf(e.getMessage()), null));
        if (SqlError.isOfPool(e)) {
            error = new SqlError(
                    TOO_MANY_CONNECTIONS,
                    "No connection to the database became free in time.",
                    "Send the same request again after Retry-After. If this goes on, look at what holds the database"
                            + " up, or raise COUNTERSINK_DB_POOL_SIZE.");
        }
        HttpStatus status = status(error);
        if (status.is5xxServerError()) {
            LOG.warn("A request failed: {} (SQLSTATE {})", error.message(), error.code());
        }
        ResponseEntity.BodyBuilder answer =
                ResponseEntity.status(status).contentType(MediaType.APPLICATION_PROBLEM_JSON);
        if (status == HttpStatus.SERVICE_UNAVAILABLE) {
            answer.header(HttpHeaders.RETRY_AFTER, LATER_SECONDS);
        }
        return answer.body(
                problem(status, error.code(), error.message(), error.hint() == null ? hint(error) : error.hint()));
    }

    private static @Nullable String hint(SqlError error) {
        if (error.unreachable()) {
            return "Look at PostgreSQL, and send the same request again after Retry-After:"
                    + " /actuator/health/readiness says whether the database answers.";
        }
        if (READ_ONLY.equals(error.code())) {
            return "Let COUNTERSINK_DB_URL lead to the primary server, or set default_transaction_read_only to off; then send"
                    + " the same request again.";
        }
        return null;
    }

    /** Whatever else goes wrong is our fault, and in the log. */
    @ExceptionHandler
    @Nullable
    ResponseEntity<ProblemDetail> unforeseen(RuntimeException e, HttpServletResponse response) {
        LOG.error("A request failed", e);
        return response.isCommitted()
                ? null
                : ResponseEntity.internalServerError()
                        .contentType(MediaType.APPLICATION_PROBLEM_JSON)
                        .body(problem(
                                HttpStatus.INTERNAL_SERVER_ERROR,
                                INTERNAL,
                                "The request failed for a reason that was not foreseen.",
                                "The log of the program says more; please report it."));
    }

    /** The web server may have answered already, as when a body ends too early. */
    @Override
    protected @Nullable ResponseEntity<Object> handleExceptionInternal(
            Exception e, @Nullable Object body, HttpHeaders headers, HttpStatusCode status, WebRequest request) {
        if (request instanceof ServletWebRequest web
                && web.getResponse() != null
                && web.getResponse().isCommitted()) {
            LOG.debug("A request was answered already: {}", e.getMessage());
            return null;
        }
        return super.handleExceptionInternal(e, body, headers, status, request);
    }

    /** Errors that Spring itself raises, such as an unsupported method, get a code too. */
    @Override
    protected ResponseEntity<Object> createResponseEntity(
            @Nullable Object body, HttpHeaders headers, HttpStatusCode status, WebRequest request) {
        if (body instanceof ProblemDetail problem && !hasHint(problem)) {
            boolean missing = status.value() == HttpStatus.NOT_FOUND.value();
            if (missing) {
                problem.setDetail(NOTHING_HERE);
            }
            problem.setProperty("code", missing ? NO_DATA : INVALID_PARAMETER);
            problem.setProperty("hint", missing ? PATHS : DESCRIBED);
        }
        return new ResponseEntity<>(body, headers, status);
    }

    private static boolean hasHint(ProblemDetail problem) {
        return problem.getProperties() != null && problem.getProperties().containsKey("hint");
    }

    @Override
    protected @Nullable ResponseEntity<Object> handleHttpMessageNotReadable(
            HttpMessageNotReadableException e, HttpHeaders headers, HttpStatusCode status, WebRequest request) {
        return described(e, "The body of the request is not the JSON that is expected here.", headers, status, request);
    }

    @Override
    protected @Nullable ResponseEntity<Object> handleTypeMismatch(
            TypeMismatchException e, HttpHeaders headers, HttpStatusCode status, WebRequest request) {
        String detail =
                String.format(Locale.ROOT, "%s is '%s', which cannot be read.", e.getPropertyName(), e.getValue());
        return described(e, detail, headers, status, request);
    }

    private @Nullable ResponseEntity<Object> described(
            Exception e, String detail, HttpHeaders headers, HttpStatusCode status, WebRequest request) {
        return handleExceptionInternal(
                e, problem(HttpStatus.BAD_REQUEST, INVALID_PARAMETER, detail, DESCRIBED), headers, status, request);
    }

    private static HttpStatus status(SqlError error) {
        if (NOT_FOUND.contains(error.code())) {
            return HttpStatus.NOT_FOUND;
        }
        if (NO_RIGHT.equals(error.code())) {
            return HttpStatus.FORBIDDEN;
        }
        if (SCHEDULE_CHANGED.equals(error.code())) {
            return HttpStatus.PRECONDITION_FAILED;
        }
        if (BAD_ARGUMENT.equals(error.code())) {
            return HttpStatus.UNPROCESSABLE_CONTENT;
        }
        if (error.unreachable() || error.code().startsWith("53") || TRY_AGAIN.contains(error.code())) {
            return HttpStatus.SERVICE_UNAVAILABLE;
        }
        if (UNIQUE_VIOLATION.equals(error.code())
                || error.code().startsWith("TL")
                || error.code().startsWith("RS")) {
            return HttpStatus.CONFLICT;
        }
        return error.code().startsWith("22") ? HttpStatus.BAD_REQUEST : HttpStatus.INTERNAL_SERVER_ERROR;
    }
}
