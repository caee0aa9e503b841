package dev.countersink.admin;

import jakarta.servlet.RequestDispatcher;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.tomcat.util.http.InvalidParameterException;
import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ProblemDetail;
import org.springframework.stereotype.Component;
import tools.jackson.databind.json.JsonMapper;

/** Writes problem documents where Spring does not: before a request reaches it, and after it has failed. */
@Component
class ProblemWriter {
    private static final int FIRST_ERROR = 400;

    private final JsonMapper json;

    ProblemWriter(JsonMapper json) {
        this.json = json;
    }

    void write(HttpServletResponse response, ProblemDetail problem) throws IOException {
        SecurityHeaders.set(response);
        response.setStatus(problem.getStatus());
        response.setContentType(MediaType.APPLICATION_PROBLEM_JSON_VALUE);
        byte[] body = json.writeValueAsBytes(problem);
        response.setContentLength(body.length);
        response.getOutputStream().write(body);
    }

    void unauthorized(HttpServletResponse response) throws IOException {
        response.setHeader(HttpHeaders.WWW_AUTHENTICATE, "Bearer");
        write(
                response,
                Problems.problem(
                        HttpStatus.UNAUTHORIZED,
                        "28000",
                        "The request carries no valid bearer token.",
                        "Send 'Authorization: Bearer …' with a named token or that of COUNTERSINK_API_TOKEN,"
                                + " or with the one printed at start if that is not set."));
    }

    /** @param seconds how long */
    void lockedOut(HttpServletResponse response, long seconds) throws IOException {
        response.setHeader(HttpHeaders.RETRY_AFTER, Long.toString(seconds));
        write(
                response,
                Problems.problem(
                        HttpStatus.TOO_MANY_REQUESTS,
                        "28000",
                        "Too many requests with a token that is not valid have come from this address.",
                        "Send a valid token, which is taken at once, or wait as long as Retry-After says."));
    }

    void tooFast(HttpServletResponse response) throws IOException {
        response.setHeader(HttpHeaders.RETRY_AFTER, Problems.SOON_SECONDS);
        write(
                response,
                Problems.problem(
                        HttpStatus.TOO_MANY_REQUESTS,
                        Problems.TOO_MANY,
                        "This token sends more requests a second than COUNTERSINK_API_RATE allows.",
                        "Send the same request again after Retry-After."));
    }

    void tooMany(HttpServletResponse response) throws IOException {
        response.setHeader(HttpHeaders.RETRY_AFTER, Problems.SOON_SECONDS);
        write(
                response,
                Problems.problem(
                        HttpStatus.TOO_MANY_REQUESTS,
                        Problems.TOO_MANY,
                        "This instance is answering as many requests as it can at the same time.",
                        "Send the same request again after Retry-After."));
    }

    void bodyOfProbe(HttpServletResponse response) throws IOException {
        write(
                response,
                Problems.problem(
                        HttpStatus.BAD_REQUEST,
                        Problems.INVALID_PARAMETER,
                        "A probe has no body.",
                        "Send a GET without one."));
    }

    /** Describes an error that has no description yet. */
    void describe(Request request, Response response) throws IOException {
        @Nullable Throwable failure = (Throwable) request.getAttribute(RequestDispatcher.ERROR_EXCEPTION);
        if (response.isCommitted() || response.getContentWritten() > 0) {
            return;
        }
        int status = status(response, failure);
        if (status < FIRST_ERROR) {
            return;
        }
        response.setSuspended(false);
        @Nullable String close = response.getHeader(HttpHeaders.CONNECTION);
        @Nullable String allow = response.getHeader(HttpHeaders.ALLOW);
        response.reset();
        keep(response, HttpHeaders.CONNECTION, close);
        keep(response, HttpHeaders.ALLOW, allow);
        write(response, problem(status));
        response.setErrorReported();
    }

    private static void keep(Response response, String header, @Nullable String value) {
        if (value != null) {
            response.setHeader(header, value);
        }
    }

    private static int status(Response response, @Nullable Throwable failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof InvalidParameterException e) {
                return e.getErrorCode();
            }
        }
        boolean failed = failure != null && response.getStatus() < FIRST_ERROR;
        return failed ? HttpStatus.INTERNAL_SERVER_ERROR.value() : response.getStatus();
    }

    private static ProblemDetail problem(int value) {
        HttpStatus status = HttpStatus.resolve(value);
        HttpStatus known = status == null ? HttpStatus.BAD_REQUEST : status;
        if (known == HttpStatus.NOT_FOUND) {
            return Problems.problem(known, Problems.NO_DATA, Problems.NOTHING_HERE, Problems.PATHS);
        }
        if (known == HttpStatus.METHOD_NOT_ALLOWED) {
            return Problems.problem(
                    known, Problems.INVALID_PARAMETER, "This method cannot be used here.", Problems.PATHS);
        }
        if (known == HttpStatus.BAD_REQUEST) {
            return Problems.problem(
                    known,
                    Problems.INVALID_PARAMETER,
                    "The request cannot be read: its first line, its path, its query or a header is not well formed,"
                            + " or they are too long.",
                    "In a path and a query, write special characters as %XX of their UTF-8 form;"
                            + " the first line and the headers may have 8 KB in all.");
        }
        if (known.is5xxServerError()) {
            return Problems.problem(
                    known,
                    Problems.INTERNAL,
                    "The request cannot be answered: " + known.getReasonPhrase() + ".",
                    "The log of the program says more.");
        }
        return Problems.problem(
                known,
                Problems.INVALID_PARAMETER,
                "The request is refused: " + known.getReasonPhrase() + ".",
                Problems.PATHS);
    }
}
