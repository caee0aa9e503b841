package dev.countersink.admin;

import java.util.Locale;
import org.springframework.http.HttpStatus;

/** A valid request that is refused. */
class RefusedException extends RuntimeException {
    private static final long serialVersionUID = 1L;
    private static final String SCHEDULE_CHANGED = "TL021";
    private static final String BAD_ARGUMENT = "TL018";

    private final HttpStatus status;
    private final String code;
    private final String hint;

    RefusedException(HttpStatus status, String code, String message, String hint) {
        super(message);
        this.status = status;
        this.code = code;
        this.hint = hint;
    }

    static RefusedException noIfMatch() {
        return new RefusedException(
                HttpStatus.PRECONDITION_REQUIRED,
                SCHEDULE_CHANGED,
                "The request has no If-Match.",
                "Send the ETag of GET /api/views/{name} in it, or * to overwrite whatever is there.");
    }

    static RefusedException noVersion(String ifMatch) {
        return new RefusedException(
                HttpStatus.PRECONDITION_FAILED,
                SCHEDULE_CHANGED,
                String.format(Locale.ROOT, "If-Match is %s, which is no version of a schedule.", ifMatch),
                "Send the ETag of GET /api/views/{name} as it was given, quotes included.");
    }

    static RefusedException badCron(String problem) {
        return new RefusedException(
                HttpStatus.UNPROCESSABLE_CONTENT,
                BAD_ARGUMENT,
                problem,
                "Its fields are second, minute, hour, day of month, month, day of week and, if need be, year; one of"
                        + " the two days is ?. Times are UTC: \"0 30 3 * * ?\" is half past three each night.");
    }

    static RefusedException tooManyStreams(int most) {
        return new RefusedException(
                HttpStatus.TOO_MANY_REQUESTS,
                Problems.TOO_MANY,
                String.format(Locale.ROOT, "This instance has %d streams of events already.", most),
                "Ask GET /api/now every two seconds instead.");
    }

    static RefusedException tooLarge(int most) {
        return new RefusedException(
                HttpStatus.CONTENT_TOO_LARGE,
                Problems.TOO_LARGE,
                String.format(Locale.ROOT, "The body of the request has more than %d bytes.", most),
                "Send less at once, or raise COUNTERSINK_API_MAX_BODY.");
    }

    static RefusedException noToken() {
        return new RefusedException(
                HttpStatus.FORBIDDEN,
                "28000",
                "A cookie cannot make another one.",
                "Send 'Authorization: Bearer …' with the token to sign in.");
    }

    static RefusedException role(Role needed, Caller caller) {
        return new RefusedException(
                HttpStatus.FORBIDDEN,
                "42501",
                String.format(
                        Locale.ROOT,
                        "This needs a token with the role %s, and %s has the role %s.",
                        needed,
                        caller.name(),
                        caller.role()),
                "Ask an owner to do it, or for such a token: ./countersink tokens add NAME --role " + needed + ".");
    }

    static RefusedException runOver(long id, String state) {
        return new RefusedException(
                HttpStatus.CONFLICT,
                "55000",
                String.format(Locale.ROOT, "Run %d cannot be cancelled: it is %s.", id, state),
                "GET /api/runs/{id} shows what became of it.");
    }

    final HttpStatus status() {
        return status;
    }

    final String code() {
        return code;
    }

    final String hint() {
        return hint;
    }
}
